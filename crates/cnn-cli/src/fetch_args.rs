//! The arguments of `cnn fetch`, which are the same with and without the feature `fetch`.

use std::path::PathBuf;

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
    #[arg(value_name = "NAME")]
    #[cfg_attr(feature = "fetch", arg(value_parser = cnn_data::download::PublishedSet::NAMES))]
    pub dataset: String,
    /// The folder to put the files into [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// A URL that gives a file when its name is added; it is asked before those that are known.
    #[arg(long, value_name = "URL")]
    pub mirror: Option<String>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    pub json: bool,
}
