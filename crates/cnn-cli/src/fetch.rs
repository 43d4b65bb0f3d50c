//! `cnn fetch`: published data sets, downloaded and checked.

use crate::fault::{Fault, note, print};
use crate::home;
use crate::progress::{self, Lines};
use cnn_fetch::{Downloader, Event, PublishedSet};
use indicatif::{DecimalBytes, FormattedDuration, ProgressBar};
use serde::{Serialize, Serializer};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Download a published data set, and check its files.
///
/// Each file arrives as NAME.part and gets its name when its length and SHA-256 are right. Interrupt it as you like: the
/// same command goes on where it was. Files that are there and right are left alone, whether they are compressed or not.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn fetch fashion-mnist
  cnn fetch cifar10 --dir /data/cifar10 --mirror https://data.example.org/cifar/

CIFAR's archives are used as they are; nothing has to be unpacked. Where there is no network, the error names the URLs to
get elsewhere and the folder to put the files into; this command then checks them. A proxy is taken from the environment
(HTTPS_PROXY).")]
pub struct Args {
    /// The data set.
    #[arg(value_name = "NAME", value_parser = PublishedSet::NAMES)]
    dataset: String,
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

/// The outcome of the command, as `--json` prints it.
#[derive(Debug, PartialEq, Serialize)]
struct Outcome {
    dataset: String,
    #[serde(serialize_with = "as_text")]
    folder: PathBuf,
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
    let json = args.json;
    let outcome = fetch(args, &Downloader::default())?;
    let Outcome { dataset, folder, fetched, present, seconds } = &outcome;
    if json {
        print(serde_json::to_string(&outcome)?);
    } else {
        print(format!(
            "{dataset} is complete in {}: {fetched} fetched in {seconds:.1} s, {present} already there",
            folder.display()
        ));
    }
    Ok(())
}

fn fetch(args: Args, downloader: &Downloader) -> Result<Outcome, Fault> {
    let set = set(&args.dataset, args.mirror)?;
    let folder = args.dir.unwrap_or_else(|| home::dataset(&args.dataset));
    let begin = Instant::now();
    let mut console = Console::new();
    let fetched = downloader.fetch(&set, &folder, |event| console.show(event));
    console.bar.finish_and_clear();
    let fetched = fetched?;
    let (present, seconds) = (set.files.len() - fetched, begin.elapsed().as_secs_f64());
    Ok(Outcome { dataset: args.dataset, folder, fetched, present, seconds })
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

/// Shows the progress: a bar on a terminal, else a line now and then.
struct Console {
    bar: ProgressBar,
    lines: Lines,
}

impl Console {
    fn new() -> Self {
        let template =
            "{msg} [{bar:30}] {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left";
        Self { bar: progress::bar(None, template), lines: Lines::new() }
    }

    /// A line that stays, above the bar.
    fn line(&self, text: String) {
        if self.bar.is_hidden() { note(text) } else { self.bar.println(text) }
    }

    fn show(&mut self, event: Event<'_>) {
        match event {
            Event::Present { name } => self.line(format!("{name}: already there, and right")),
            Event::Wrong { path } => {
                self.line(format!("{}: not what was published; it will be replaced", path.display()));
            }
            Event::Start { url, from, bytes } => {
                let resumed = if from > 0 { format!(" from byte {from} on") } else { String::new() };
                self.line(format!("{url}{resumed}"));
                self.bar.set_length(bytes);
                self.bar.set_position(from);
                self.bar.reset_eta();
                self.lines = Lines::new();
            }
            Event::Progress { name, done, bytes, rate } => {
                self.bar.set_message(name.to_string());
                self.bar.set_position(done);
                self.lines.note(&self.bar, || in_a_line(name, done, bytes, rate));
            }
            Event::Fault { url, message, wait } => {
                self.line(format!("{url}: {message}; next try in {:.1} s", wait.as_secs_f64()));
            }
            Event::Done { path } => self.line(format!("{}: complete, and right", path.display())),
            _ => {}
        }
    }
}

/// The progress in one line.
fn in_a_line(name: &str, done: u64, bytes: u64, rate: f64) -> String {
    let left = Duration::from_secs(((bytes - done) as f64 / rate.max(1.0)) as u64);
    format!(
        "{name}: {} of {}  {}/s  {} left",
        DecimalBytes(done),
        DecimalBytes(bytes),
        DecimalBytes(rate as u64),
        FormattedDuration(left)
    )
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
        let seconds = outcome.seconds;
        assert_eq!(
            outcome,
            Outcome { dataset: "mnist".into(), folder: folder.into(), fetched: 0, present: 4, seconds }
        );
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
        let mirrors = set(&args.dataset, args.mirror).unwrap().mirrors;
        let known = PublishedSet::named("cifar10").unwrap().mirrors;
        assert_eq!((&*mirrors[0], &mirrors[1..]), ("http://example.org/a/", &known[..]));
        let query = "http://example.org/get?name=";
        assert_eq!(set("mnist", Some(query.into())).unwrap().mirrors[0], query);
    }

    #[test]
    fn progress_reads_well() {
        assert_eq!(
            in_a_line("data.gz", 20_000_000, 170_000_000, 3_000_000.0),
            "data.gz: 20.00 MB of 170.00 MB  3.00 MB/s  00:00:50 left"
        );
    }
}
