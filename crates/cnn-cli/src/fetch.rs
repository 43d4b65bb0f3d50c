//! `cnn fetch`: published data sets and weights, downloaded and checked.

mod console;
mod weights;

use crate::fault::{Fault, print};
use crate::home;
use clap::Subcommand;
use cnn_fetch::{Downloader, PublishedSet};
use console::Console;
use serde::{Serialize, Serializer};
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Download a published data set, or the weights of networks, and check the files.
///
/// Each file arrives as NAME.part and gets its name when its length and SHA-256 are right. Interrupt it as you like: the
/// same command goes on where it was. Files that are there and right are left alone, whether they are compressed or not.
#[derive(clap::Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Examples:
  cnn fetch fashion-mnist
  cnn fetch weights resnet18
  cnn fetch cifar10 --dir /data/cifar10 --mirror https://data.example.org/cifar/

CIFAR's archives are used as they are; nothing has to be unpacked. Where there is no network, the error names the URLs to
get elsewhere and the folder to put the files into; this command then checks them. A proxy is taken from the environment
(HTTPS_PROXY).")]
pub struct Args {
    #[command(subcommand)]
    other: Option<Other>,
    /// The data set.
    #[arg(value_name = "NAME", value_parser = PublishedSet::NAMES, required = true)]
    dataset: Option<String>,
    /// The folder to put the files into [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A URL that gives a file when its name is added; it is asked before those that are known.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// What is published besides data sets.
#[derive(Subcommand)]
enum Other {
    Weights(weights::Args),
}

/// The outcome of the command, as `--json` prints it.
#[derive(Debug, PartialEq, Serialize)]
struct Outcome {
    dataset: String,
    #[serde(serialize_with = "as_text")]
    folder: PathBuf,
    #[serde(flatten)]
    counts: Counts,
}

/// The files of a download.
#[derive(Debug, PartialEq, Serialize)]
struct Counts {
    /// Files that had to be fetched.
    fetched: usize,
    /// Files that were there.
    present: usize,
    seconds: f64,
}

/// A path as text, in which bytes that are not UTF-8 are replaced.
fn as_text<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

pub fn run(args: Args) -> Result<(), Fault> {
    if let Some(Other::Weights(args)) = args.other {
        return weights::run(args);
    }
    let json = args.json;
    let outcome = fetch(args, &Downloader::default())?;
    let Outcome { dataset, folder, counts } = &outcome;
    if json {
        print(serde_json::to_string(&outcome)?);
    } else {
        print(format!("{dataset} is complete in {}: {counts}", folder.display()));
    }
    Ok(())
}

impl Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { fetched, present, seconds } = self;
        write!(f, "{fetched} fetched in {seconds:.1} s, {present} already there")
    }
}

fn fetch(args: Args, downloader: &Downloader) -> Result<Outcome, Fault> {
    let none = || Fault::usage("expected the name of a data set, none was given");
    let dataset = args.dataset.ok_or_else(none)?;
    let set = set(&dataset, args.mirror)?;
    let folder = args.dir.unwrap_or_else(|| home::dataset(&dataset));
    let counts = download(&set, &folder, downloader)?;
    Ok(Outcome { dataset, folder, counts })
}

/// Brings the files of a set into a folder, and shows how it goes.
fn download(set: &PublishedSet, folder: &Path, downloader: &Downloader) -> Result<Counts, Fault> {
    let begin = Instant::now();
    let mut console = Console::new();
    let fetched = downloader.fetch(set, folder, |event| console.show(event));
    console.bar.finish_and_clear();
    let fetched = fetched?;
    Ok(Counts { fetched, present: set.files.len() - fetched, seconds: begin.elapsed().as_secs_f64() })
}

/// The data set of that name, with the user's mirror before the others.
fn set(name: &str, mirror: Option<String>) -> Result<PublishedSet, Fault> {
    let set = PublishedSet::named(name);
    let mut set = set.ok_or_else(|| Fault::usage(format!("no data set is called {name}")))?;
    if let Some(mirror) = mirror {
        set.mirrors.insert(0, base(mirror)?);
    }
    Ok(set)
}

/// A mirror as it is meant: up to the last slash.
fn base(mut mirror: String) -> Result<String, Fault> {
    if !mirror.starts_with("http://") && !mirror.starts_with("https://") {
        return Err(Fault::usage(format!("--mirror: expected a URL with http:// or https://, got {mirror}")));
    }
    if !mirror.ends_with(['/', '=']) {
        mirror.push('/');
    }
    Ok(mirror)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> Result<Args, clap::Error> {
        crate::testing::parse(words)
    }

    #[test]
    fn the_repositorys_mnist_is_complete() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../datasets/mnist");
        let outcome = fetch(args(&["mnist", "--dir", folder]).unwrap(), &Downloader::default()).unwrap();
        let json = serde_json::to_value(&outcome).unwrap();
        assert!(json["seconds"].as_f64() > Some(0.0));
        let seconds = outcome.counts.seconds;
        let counts = Counts { fetched: 0, present: 4, seconds };
        assert_eq!(outcome, Outcome { dataset: "mnist".into(), folder: folder.into(), counts });
    }

    #[test]
    fn unknown_names_and_other_words_than_mirrors_are_refused() {
        let error = args(&["imagenet"]).err().unwrap().to_string();
        for name in PublishedSet::NAMES {
            assert!(error.contains(name), "{error}");
        }
        let fault = set("cifar10", Some("ftp://example.org".into())).unwrap_err();
        assert_eq!(fault.status, 2);
        assert_eq!(fault.message, "--mirror: expected a URL with http:// or https://, got ftp://example.org");
    }

    #[test]
    fn a_mirror_is_asked_before_the_others() {
        let args = args(&["cifar10", "--mirror", "http://example.org/a"]).unwrap();
        let mirrors = set(&args.dataset.unwrap(), args.mirror).unwrap().mirrors;
        let known = PublishedSet::named("cifar10").unwrap().mirrors;
        assert_eq!((&*mirrors[0], &mirrors[1..]), ("http://example.org/a/", &known[..]));
        let query = "http://example.org/get?name=";
        assert_eq!(set("mnist", Some(query.into())).unwrap().mirrors[0], query);
    }
}
