//! What a finished run leaves behind: the captioner, captions, pictures, and the words that close it.

use super::evaluation::{self, Evaluation, Row};
use super::material::Material;
use super::{Args, Config, best};
use crate::fault::Fault;
use crate::look::rgb;
use crate::progress::clock;
use cnn::Captioner;
use cnn_data::Dataset;
use cnn_nn::{Beam, Graph, Model, RunFolder, Sequence, Trainer};
use cnn_report::{CaptionColumn, Captioned};
use cnn_tensor::files::write_atomically;
use cnn_tensor::text::cell;
use cnn_zoo::ShowAndTell;
use serde::Serialize;
use std::cmp::Reverse;
use std::path::PathBuf;
use std::time::Instant;

/// A run that has reached its last epoch.
pub struct Run<'a> {
    pub args: &'a Args,
    pub config: &'a Config,
    pub folder: &'a RunFolder,
    pub trainer: &'a Trainer<Sequence>,
    pub threads: usize,
    /// The seconds of training.
    pub times: f64,
}

/// The report of a finished run.
pub struct Report {
    /// What `--json` prints.
    pub summary: Summary,
    /// The same for people, and the names of the files.
    pub words: String,
}

/// The output of `--json`.
#[derive(Serialize)]
pub struct Summary {
    trunk: String,
    train_photos: usize,
    dev_photos: usize,
    test_photos: usize,
    words: usize,
    parameters: usize,
    epochs: usize,
    best_epoch: usize,
    dev_loss: f64,
    beam: usize,
    seed: u64,
    threads: usize,
    /// BLEU-1 to BLEU-4 in per cent: the network first, then the baselines.
    bleu: Vec<Row>,
    training_seconds: f64,
    test_seconds: f64,
    weights: PathBuf,
}

/// A photo of the test with its captions, as captions.json has it.
#[derive(Serialize)]
struct Told<'a> {
    image: &'a str,
    caption: &'a str,
    probability: f64,
    /// BLEU-1 to BLEU-4 of this sentence, in per cent.
    bleu: [f64; 4],
    references: &'a [String],
}

impl Run<'_> {
    /// Tests the network of the best epoch, and writes the files.
    pub fn finish(
        &self,
        material: &Material,
        sizes: ShowAndTell,
        net: &Graph,
        beam: &Beam,
    ) -> Result<Report, Fault> {
        let start = Instant::now();
        // Parameters are shared, not copied.
        let trunk = Model { spec: material.trunk.spec.clone(), net: material.trunk.net.copy()? };
        let captioner = Captioner::new(trunk, &material.layer, sizes, material.vocabulary.clone(), net)?;
        let weights = self.folder.file("captioner.safetensors");
        captioner.save(&weights)?;
        let evaluation = evaluation::evaluate(material, &captioner, beam, self.config.training.seed)?;
        let told = told(material, &evaluation);
        let json = serde_json::to_string_pretty(&told)?;
        write_atomically(&self.folder.file("captions.json"), (json + "\n").as_bytes())?;
        self.draw(material, &evaluation)?;
        let history = &self.trainer.progress().history;
        let (row, dev_loss) = best().of(history).map_or((0, f64::NAN), |(row, loss)| (row.epoch, loss));
        let summary = Summary {
            trunk: material.trunk.spec.name.clone(),
            train_photos: material.train.len(),
            dev_photos: material.dev.len(),
            test_photos: material.test.len(),
            words: sizes.words,
            parameters: net.parameter_count(),
            epochs: history.len(),
            best_epoch: row,
            dev_loss,
            beam: self.args.beam.width,
            seed: self.config.training.seed,
            threads: self.threads,
            bleu: evaluation.rows,
            training_seconds: self.times,
            test_seconds: start.elapsed().as_secs_f64(),
            weights,
        };
        let words = self.in_words(&summary);
        Ok(Report { summary, words })
    }

    fn draw(&self, material: &Material, evaluation: &Evaluation) -> Result<(), Fault> {
        let [one, .., four] = evaluation.rows[0].bleu;
        let title = "Show and Tell: photos that it has not seen";
        let facts = format!(
            "by a beam of {}; of all {} test photos BLEU-1 is {one:.1} and BLEU-4 {four:.1}; the columns are quarters by the \
             sentence's own BLEU",
            self.args.beam.width,
            material.test.len()
        );
        let sheet = cnn_report::captioned(title, &facts, &columns(material, evaluation)?)?;
        write_atomically(&self.folder.file("captions.png"), &sheet)?;
        let curves = cnn_report::curves("Show and Tell", &self.trainer.progress().history, "dev")?;
        Ok(write_atomically(&self.folder.file("curves.png"), &curves)?)
    }

    fn in_words(&self, summary: &Summary) -> String {
        let mut lines = vec![String::new()];
        lines.push(format!("  BLEU-1  BLEU-2  BLEU-3  BLEU-4  of {} test photos", summary.test_photos));
        for Row { captions, bleu } in &summary.bleu {
            let numbers: String = bleu.iter().map(|score| format!("{score:8.1}")).collect();
            lines.push(format!("{numbers}  {}", cell(captions, 110)));
        }
        lines.push(format!(
            "epoch {} of {} had the lowest dev loss, {:.3}; training took {}, the test {}",
            summary.best_epoch,
            summary.epochs,
            summary.dev_loss,
            clock(summary.training_seconds.round() as u64),
            clock(summary.test_seconds.round() as u64)
        ));
        lines.push(format!("{}:", self.folder.path().display()));
        lines.push("  captioner.safetensors  trunk, network and words, for cnn caption".into());
        lines.push("  captions.json          the caption of each test photo".into());
        lines.push("  captions.png, curves.png, metrics.csv, config.json, checkpoint.safetensors".into());
        lines.join("\n")
    }
}

fn told<'a>(material: &'a Material, evaluation: &'a Evaluation) -> Vec<Told<'a>> {
    let told = evaluation.told.iter().zip(&evaluation.own).enumerate();
    told.map(|(i, (captions, bleu))| Told {
        image: material.test.set.file_name(i),
        caption: captions.first().map_or("", |caption| &caption.text),
        probability: captions.first().map_or(0.0, cnn::Caption::probability),
        bleu: bleu.map(|score| 100.0 * score),
        references: material.test.set.captions(i),
    })
    .collect()
}

/// The columns of the slide, from the best described photos to the worst.
const HEADINGS: [&str; 4] =
    ["describes without errors", "with minor errors", "somewhat related", "unrelated"];

/// Photos in a column.
const ROWS: usize = 4;

/// The photos in the order of the BLEU of their sentences, in quarters; of each quarter as many as a column has, in equal steps.
fn columns(material: &Material, evaluation: &Evaluation) -> Result<Vec<CaptionColumn>, Fault> {
    let own = &evaluation.own;
    let mut order: Vec<usize> = (0..own.len()).collect();
    // A sentence without a run of four words of a reference has almost no BLEU-4; shorter runs then decide.
    order.sort_by_key(|&photo| {
        let [one, two, three, four] = own[photo].map(|score| (score * 1e9).round() as u64);
        Reverse([four, three, two, one])
    });
    let quarters = HEADINGS.iter().enumerate().map(|(quarter, heading)| {
        let [first, last] = [quarter, quarter + 1].map(|q| q * order.len() / HEADINGS.len());
        let shown = ROWS.min(last - first);
        let photos = (0..shown).map(|i| {
            let photo = order[first + i * (last - first) / shown];
            let caption = evaluation.told[photo].first();
            let percent = |n: usize| format!("{:.0}", 100.0 * own[photo][n]);
            Ok(Captioned {
                image: rgb(&material.test.set.picture(photo)?),
                caption: caption.map(|caption| caption.text.clone()).unwrap_or_default(),
                note: format!("BLEU-1 {}, BLEU-4 {}", percent(0), percent(3)),
            })
        });
        let photos = photos.collect::<Result<_, Fault>>()?;
        let note = format!("quarter {} of 4", quarter + 1);
        Ok(CaptionColumn { heading: (*heading).into(), note, photos })
    });
    quarters.collect()
}
