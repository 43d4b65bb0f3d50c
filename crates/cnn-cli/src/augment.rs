//! What happens to images before they are normalised: the presets of `--augment`, and what a test does.

use crate::fault::Fault;
use clap::ValueEnum;
use cnn_data::transform::{
    CenterCrop, ColorJitter, Cutout, ElasticTransform, HorizontalFlip, PaddingMode, PcaLighting, Pipeline,
    RandAugment, RandomCrop, RandomErasing, RandomResizedCrop, Resize, Size, Transform, TransformSpec,
};
use cnn_data::{Crops, Mix};
use std::path::Path;

/// A preset of `--augment`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Preset {
    /// Nothing at random.
    None,
    /// Left and right exchanged half of the time.
    Flip,
    /// Shifted by up to 2 pixels, and flipped (Jordan 2024).
    ShiftFlip,
    /// Shifted by up to 4 pixels, and flipped (He et al. 2016, for CIFAR).
    CropFlip,
    /// Shifted, flipped, and a square of a quarter of the area blanked out (DeVries and Taylor 2017).
    Cutout,
    /// Rotated, scaled, slanted and pulled about, as handwriting varies (Simard et al. 2003).
    Distort,
    /// A part of any size and shape, flipped, of other colours (Szegedy et al. 2015, as torchvision).
    Imagenet,
    /// A crop of the scaled photo, flipped, in another light (Krizhevsky et al. 2012, section 4.1).
    Alexnet,
    /// A part of any size, flipped, two transforms drawn from a list, and a rectangle erased (Cubuk et al. 2020).
    Randaugment,
}

/// From what images to what size.
#[derive(Clone, Copy, Debug)]
pub struct Frame {
    /// Height and width of what the network takes.
    size: [usize; 2],
    /// Whether the images have that size already.
    fits: bool,
}

impl Frame {
    /// Images of height and width `side`, or photos of any size; to be brought to `size`, if that is not their own.
    pub fn new(side: Option<usize>, size: Option<usize>) -> Self {
        let wanted = size.or(side).unwrap_or(224);
        Self { size: [wanted; 2], fits: side == Some(wanted) }
    }

    /// Images for a network of images of `size`: of that size if they fit, and else photos of any.
    pub fn of(size: [usize; 2], fits: bool) -> Self {
        Self { size, fits }
    }

    /// The shorter side to which photos are scaled before the middle is cut out: 256 for 224 and 227, in proportion for
    /// others.
    fn short_side(self) -> usize {
        let [h, w] = self.size;
        let side = h.max(w);
        (side * 8 / 7 / 8 * 8).max(side)
    }

    /// Scaled, and the middle cut out.
    fn centre(self) -> Vec<TransformSpec> {
        match self.fits {
            true => Vec::new(),
            false => vec![
                Resize::new(Size::Short(self.short_side())).into(),
                CenterCrop { size: self.size }.into(),
            ],
        }
    }
}

/// The transforms of a preset or of a JSON file.
pub fn training(wanted: &str, frame: Frame) -> Result<Pipeline, Fault> {
    let Ok(preset) = Preset::from_str(wanted, true) else { return read(Path::new(wanted)) };
    let size = frame.size;
    let flip = || TransformSpec::from(HorizontalFlip::default());
    let shifted = |pixels: usize| {
        let mut steps = frame.centre();
        let padding_mode = PaddingMode::Reflect;
        steps.push(RandomCrop { padding: [pixels; 4], padding_mode, ..RandomCrop::new(size) }.into());
        steps
    };
    let steps = match preset {
        Preset::None => frame.centre(),
        Preset::Flip => [frame.centre(), vec![flip()]].concat(),
        Preset::ShiftFlip => [shifted(2), vec![flip()]].concat(),
        Preset::CropFlip => [shifted(4), vec![flip()]].concat(),
        Preset::Cutout => {
            let half = (size[0].min(size[1]) / 2).max(1);
            [shifted(4), vec![flip(), Cutout { size: half, holes: 1 }.into()]].concat()
        }
        Preset::Distort => {
            let elastic = ElasticTransform {
                alpha: 34.0,
                sigma: 5.0,
                degrees: [-12.0, 12.0],
                translate: [0.06, 0.06],
                scale: [0.9, 1.1],
                shear: [-8.0, 8.0, 0.0, 0.0],
                ..ElasticTransform::default()
            };
            [frame.centre(), vec![elastic.into()]].concat()
        }
        Preset::Imagenet => {
            let by = [0.6, 1.4];
            let jitter = ColorJitter { brightness: by, contrast: by, saturation: by, hue: [0.0; 2] };
            vec![RandomResizedCrop::new(size).into(), flip(), jitter.into()]
        }
        Preset::Alexnet => vec![
            Resize::new(Size::Short(frame.short_side())).into(),
            RandomCrop::new(size).into(),
            flip(),
            PcaLighting::default().into(),
        ],
        Preset::Randaugment => vec![
            RandomResizedCrop::new(size).into(),
            flip(),
            RandAugment::default().into(),
            RandomErasing::default().into(),
        ],
    };
    Ok(Pipeline::new(steps)?)
}

/// The list of transforms in a JSON file.
fn read(file: &Path) -> Result<Pipeline, Fault> {
    let presets: Vec<_> = Preset::value_variants().iter().filter_map(ValueEnum::to_possible_value).collect();
    let names: Vec<&str> = presets.iter().map(clap::builder::PossibleValue::get_name).collect();
    let fault = |e: &dyn std::fmt::Display| {
        Fault::usage(format!(
            "--augment: expected one of {}, or a JSON file with a list of transforms; {}: {e}",
            names.join(", "),
            file.display()
        ))
    };
    let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
    let pipeline: Pipeline = serde_json::from_str(&text).map_err(|e| fault(&e))?;
    pipeline.validate().map_err(|e| fault(&e))?;
    Ok(pipeline)
}

/// What is done to a photo of which there is one view: scaled, and the middle cut out.
pub fn centre(size: [usize; 2]) -> Result<Pipeline, Fault> {
    Ok(Pipeline::new(Frame::of(size, false).centre())?)
}

/// What is done to test images before so many views (1, 2, 5 or 10) are taken of them, and the views.
pub fn test(crops: &str, frame: Frame) -> Result<(Pipeline, Option<Crops>), Fault> {
    let size = frame.size;
    let scaled = || Pipeline::new([Resize::new(Size::Short(frame.short_side())).into()]);
    Ok(match crops {
        "2" => (Pipeline::new(frame.centre())?, Some(Crops::Mirrored)),
        "5" => (scaled()?, Some(Crops::Five { size })),
        "10" => (scaled()?, Some(Crops::Ten { size })),
        _ => (Pipeline::new(frame.centre())?, None),
    })
}

/// `mixup:ALPHA` or `cutmix:ALPHA`; `none` for neither.
pub fn mix(wanted: &str) -> Result<Option<Mix>, Fault> {
    let fault = || Fault::usage(format!("--mix: expected none, mixup:ALPHA or cutmix:ALPHA, got {wanted}"));
    if wanted == "none" {
        return Ok(None);
    }
    let (kind, alpha) = wanted.split_once(':').ok_or_else(fault)?;
    let alpha: f32 = alpha.parse().map_err(|_| fault())?;
    match kind {
        "mixup" => Ok(Some(Mix::Mixup { alpha })),
        "cutmix" => Ok(Some(Mix::CutMix { alpha })),
        _ => Err(fault()),
    }
}
