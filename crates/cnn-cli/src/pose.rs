//! `cnn pose`: the joints of people in pictures.

use crate::fault::{Fault, print};
use crate::home;
use crate::images_at::{self, Image};
use crate::look;
use crate::save::save;
use cnn::pose::PoseModel;
use cnn_data::Picture;
use cnn_data::pose::{LSP, Limb, PersonBox, Side, Skeleton};
use cnn_report::{self as pictures, BodySide, Bone, Figure, FigureRow};
use serde::Serialize;
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// Find the joints of the person in each image, and draw them: right limbs in one colour, left limbs in another.
///
/// The person fills the image; or --box says where the person is. Of a folder, all images in it are answered. An image that
/// cannot be read is named on stderr; the others are answered all the same, and the command ends with status 1. Places are
/// in pixels from the upper left corner. The network always answers, whether there is a person or not.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn pose photo.jpg --weights runs/pose-lspet-train/pose.safetensors
  cnn pose street.jpg --box 120,40,200,420 --weights pose.safetensors --json
  cnn pose path/to/photos --weights pose.safetensors --out poses.png")]
pub struct Args {
    /// The images, or folders of them.
    #[arg(required = true, value_name = "IMAGE")]
    images: Vec<PathBuf>,
    /// The cascade that train-pose wrote.
    #[arg(long, value_name = "FILE")]
    weights: PathBuf,
    /// The person's box in each image: its left and upper border, width and height, in pixels [default: the whole image].
    #[arg(long = "box", value_name = "X,Y,W,H", allow_hyphen_values = true)]
    bounds: Option<Bounds>,
    /// The picture to write: one image large, several as a sheet [default: runs/pose/NAME.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print one JSON array, an object for each image.
    #[arg(long)]
    json: bool,
}

/// A person's box, as the command line has it.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bounds(PersonBox);

impl FromStr for Bounds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let numbers: Vec<f64> = text.split(',').filter_map(|number| number.trim().parse().ok()).collect();
        match numbers[..] {
            [x, y, width, height]
                if text.split(',').count() == 4
                    && numbers.iter().all(|v| v.is_finite())
                    && width > 0.0
                    && height > 0.0 =>
            {
                Ok(Self(PersonBox { x, y, width, height }))
            }
            _ => Err(format!("expected x,y,width,height in pixels, the last two above 0, got {text}")),
        }
    }
}

/// The answer for one image.
#[derive(Serialize)]
struct Answer {
    image: String,
    /// Name, x and y of each joint.
    joints: Vec<(&'static str, f32, f32)>,
}

/// Images on a sheet.
const MOST_DRAWN: usize = 60;

pub fn run(args: Args) -> Result<(), Fault> {
    let model = PoseModel::load(&args.weights, &LSP)?;
    let found = images_at::find(&args.images)?;
    let (mut answers, mut drawn) = (Vec::new(), Vec::new());
    let answer = |image: &Image<'_>| {
        let picture = image.picture()?;
        Ok((estimate(&model, &picture, args.bounds, &image.name())?, picture))
    };
    let gone = images_at::go_through(&found, answer, |image, (joints, picture), _| {
        let name = image.name();
        if drawn.len() < MOST_DRAWN {
            let label = name.rsplit(['/', '\\']).next().unwrap_or(&name).to_string();
            drawn.push(Figure { image: look::rgb(&picture), bones: bones(&LSP, &joints), label });
        }
        let named = LSP.joints.iter().zip(&joints).map(|(joint, [x, y])| (*joint, *x, *y));
        answers.push(Answer { image: name, joints: named.collect() });
        Ok(())
    })?;
    if let Some(first) = answers.first() {
        if args.json {
            print(serde_json::to_string(&answers)?);
        }
        let file = args.out.unwrap_or_else(|| default_out(&first.image, answers.len()));
        save(&file, &sheet(&drawn, answers.len())?)?;
        if !args.json {
            print(file.display());
        }
    }
    gone.end("answered")
}

/// The joints of the person in the box, which must meet the picture.
fn estimate(
    model: &PoseModel,
    picture: &Picture<'_>,
    bounds: Option<Bounds>,
    name: &str,
) -> Result<Vec<[f32; 2]>, Fault> {
    let size = [picture.width(), picture.height()];
    let Bounds(bounds) = bounds.unwrap_or(Bounds(PersonBox::whole(size)));
    let [width, height] = size.map(|side| side as f64);
    let meets = bounds.x < width && bounds.y < height && bounds.x + bounds.width > 0.0;
    if !(meets && bounds.y + bounds.height > 0.0) {
        let message = format!(
            "{name}: expected a --box within the image of {width} x {height} pixels, got one beside it"
        );
        return Err(Fault { status: 1, message });
    }
    Ok(model.predict(picture, bounds)?.joints().to_vec())
}

/// The file that is written if none is named.
fn default_out(image: &str, images: usize) -> PathBuf {
    let stem = Path::new(image.rsplit(": ").next().unwrap_or(image)).file_stem().unwrap_or_default();
    let name = match images {
        1 => stem.to_string_lossy().into_owned(),
        more => format!("{}-and-{}-more", stem.to_string_lossy(), more - 1),
    };
    home::runs().join("pose").join(name + ".png")
}

fn sheet(drawn: &[Figure], all: usize) -> Result<Vec<u8>, Fault> {
    if let [only] = drawn {
        return Ok(pictures::figure(only)?);
    }
    let facts = match drawn.len() {
        some if some < all => format!("the first {some} of {all} images"),
        _ => format!("{all} images"),
    };
    let row = FigureRow { heading: String::new(), figures: drawn.to_vec() };
    Ok(pictures::figures("Poses", &facts, &[row])?)
}

/// The lines of a drawing: the limbs, and those of the trunk.
pub fn bones(skeleton: &Skeleton, joints: &[[f32; 2]]) -> Vec<Bone> {
    let bone = |limb: &Limb| Bone {
        ends: limb.ends.map(|joint| joints[joint]),
        side: match limb.side {
            Side::Right => BodySide::Right,
            Side::Left => BodySide::Left,
            Side::Middle => BodySide::Middle,
        },
    };
    skeleton.trunk.iter().chain(skeleton.limbs).map(bone).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::parse;

    #[test]
    fn boxes_are_four_numbers() {
        let bounds = |text: &str| text.parse::<Bounds>();
        assert_eq!(bounds("1,2.5, 3,4").unwrap().0, PersonBox { x: 1.0, y: 2.5, width: 3.0, height: 4.0 });
        for wrong in ["", "1,2,3", "1,2,3,4,5", "1,2,0,4", "1,2,3,-4", "a,2,3,4", "1,2,3,inf", "1,,2,3,4"] {
            assert!(bounds(wrong).unwrap_err().contains("expected x,y,width,height"), "{wrong}");
        }
        let args: Args = parse(&["a.jpg", "--weights", "w", "--box", "-5,0,10,10"]).unwrap();
        assert_eq!(args.bounds.unwrap().0.x, -5.0);
    }

    #[test]
    fn files_are_named_after_the_image() {
        let name = |image: &str, images| default_out(image, images).file_name().unwrap().to_owned();
        assert_eq!(name("a/b/photo.jpg", 1), "photo.png");
        assert_eq!(name("people.tar: x/im1.jpg", 3), "im1-and-2-more.png");
    }
}
