//! `cnn fetch weights`: published weights, downloaded and checked.

use super::{Counts, as_text, base, download};
use crate::fault::{Fault, note, print};
use crate::{home, nearest};
use cnn_fetch::{Downloader, PublishedFile, PublishedSet};
use cnn_zoo::{NetworkName, TorchvisionWeights};
use indicatif::DecimalBytes;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Download the weights that torchvision publishes for networks, trained on ImageNet; without a name, list them.
///
/// They are put where commands look for the weights of --model NAME. A file arrives as NAME.part and gets its name when its
/// SHA-256 begins with the digits in that name. Interrupt it as you like: the same command goes on where it was. Files that are
/// there and right are left alone.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn fetch weights
  cnn fetch weights resnet18 mobilenet_v2
  cnn predict --model resnet18 photo.jpg

Where there is no network, the error names the URLs to get elsewhere and the folder to put the files into; this command then
checks them. A proxy is taken from the environment (HTTPS_PROXY).")]
pub(super) struct Args {
    /// The networks.
    #[arg(value_name = "NAME", value_parser = nearest::network)]
    networks: Vec<NetworkName>,
    /// The folder to put the files into; of another than the default, name them with --weights [default: weights in CNN_HOME, or
    /// cnn/weights in the user's cache].
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// A URL that gives a file when its name is added; it is asked before torchvision's.
    #[arg(long, value_name = "URL", requires = "networks")]
    mirror: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The outcome of a download, as `--json` prints it.
#[derive(Serialize)]
struct Outcome<'a> {
    files: Vec<String>,
    #[serde(serialize_with = "as_text")]
    folder: &'a Path,
    licence: &'static str,
    #[serde(flatten)]
    counts: Counts,
}

/// The list, as `--json` prints it.
#[derive(Serialize)]
struct List<'a> {
    weights: Vec<Row>,
    #[serde(serialize_with = "as_text")]
    folder: &'a Path,
    licence: &'static str,
}

/// Weights that can be downloaded.
#[derive(Serialize)]
struct Row {
    network: &'static str,
    file: &'static str,
    url: String,
    /// The length, rounded to a thousandth of a MiB.
    about_bytes: u64,
    /// Whether the file is in the folder.
    present: bool,
}

pub(super) fn run(args: Args) -> Result<(), Fault> {
    let folder = args.dir.unwrap_or_else(home::weights);
    if args.networks.is_empty() {
        return list(&folder, args.json);
    }
    let set = set(&args.networks, args.mirror)?;
    note(TorchvisionWeights::LICENCE);
    let counts = download(&set, &folder, &Downloader::default())?;
    let files: Vec<String> = set.files.into_iter().map(|file| file.name).collect();
    if args.json {
        let licence = TorchvisionWeights::LICENCE;
        print(serde_json::to_string(&Outcome { files, folder: &folder, licence, counts })?);
    } else {
        print(format!("{} in {}: {counts}", files.join(", "), folder.display()));
    }
    Ok(())
}

/// The files of these networks, with the user's mirror before torchvision's.
fn set(networks: &[NetworkName], mirror: Option<String>) -> Result<PublishedSet, Fault> {
    let mirrors = mirror.map(base).transpose()?.into_iter().chain([TorchvisionWeights::MIRROR.into()]);
    let files = networks.iter().map(|network| file(*network)).collect::<Result<_, _>>()?;
    Ok(PublishedSet { name: "weights".into(), mirrors: mirrors.collect(), files })
}

fn file(network: NetworkName) -> Result<PublishedFile, Fault> {
    let weights = network.torchvision_weights().ok_or_else(|| {
        let names: Vec<&str> = TorchvisionWeights::all().iter().map(|weights| weights.network).collect();
        let names = names.join(", ");
        Fault::usage(format!(
            "torchvision publishes no weights for {network}: expected one of {names}, got {network}"
        ))
    })?;
    Ok(PublishedFile {
        name: weights.file.into(),
        bytes: weights.bytes(),
        tolerance: TorchvisionWeights::TOLERANCE,
        sha256: weights.sha256().into(),
        content: Vec::new(),
    })
}

/// Prints what there is.
fn list(folder: &Path, json: bool) -> Result<(), Fault> {
    let row = |weights: &TorchvisionWeights| Row {
        network: weights.network,
        file: weights.file,
        url: weights.url(),
        about_bytes: weights.bytes(),
        // Files get their names when they are complete and right.
        present: folder.join(weights.file).is_file(),
    };
    let weights: Vec<Row> = TorchvisionWeights::all().iter().map(row).collect();
    if json {
        let list = List { weights, folder, licence: TorchvisionWeights::LICENCE };
        print(serde_json::to_string(&list)?);
        return Ok(());
    }
    for Row { network, file, about_bytes, present, .. } in weights {
        let size = DecimalBytes(about_bytes).to_string();
        let present = if present { "  here" } else { "" };
        print(format!("{network:<20}{file:<42}{size:>10}{present}"));
    }
    print(format!("here: in {}", folder.display()));
    print(TorchvisionWeights::LICENCE);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<super::super::Args, clap::Error> {
        crate::testing::parse(words)
    }

    fn args(words: &[&str]) -> Result<Args, String> {
        match parsed(words).map_err(|fault| fault.to_string())?.other {
            Some(super::super::Other::Weights(args)) => Ok(args),
            None => Err("no weights".into()),
        }
    }

    #[test]
    fn several_networks_are_files_of_one_set() {
        let args = args(&["weights", "ResNet18", "mnasnet1_0", "--mirror", "http://example.org/a"]).unwrap();
        let PublishedSet { mirrors, files, .. } = set(&args.networks, args.mirror).unwrap();
        assert_eq!(mirrors, ["http://example.org/a/", "https://download.pytorch.org/models/"]);
        let files: Vec<(&str, &str)> = files.iter().map(|file| (&*file.name, &*file.sha256)).collect();
        let mnasnet = ("mnasnet1.0_top1_73.512-f206786ef8.pth", "f206786ef8");
        assert_eq!(files, [("resnet18-f37072fd.pth", "f37072fd"), mnasnet]);
    }

    #[test]
    fn other_names_are_refused() {
        let fault = args(&["weights", "resnet81"]).err().unwrap();
        assert!(fault.contains("is \"resnet18\" meant?"), "{fault}");
        let lenet = args(&["weights", "lenet"]).unwrap();
        let fault = set(&lenet.networks, None).unwrap_err();
        assert_eq!(fault.status, 2);
        assert!(
            fault
                .message
                .starts_with("torchvision publishes no weights for lenet: expected one of alexnet, ")
        );
        assert!(args(&["weights", "--mirror", "http://example.org/"]).is_err(), "nothing to fetch");
        assert!(parsed(&[]).is_err() && parsed(&["mnist", "weights"]).is_err());
    }
}
