//! `cnn visualize`: what a trained network looks at.

mod attribution;
mod class;
mod finding;
mod layers;
mod maximise;
mod patches;
mod subject;

use crate::datasets::{self, ClassesArg};
use crate::fault::{Fault, note, print};
use crate::home;
use crate::progress::{self, Lines};
use crate::threads::threads;
use crate::weights;
use clap::ValueEnum;
use cnn_data::DatasetName;
use cnn_nn::Model;
use cnn_nn::explain::Explainer;
use cnn_tensor::files::write_atomically;
use cnn_tensor::text::{hint, one_line};
use finding::Finding;
use indicatif::ProgressBar;
use std::path::PathBuf;
use subject::Subject;

/// Show what a network looks at: which pixels of an image its answer depends on, and what its layers respond to.
///
/// Scores are explained, the numbers before any softmax, and each method draws what speaks for one class. A map of zeros alone is
/// said to be one.
///
/// Guided backpropagation and the deconvnet draw sharp pictures, but hardly change when the weights are drawn at random (Adebayo
/// et al. 2018): they show what the first layers react to, not why the network decides as it does. The others pass this check.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn visualize --weights runs/lenet-mnist/model.safetensors --image seven.png
  cnn visualize --weights runs/lenet-mnist/model.safetensors --dataset mnist --number 7 --method saliency,grad-cam
  cnn visualize --weights runs/lenet-mnist/model.safetensors --method maximise
  cnn visualize --weights runs/lenet-mnist/model.safetensors --method top-patches --dataset mnist --layer act1
  cnn visualize --model squeezenet1_0 --weights squeezenet_v1.0.safetensors --image photo.jpg --class tabby
  cnn visualize --model squeezenet1_0 --weights squeezenet_v1.0.safetensors --image photo.jpg --method maps")]
pub struct Args {
    #[command(flatten)]
    weights: weights::Args,
    /// The image to explain: JPEG, PNG, WebP or BMP of any size.
    #[arg(long, value_name = "IMAGE", conflicts_with = "number")]
    image: Option<PathBuf>,
    /// Explain image N of the test images of --dataset, counted from 0, instead of an image in a file.
    #[arg(long, value_name = "N", requires = "dataset")]
    number: Option<usize>,
    /// The methods, with commas between them.
    #[arg(long, value_name = "METHOD", value_delimiter = ',', default_value = "all")]
    method: Vec<Method>,
    /// The class to explain, by its name or its number from 0 [default: the predicted one]. For maximise it can be given several
    /// times [default: all, if there are at most 12].
    #[arg(long, value_name = "NAME|N")]
    class: Vec<String>,
    /// The layer of grad-cam, hires-cam, deconv and top-patches [default: the last maps of a convolution]; of maps [default: all
    /// layers]; or of maximise, instead of a class.
    #[arg(long, value_name = "NAME")]
    layer: Option<String>,
    /// The feature map of --layer, counted from 0: for deconv [default: that of the activation to which the score owes most]; and,
    /// once or several times, for maximise [default: 0] and top-patches [default: nine drawn at random].
    #[arg(long, value_name = "N", requires = "layer")]
    map: Vec<usize>,
    #[arg(long, value_name = "NAME|DIR", help = format!("The images for top-patches and --number: {}, or a folder or archive of images", datasets::names()))]
    dataset: Option<DatasetName>,
    /// The folder with the files of a data set that is known by name [default: datasets/NAME].
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    classes_from: ClassesArg,
    /// Look for top patches in N images, drawn evenly over the classes.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Points on the way for integrated [default: 64], or steps of the ascent for maximise [default: 200].
    #[arg(long, value_name = "N")]
    steps: Option<usize>,
    /// Side of the square that occlusion moves over the image, in pixels [default: a seventh of the image].
    #[arg(long, value_name = "N")]
    window: Option<usize>,
    /// Pixels from square to square [default: half a side].
    #[arg(long, value_name = "N")]
    stride: Option<usize>,
    /// Where maximise begins, which maps and images top-patches draws.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// The picture to write [default: runs/visualize/MODEL-SHEET.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON array, an object for each method: class, score, layer, and the map's sum and extremes.
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Method {
    /// The largest absolute gradient over the channels (Simonyan 2013).
    Saliency,
    /// Guided backpropagation (Springenberg 2014).
    Guided,
    /// The deconvnet with switches (Zeiler and Fergus 2014).
    Deconv,
    /// Integrated gradients from the mean colour (Sundararajan 2017).
    Integrated,
    /// Grad-CAM (Selvaraju 2017).
    GradCam,
    /// HiResCAM (Draelos and Carin 2020).
    HiresCam,
    /// How far the score falls when a square is covered (Zeiler and Fergus 2014).
    Occlusion,
    /// Images that make the score as large as can be (Erhan 2009).
    Maximise,
    /// The filters of the first convolution.
    Filters,
    /// The feature maps of every layer.
    Maps,
    /// The nine patches to which feature maps respond most, each beside its projection (Zeiler and Fergus 2014, figure 2).
    TopPatches,
    /// The methods that explain an image, on one sheet, as far as they suit the network.
    All,
}

impl Method {
    fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().into())
    }

    /// The sheet that the method is drawn on.
    fn sheet(self) -> Sheet {
        match self {
            Self::Maximise => Sheet::Maximise,
            Self::Filters => Sheet::Filters,
            Self::Maps => Sheet::Maps,
            Self::TopPatches => Sheet::TopPatches,
            _ => Sheet::Image,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sheet {
    Image,
    Maximise,
    Filters,
    Maps,
    TopPatches,
}

impl Sheet {
    const ALL: [(Self, &str); 5] = [
        (Self::Image, "explained"),
        (Self::Maximise, "maximised"),
        (Self::Filters, "filters"),
        (Self::Maps, "maps"),
        (Self::TopPatches, "top-patches"),
    ];
}

/// The network, and what the user asked of it.
struct Context<'a> {
    args: &'a Args,
    model: &'a Model,
    look: Explainer<'a>,
    /// The classes as pictures show them.
    classes: Vec<String>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    let wanted = |sheet: Sheet| args.method.iter().any(|method| method.sheet() == sheet);
    let sheets: Vec<(Sheet, &str)> = Sheet::ALL.into_iter().filter(|(sheet, _)| wanted(*sheet)).collect();
    if let (Some(out), true) = (&args.out, sheets.len() > 1) {
        let names: Vec<&str> = sheets.iter().map(|(_, name)| *name).collect();
        return Err(Fault::usage(format!(
            "--out: the methods make {} pictures ({}); name one kind, or leave {} out",
            sheets.len(),
            names.join(", "),
            out.display()
        )));
    }
    let model = weights::load(&args.weights)?;
    let classes = datasets::short_names(&model.spec.classes);
    let context = Context { args: &args, model: &model, look: Explainer::new(&model.net)?, classes };
    context.check_layer()?;
    let findings = pool.run(|| context.draw(&sheets))?;
    match args.json {
        true => print(serde_json::to_string(&findings)?),
        false => {
            let mut last = None;
            for finding in &findings {
                print(finding.line());
                if last.is_some_and(|last| last != &finding.picture) {
                    print(last.unwrap_or(&finding.picture));
                }
                last = Some(&finding.picture);
            }
            last.into_iter().for_each(print);
        }
    }
    Ok(())
}

impl Context<'_> {
    /// Draws the sheets, and returns what is on them.
    fn draw(&self, sheets: &[(Sheet, &str)]) -> Result<Vec<Finding>, Fault> {
        let mut findings = Vec::new();
        // The image is read once, and only where a sheet needs one.
        let subject = match sheets.iter().any(|(sheet, _)| matches!(sheet, Sheet::Image | Sheet::Maps)) {
            true => Some(Subject::read(self)?),
            false => None,
        };
        for (sheet, name) in sheets {
            let (png, mut found) = match (sheet, &subject) {
                (Sheet::Image, Some(subject)) => attribution::sheet(self, subject)?,
                (Sheet::Maps, Some(subject)) => layers::maps(self, subject)?,
                (Sheet::Filters, _) => layers::filters(self)?,
                (Sheet::Maximise, _) => maximise::sheet(self)?,
                _ => patches::sheet(self)?,
            };
            let picture = self.write(name, &png)?;
            found.iter_mut().for_each(|finding| finding.picture = picture.clone());
            findings.append(&mut found);
        }
        Ok(findings)
    }

    /// Writes a picture; the path where it lies.
    fn write(&self, sheet: &str, png: &[u8]) -> Result<String, Fault> {
        let default = || home::runs().join("visualize").join(format!("{}-{sheet}.png", self.file_name()));
        let out = self.args.out.clone().unwrap_or_else(default);
        if let Some(folder) = out.parent() {
            std::fs::create_dir_all(folder).map_err(|e| Fault {
                status: 1,
                message: format!("{}: cannot make the folder: {e}", folder.display()),
            })?;
        }
        write_atomically(&out, png)?;
        Ok(out.display().to_string())
    }

    /// The model's name as a part of a file's.
    fn file_name(&self) -> String {
        let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        self.model.spec.name.chars().take(60).map(plain).collect()
    }

    fn check_layer(&self) -> Result<(), Fault> {
        let layers = self.look.layers();
        let names = || layers.iter().map(|layer| layer.name.as_str());
        match &self.args.layer {
            Some(wanted) if !names().any(|name| name == wanted) => Err(Fault::usage(format!(
                "--layer: expected one of {}, got {}{}",
                names().collect::<Vec<_>>().join(", "),
                one_line(wanted),
                hint(wanted, names())
            ))),
            _ => Ok(()),
        }
    }

    /// The layer that the user chose, or the last maps of a convolution.
    fn layer(&self) -> Result<&str, Fault> {
        match &self.args.layer {
            Some(layer) => Ok(layer),
            None => Ok(self.look.cam_layer()?),
        }
    }

    /// The one feature map that the user chose, if any.
    fn one_map(&self) -> Result<Option<usize>, Fault> {
        match self.args.map[..] {
            [] => Ok(None),
            [map] => Ok(Some(map)),
            _ => Err(Fault::usage("--map: expected one for this method, got several")),
        }
    }
}

/// The progress of a method: a bar, or a line now and then.
struct Ticker {
    bar: ProgressBar,
    lines: Lines,
    name: &'static str,
    total: usize,
}

impl Ticker {
    fn new(name: &'static str, total: usize) -> Self {
        let bar = progress::bar(Some(total as u64), "{msg}  {pos}/{len}  [{bar:30}]  {eta} left");
        bar.set_message(name);
        Self { bar, lines: Lines::new(), name, total }
    }

    fn tick(&mut self, done: usize) {
        self.bar.set_position(done as u64);
        let Self { name, total, .. } = *self;
        self.lines.note(&self.bar, || format!("{name}: {done}/{total}"));
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// Says on stderr that a method of `all` was left out.
fn left_out(method: Method, why: &str) {
    note(format!("{} is left out: {why}", method.name()));
}
