//! Tables of joints: text with commas, a line for each person.

use super::{Joint, Person, PersonBox, Skeleton};
use crate::DataError;
use std::collections::BTreeMap;
use std::path::Path;

/// A line of a table.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Row {
    /// The image's name.
    pub image: String,
    /// Its width and height as the table says.
    pub size: [usize; 2],
    pub person: Person,
}

/// Faults of the same kind that a message lists.
const LISTED: usize = 3;

/// The people of the table in `text`, the content of the file at `path`.
///
/// The first line names the columns, in any order: `image`, `width`, `height`; `JOINT_x`, `JOINT_y` and `JOINT_v` for each joint, `v`
/// being 1 for a joint that can be seen and 0 for others; and, if the table has them, `box_x`, `box_y`, `box_width` and `box_height`,
/// the person's box, which otherwise is the whole image. Other columns are passed over.
pub(super) fn read(path: &Path, text: &str, skeleton: &Skeleton) -> Result<Vec<Row>, DataError> {
    let fault = |expected: String, got: String| DataError::layout(path, expected, got);
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((_, head)) = lines.next() else {
        return Err(fault("a line with the names of the columns".into(), "an empty file".into()));
    };
    let head = head.trim_start_matches('\u{feff}');
    let columns: BTreeMap<&str, usize> = head.split(',').map(str::trim).zip(0..).collect();
    let count = head.split(',').count();
    let of_joints = skeleton.joints.iter().flat_map(|joint| ["x", "y", "v"].map(|c| format!("{joint}_{c}")));
    let needed: Vec<String> =
        ["image", "width", "height"].map(String::from).into_iter().chain(of_joints).collect();
    let missing: Vec<String> =
        needed.iter().filter(|name| !columns.contains_key(name.as_str())).cloned().collect();
    if !missing.is_empty() {
        let expected =
            format!("the columns image, width, height, and x, y and v of {} joints", skeleton.joints.len());
        return Err(fault(expected, format!("none named {}", listed(&missing))));
    }
    let boxes = ["box_x", "box_y", "box_width", "box_height"];
    let with_box = boxes.iter().all(|name| columns.contains_key(name));

    let (mut rows, mut outside) = (Vec::new(), Vec::new());
    for (number, line) in lines {
        let number = number + 1;
        let cells: Vec<&str> = line.split(',').map(str::trim).collect();
        if cells.len() != count {
            let expected = format!("{count} columns in line {number}, as in the first");
            return Err(fault(expected, cells.len().to_string()));
        }
        let cell = |name: &str| cells[columns[name]];
        let number_in = |name: &str, what: &str, sound: fn(f64) -> bool| -> Result<f64, DataError> {
            let value = cell(name).parse::<f64>().ok().filter(|v| v.is_finite() && sound(*v));
            value.ok_or_else(|| {
                fault(format!("{what} in column {name} of line {number}"), format!("{:?}", cell(name)))
            })
        };
        let side = |name| {
            let whole = |v: f64| v >= 1.0 && v.fract() == 0.0 && v <= f64::from(u32::MAX);
            number_in(name, "a whole number of pixels", whole).map(|v| v as usize)
        };
        let (image, size) = (cell("image").to_string(), [side("width")?, side("height")?]);
        if image.is_empty() {
            return Err(fault(format!("the name of an image in line {number}"), "none".into()));
        }
        let mut joints = Vec::with_capacity(skeleton.joints.len());
        for name in skeleton.joints {
            let coordinate =
                |axis| number_in(&format!("{name}_{axis}"), "a number", |v| (v as f32).is_finite());
            let (x, y) = (coordinate("x")?, coordinate("y")?);
            let visible = number_in(&format!("{name}_v"), "0 or 1", |v| v == 0.0 || v == 1.0)? == 1.0;
            let [width, height] = size.map(|side| side as f64);
            if visible && !((0.0..=width).contains(&x) && (0.0..=height).contains(&y)) {
                outside
                    .push(format!("{name} of {image} in line {number} at ({x}, {y}) of {width} x {height}"));
            }
            joints.push(Joint { x: x as f32, y: y as f32, visible });
        }
        let bounds = if with_box {
            let [x, y] =
                [number_in(boxes[0], "a number", |_| true)?, number_in(boxes[1], "a number", |_| true)?];
            let extent = |name| number_in(name, "a number above 0", |v| v > 0.0);
            PersonBox { x, y, width: extent(boxes[2])?, height: extent(boxes[3])? }
        } else {
            PersonBox::whole(size)
        };
        rows.push(Row { image, size, person: Person { joints, bounds } });
    }
    if !outside.is_empty() {
        let got = format!("{} outside: {}", outside.len(), listed(&outside));
        return Err(fault("visible joints inside of their images".into(), got));
    }
    if rows.is_empty() {
        return Err(fault("a line for each person".into(), "none".into()));
    }
    Ok(rows)
}

/// The first faults, and the number of the others.
pub(super) fn listed(all: &[String]) -> String {
    let first = all[..all.len().min(LISTED)].join(", ");
    match all.len().saturating_sub(LISTED) {
        0 => first,
        more => format!("{first}, and {more} more"),
    }
}
