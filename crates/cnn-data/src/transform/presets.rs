//! The usual pipelines, by name: augmentations for training, and the preparation of test images.

use super::{
    CenterCrop, ColorJitter, Cutout, ElasticTransform, HorizontalFlip, PaddingMode, PcaLighting, Pipeline,
    RandAugment, RandomCrop, RandomErasing, RandomResizedCrop, Resize, Size, Transform, TransformSpec,
};
use crate::{Crops, DataError};
use std::fmt::{self, Display};
use std::path::Path;
use std::str::FromStr;

/// Declares the presets: a variant, its name, and its description, which is also its documentation.
macro_rules! presets {
    ($($variant:ident = $name:literal: $doc:literal,)*) => {
        /// An augmentation by name.
        ///
        /// ```
        /// use cnn_data::transform::{Frame, Preset};
        /// let preset: Preset = "crop-flip".parse()?;
        /// let pipeline = preset.training(Frame::new(Some(32), None))?;
        /// assert_eq!(pipeline.steps().len(), 2);
        /// # Ok::<(), cnn_data::DataError>(())
        /// ```
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Preset {
            $(#[doc = $doc] $variant,)*
        }

        impl Preset {
            /// All presets, the mildest first.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The name, by which commands and recipes know it.
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The preset in one sentence, for help texts.
            pub fn describe(self) -> &'static str {
                match self {
                    $(Self::$variant => $doc,)*
                }
            }
        }
    };
}

presets! {
    None = "none": "Nothing at random.",
    Flip = "flip": "Left and right exchanged half of the time.",
    ShiftFlip = "shift-flip": "Shifted by up to 2 pixels, and flipped (Jordan 2024).",
    CropFlip = "crop-flip": "Shifted by up to 4 pixels, and flipped (He et al. 2016, for CIFAR).",
    Cutout = "cutout": "Shifted, flipped, and a square of a quarter of the area blanked out (DeVries and Taylor 2017).",
    Distort = "distort": "Rotated, scaled, slanted and pulled about, as handwriting varies (Simard et al. 2003).",
    Imagenet = "imagenet": "A part of any size and shape, flipped, of other colours (Szegedy et al. 2015, as torchvision).",
    Alexnet = "alexnet": "A crop of the scaled photo, flipped, in another light (Krizhevsky et al. 2012, section 4.1).",
    Randaugment = "randaugment": "A part of any size, flipped, two transforms drawn from a list, and a rectangle erased (Cubuk et al. 2020).",
}

impl Preset {
    fn names() -> String {
        Self::ALL.iter().map(|preset| preset.name()).collect::<Vec<_>>().join(", ")
    }

    /// The pipeline for training images.
    ///
    /// # Errors
    /// The frame's size is outside the range of a transform.
    pub fn training(self, frame: Frame) -> Result<Pipeline, DataError> {
        let size = frame.size;
        let flip = || TransformSpec::from(HorizontalFlip::default());
        let shifted = |pixels: usize| {
            let mut steps = frame.centre_steps();
            let padding_mode = PaddingMode::Reflect;
            steps.push(RandomCrop { padding: [pixels; 4], padding_mode, ..RandomCrop::new(size) }.into());
            steps
        };
        let steps = match self {
            Self::None => frame.centre_steps(),
            Self::Flip => [frame.centre_steps(), vec![flip()]].concat(),
            Self::ShiftFlip => [shifted(2), vec![flip()]].concat(),
            Self::CropFlip => [shifted(4), vec![flip()]].concat(),
            Self::Cutout => {
                let half = (size[0].min(size[1]) / 2).max(1);
                [shifted(4), vec![flip(), Cutout { size: half, holes: 1 }.into()]].concat()
            }
            Self::Distort => {
                let elastic = ElasticTransform {
                    alpha: 34.0,
                    sigma: 5.0,
                    degrees: [-12.0, 12.0],
                    translate: [0.06, 0.06],
                    scale: [0.9, 1.1],
                    shear: [-8.0, 8.0, 0.0, 0.0],
                    ..ElasticTransform::default()
                };
                [frame.centre_steps(), vec![elastic.into()]].concat()
            }
            Self::Imagenet => {
                let by = [0.6, 1.4];
                let jitter = ColorJitter { brightness: by, contrast: by, saturation: by, hue: [0.0; 2] };
                vec![RandomResizedCrop::new(size).into(), flip(), jitter.into()]
            }
            Self::Alexnet => vec![
                Resize::new(Size::Short(frame.short_side())).into(),
                RandomCrop::new(size).into(),
                flip(),
                PcaLighting::default().into(),
            ],
            Self::Randaugment => vec![
                RandomResizedCrop::new(size).into(),
                flip(),
                RandAugment::default().into(),
                RandomErasing::default().into(),
            ],
        };
        Pipeline::new(steps)
    }
}

impl Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Preset {
    type Err = DataError;

    /// The preset of that name; capital letters are as good as small ones.
    fn from_str(name: &str) -> Result<Self, DataError> {
        let known = Self::ALL.iter().find(|preset| preset.name().eq_ignore_ascii_case(name));
        known.copied().ok_or_else(|| DataError::Setting {
            what: "the augmentation",
            rule: format!("one of {}", Self::names()),
            got: name.into(),
        })
    }
}

/// The sizes of the images that come and of those that the network takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Height and width of the network's input.
    size: [usize; 2],
    /// Whether the images have that size already.
    fits: bool,
}

impl Frame {
    /// From images of height and width `side`, or photos of any size, to squares of `size`: by default the images' own size,
    /// or 224 for photos.
    pub fn new(side: Option<usize>, size: Option<usize>) -> Self {
        let wanted = size.or(side).unwrap_or(224);
        Self { size: [wanted; 2], fits: side == Some(wanted) }
    }

    /// To images of height and width `size`: from images of that size if they fit, and otherwise from photos of any size.
    pub fn of(size: [usize; 2], fits: bool) -> Self {
        Self { size, fits }
    }

    /// The shorter side to which photos are scaled before the centre is cut out: 256 for 224 and 227, in proportion for
    /// others, and never less than the longer side of the crop.
    pub fn short_side(self) -> usize {
        let [h, w] = self.size;
        let side = h.max(w);
        (side * 8 / 7 / 8 * 8).max(side)
    }

    /// The pipeline that scales a photo and cuts out the centre. Images that fit stay as they are.
    ///
    /// # Errors
    /// The size is outside the range of a transform.
    pub fn centre(self) -> Result<Pipeline, DataError> {
        Pipeline::new(self.centre_steps())
    }

    /// The pipeline for test images of which `views` views are taken, 1, 2, 5 or 10; and these views, if more than one.
    ///
    /// ```
    /// use cnn_data::Crops;
    /// use cnn_data::transform::Frame;
    /// let (scaled, crops) = Frame::new(None, Some(224)).testing(10)?;
    /// assert_eq!(serde_json::to_string(&scaled).unwrap(), r#"[{"type":"resize","size":256,"interpolation":"bilinear"}]"#);
    /// assert_eq!(crops, Some(Crops::Ten { size: [224, 224] }));
    /// # Ok::<(), cnn_data::DataError>(())
    /// ```
    ///
    /// # Errors
    /// Another number of views, or the size is outside the range of a transform.
    pub fn testing(self, views: usize) -> Result<(Pipeline, Option<Crops>), DataError> {
        views_of(views, self.centre()?, self.short_side(), self.size)
    }

    fn centre_steps(self) -> Vec<TransformSpec> {
        match self.fits {
            true => Vec::new(),
            false => center_pipeline(self.short_side(), self.size).steps,
        }
    }
}

/// The pipeline before so many views are taken, and these views, if more than one: `centre`, or for corners the shorter side
/// scaled to `wide`.
pub(crate) fn views_of(
    views: usize,
    centre: Pipeline,
    wide: usize,
    size: [usize; 2],
) -> Result<(Pipeline, Option<Crops>), DataError> {
    let scaled = || Pipeline::new([Resize::new(Size::Short(wide)).into()]);
    match views {
        1 => Ok((centre, None)),
        2 => Ok((centre, Some(Crops::Mirrored))),
        5 => Ok((scaled()?, Some(Crops::Five { size }))),
        10 => Ok((scaled()?, Some(Crops::Ten { size }))),
        other => Err(DataError::Setting {
            what: "the views of a test image",
            rule: "1, 2, 5 or 10".into(),
            got: other.to_string(),
        }),
    }
}

/// The pipeline for training images that `wanted` describes: the name of a [`Preset`], or a JSON file with a list of
/// transforms.
///
/// # Errors
/// It is neither, the file cannot be read, or an option of a transform is outside its range.
pub fn training(wanted: &str, frame: Frame) -> Result<Pipeline, DataError> {
    match wanted.parse::<Preset>() {
        Ok(preset) => preset.training(frame),
        Err(_) => read(wanted.as_ref()),
    }
}

/// The pipeline that scales the shorter side of any picture to `resize`, unless it has that length, and cuts out the centre
/// of height and width `size`.
///
/// ```
/// use cnn_data::Picture;
/// use cnn_data::transform::{Transform, center_pipeline};
/// let photo = Picture::filled([3, 480, 640], 9);
/// let centre = center_pipeline(256, [224, 224]).apply(photo, &mut cnn_tensor::Random::new(0, &[]))?;
/// assert_eq!(centre.shape(), [3, 224, 224]);
/// # Ok::<(), cnn_data::DataError>(())
/// ```
///
/// The sizes are not checked here: [`Transform::validate`] and [`Loader::transform`](crate::Loader::transform) do it, and so
/// does applying it.
pub fn center_pipeline(resize: usize, size: [usize; 2]) -> Pipeline {
    Pipeline { steps: vec![Resize::new(Size::Short(resize)).into(), CenterCrop { size }.into()] }
}

fn read(file: &Path) -> Result<Pipeline, DataError> {
    let fault = |fault: &dyn Display| DataError::Setting {
        what: "the augmentation",
        rule: format!("one of {}, or a JSON file with a list of transforms", Preset::names()),
        got: format!("{}: {fault}", file.display()),
    };
    let text = std::fs::read_to_string(file).map_err(|e| fault(&e))?;
    let pipeline: Pipeline = serde_json::from_str(&text).map_err(|e| fault(&e))?;
    pipeline.validate().map_err(|e| fault(&e))?;
    Ok(pipeline)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Picture;
    use cnn_tensor::Random;

    /// Saved configurations for photos that become 64x64.
    #[test]
    fn presets_stay_what_configurations_hold() {
        let scaled = r#"{"type":"resize","size":72,"interpolation":"bilinear"}"#;
        let centre = format!(r#"{scaled},{{"type":"center_crop","size":[64,64]}}"#);
        let shifted = |pixels: usize| {
            let padding = format!("[{pixels},{pixels},{pixels},{pixels}]");
            let rest = r#""padding_mode":"reflect","fill":0}"#;
            format!(r#"{centre},{{"type":"random_crop","size":[64,64],"padding":{padding},{rest}"#)
        };
        let flip = r#"{"type":"horizontal_flip","p":0.5}"#;
        let part = r#"{"type":"random_resized_crop","size":[64,64],"scale":[0.08,1.0],"ratio":[0.75,1.3333334],"interpolation":"bilinear"}"#;
        let elastic = r#"{"type":"elastic_transform","alpha":34.0,"sigma":5.0,"degrees":[-12.0,12.0],"translate":[0.06,0.06],"scale":[0.9,1.1],"shear":[-8.0,8.0,0.0,0.0],"interpolation":"bilinear","fill":0}"#;
        let jitter = r#"{"type":"color_jitter","brightness":[0.6,1.4],"contrast":[0.6,1.4],"saturation":[0.6,1.4],"hue":[0.0,0.0]}"#;
        let crop =
            r#"{"type":"random_crop","size":[64,64],"padding":[0,0,0,0],"padding_mode":"constant","fill":0}"#;
        let light = r#"{"type":"pca_lighting","std":0.1,"eigenvalues":[0.2175,0.0188,0.0045],"eigenvectors":[[-0.5675,0.7192,0.4009],[-0.5808,-0.0045,-0.814],[-0.5836,-0.6948,0.4203]]}"#;
        let drawn = r#"{"type":"rand_augment","num_ops":2,"magnitude":9,"num_magnitude_bins":31,"interpolation":"nearest","fill":0}"#;
        let erased = r#"{"type":"random_erasing","p":0.5,"scale":[0.02,0.33],"ratio":[0.3,3.3],"value":0.0}"#;
        let want = [
            ("none", centre.clone()),
            ("flip", format!("{centre},{flip}")),
            ("shift-flip", format!("{},{flip}", shifted(2))),
            ("crop-flip", format!("{},{flip}", shifted(4))),
            ("cutout", format!(r#"{},{flip},{{"type":"cutout","size":32,"holes":1}}"#, shifted(4))),
            ("distort", format!("{centre},{elastic}")),
            ("imagenet", format!("{part},{flip},{jitter}")),
            ("alexnet", format!("{scaled},{crop},{flip},{light}")),
            ("randaugment", format!("{part},{flip},{drawn},{erased}")),
        ];
        assert_eq!(Preset::ALL.len(), want.len());
        for (preset, (name, steps)) in Preset::ALL.iter().zip(want) {
            assert_eq!((preset.name(), name.to_uppercase().parse::<Preset>().unwrap()), (name, *preset));
            assert!(preset.describe().ends_with('.'));
            let pipeline = training(name, Frame::new(None, Some(64))).unwrap();
            assert_eq!(serde_json::to_string(&pipeline).unwrap(), format!("[{steps}]"));
        }
    }

    #[test]
    fn images_that_fit_are_not_scaled() {
        for frame in [Frame::new(Some(28), None), Frame::new(Some(28), Some(28)), Frame::of([28, 28], true)] {
            assert_eq!(frame.centre().unwrap(), Pipeline::default());
            assert_eq!(training("none", frame).unwrap(), Pipeline::default());
            let (pipeline, crops) = frame.testing(2).unwrap();
            assert_eq!((pipeline, crops), (Pipeline::default(), Some(Crops::Mirrored)));
        }
        let sides = [(224, 256), (227, 256), (64, 72), (28, 32), (5, 5)];
        assert!(sides.iter().all(|&(size, short)| Frame::new(None, Some(size)).short_side() == short));
    }

    #[test]
    fn other_names_files_and_views_are_refused() {
        let frame = Frame::new(Some(32), None);
        let message = training("crop-flap", frame).unwrap_err().to_string();
        assert!(message.starts_with("the augmentation must be one of none, flip, shift-flip, "), "{message}");
        assert!(message.contains("or a JSON file with a list of transforms, got crop-flap: "), "{message}");
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("steps.json");
        let read = |json: &str| {
            std::fs::write(&file, json).unwrap();
            training(file.to_str().unwrap(), frame)
        };
        assert_eq!(read(r#"[{"type": "horizontal_flip"}]"#).unwrap().steps().len(), 1);
        assert!(read(r#"[{"type": "horizontal_flip", "p": 2}]"#).is_err());
        assert!(read("{").is_err());
        let message = frame.testing(3).unwrap_err().to_string();
        assert_eq!(message, "the views of a test image must be 1, 2, 5 or 10, got 3");
        assert!(Frame::new(None, Some(0)).centre().is_err());
    }

    #[test]
    fn a_picture_of_the_size_stays_as_it_is() {
        let data: Vec<u8> = (0..3 * 40 * 50).map(|i| (i % 256) as u8).collect();
        let picture = Picture::new([3, 40, 50], data).unwrap();
        let mut random = Random::new(0, &[]);
        let centre = center_pipeline(40, [40, 50]).apply(picture.clone(), &mut random).unwrap();
        assert_eq!(centre, picture);
        assert_eq!(center_pipeline(80, [60, 70]).apply(picture, &mut random).unwrap().shape(), [3, 60, 70]);
        assert!(center_pipeline(0, [1, 1]).validate().is_err());
    }
}
