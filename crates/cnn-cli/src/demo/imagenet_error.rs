//! `cnn demo imagenet-error`: the error of ImageNet's winners over the years.

use crate::fault::{Fault, print};
use crate::home;
use crate::save::save;
use cnn_report::Bar;
use serde::Serialize;
use std::path::PathBuf;

/// Draw the top-5 error of the winners of ImageNet's classification challenge, 2010 to 2017, with their sources.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  cnn demo imagenet-error --out errors.png")]
pub struct Args {
    /// The picture to write [default: runs/imagenet-error.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The winner of a year.
#[derive(Clone, Copy, Serialize)]
struct Winner {
    year: u16,
    name: &'static str,
    /// Share of the test images whose class is not among the five likeliest, in per cent.
    top5_error: f64,
    convolutional: bool,
    source: &'static str,
}

/// Of entries that used the challenge's own training images alone.
#[rustfmt::skip]
const WINNERS: [Winner; 8] = [
    Winner { year: 2010, name: "NEC-UIUC", top5_error: 28.2, convolutional: false, source: "Russakovsky et al. 2015" },
    Winner { year: 2011, name: "XRCE", top5_error: 25.8, convolutional: false, source: "Russakovsky et al. 2015" },
    Winner { year: 2012, name: "AlexNet", top5_error: 16.4, convolutional: true, source: "Krizhevsky et al. 2012; Russakovsky et al. 2015" },
    Winner { year: 2013, name: "Clarifai", top5_error: 11.7, convolutional: true, source: "after Zeiler and Fergus 2014 (ZFNet); Russakovsky et al. 2015" },
    Winner { year: 2014, name: "GoogLeNet", top5_error: 6.7, convolutional: true, source: "Szegedy et al. 2015; Russakovsky et al. 2015" },
    Winner { year: 2015, name: "ResNet", top5_error: 3.57, convolutional: true, source: "He et al. 2016, table 5" },
    Winner { year: 2016, name: "Trimps-Soushen", top5_error: 2.99, convolutional: true, source: "results page of ILSVRC2016" },
    Winner { year: 2017, name: "SENet", top5_error: 2.25, convolutional: true, source: "Hu et al. 2018; results page of ILSVRC2017" },
];

/// One trained person on 1500 test images.
const PERSON: f64 = 5.1;
const PERSON_SOURCE: &str = "Russakovsky et al. 2015, one annotator on 1500 images";

pub fn run(args: Args) -> Result<(), Fault> {
    let out = args.out.unwrap_or_else(|| home::runs().join("imagenet-error.png"));
    let bars = WINNERS.map(|winner| Bar {
        label: winner.year.to_string(),
        note: winner.name.into(),
        value: winner.top5_error,
        strong: winner.convolutional,
    });
    let person = format!("a person: {PERSON} %");
    let picture = cnn_report::bars(
        "ImageNet: top-5 error of each year's winner, in per cent",
        "test images of ILSVRC whose class is not among the five likeliest; blue: convolutional networks",
        &bars,
        Some((&person, PERSON)),
        &[
            "2010 to 2014: Russakovsky et al. 2015. 2015: He et al. 2016. 2016: results page of ILSVRC2016. 2017: Hu et al. 2018.",
            "A person: one annotator on 1500 images, Russakovsky et al. 2015. 2013: Clarifai, after Zeiler and Fergus (ZFNet).",
        ],
    )?;
    save(&out, &picture)?;
    if args.json {
        print(
            serde_json::json!({ "winners": WINNERS, "person": PERSON, "person_source": PERSON_SOURCE, "picture": out.display().to_string() }),
        );
        return Ok(());
    }
    for Winner { year, name, top5_error, source, .. } in WINNERS {
        print(format!("{year}  {name:14}  {top5_error:5.2} %  {source}"));
    }
    print(format!("      {:14}  {PERSON:5.2} %  {PERSON_SOURCE}", "a person"));
    print(out.display());
    Ok(())
}
