//! `cnn caption`: sentences about photos.

use crate::beam;
use crate::fault::{Fault, print};
use crate::images_at::{self, Image};
use crate::look::rgb;
use crate::save::save;
use crate::threads::threads;
use cnn::{Caption, Captioner};
use cnn_nn::Beam;
use cnn_report::{CaptionColumn, Captioned};
use cnn_tensor::text::one_line;
use serde::Serialize;
use std::path::PathBuf;

/// Describe each photo in a sentence, with probabilities.
///
/// The sentences are the likeliest that a beam search finds, ranked by their probability and length. The first percentage is the
/// geometric mean over the words, the last number the probability of the whole sentence. Of a folder, all images in it are
/// described. An image that cannot be read is named on stderr; the others are described all the same, and the command ends with
/// status 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn caption photo.jpg --weights runs/captions/captioner.safetensors
  cnn caption photo.jpg --weights runs/captions/captioner.safetensors --beam 20 --top 5
  cnn caption path/to/photos --weights runs/captions/captioner.safetensors --picture described.png --json")]
pub struct Args {
    /// The images, or folders of them.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The file that `cnn train-captions` wrote, with trunk, network and words.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    #[command(flatten)]
    beam: beam::Search,
    /// The sentences to print, at most as many as --beam.
    #[arg(long, value_name = "N", default_value_t = 3)]
    top: usize,
    /// Draw the photos, each with its likeliest sentence.
    #[arg(long, value_name = "FILE")]
    picture: Option<PathBuf>,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON array, an object for each image.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Described {
    image: String,
    captions: Vec<Sentence>,
}

#[derive(Serialize)]
struct Sentence {
    caption: String,
    /// Of the whole sentence, 0 to 1.
    probability: f64,
    log_probability: f64,
    /// The geometric mean over the words, 0 to 1.
    word_probability: f64,
}

impl From<&Caption> for Sentence {
    fn from(caption: &Caption) -> Self {
        Self {
            caption: caption.text.clone(),
            probability: caption.probability(),
            log_probability: caption.log_probability,
            word_probability: caption.word_probability(),
        }
    }
}

/// Images on a sheet, and in one of its columns.
const MOST_DRAWN: usize = 40;
const COLUMNS: usize = 4;

pub fn run(args: Args) -> Result<(), Fault> {
    let beam = args.beam.beam()?;
    if args.top == 0 {
        return Err(Fault::usage("--top: expected at least 1, got 0"));
    }
    let (_, pool) = threads(args.threads)?;
    let captioner = Captioner::load(&args.weights)?;
    pool.run(|| describe(&args, &captioner, &beam))
}

fn describe(args: &Args, captioner: &Captioner, beam: &Beam) -> Result<(), Fault> {
    let found = images_at::find(&args.images)?;
    let (mut described, mut drawn) = (Vec::new(), Vec::new());
    let answer = |image: &Image<'_>| {
        image.answer(|path| captioner.caption(path, beam), |picture| captioner.caption_picture(picture, beam))
    };
    let gone = images_at::go_through(&found, answer, |image, captions, bar| {
        let name = image.name();
        let captions = captions.iter().take(args.top).map(Sentence::from).collect();
        let answer = Described { image: name, captions };
        if args.picture.is_some() && drawn.len() < MOST_DRAWN {
            drawn.push(photo(&answer, rgb(&image.picture()?)));
        }
        if !args.json {
            bar.suspend(|| print_sentences(&answer));
        }
        described.push(answer);
        Ok(())
    })?;
    if args.json {
        print(serde_json::to_string(&described)?);
    }
    if let Some(file) = args.picture.as_ref().filter(|_| !drawn.is_empty()) {
        let facts = format!("by a beam of {}, {} of {} images", beam.width, drawn.len(), gone.all);
        save(file, &cnn_report::captioned("Captions", &facts, &in_columns(drawn))?)?;
        if !args.json {
            print(file.display());
        }
    }
    gone.end("described")
}

fn print_sentences(answer: &Described) {
    print(one_line(&answer.image));
    for Sentence { caption, word_probability, log_probability, .. } in &answer.captions {
        let probability = log_probability.exp();
        print(format!("  {:5.1} %  {caption}  ({probability:.1e})", 100.0 * word_probability));
    }
}

fn photo(answer: &Described, image: image::RgbImage) -> Captioned {
    let best = answer.captions.first();
    let note = best.map_or(String::new(), |best| format!("{:.0} % a word", 100.0 * best.word_probability));
    Captioned { image, caption: best.map(|best| best.caption.clone()).unwrap_or_default(), note }
}

/// Row after row.
fn in_columns(photos: Vec<Captioned>) -> Vec<CaptionColumn> {
    let columns = COLUMNS.min(photos.len());
    let column = |_| CaptionColumn { heading: String::new(), note: String::new(), photos: Vec::new() };
    let mut all: Vec<CaptionColumn> = (0..columns).map(column).collect();
    for (i, photo) in photos.into_iter().enumerate() {
        all[i % columns].photos.push(photo);
    }
    all
}
