//! Sheets of images with titles: explanations side by side, groups of maps, and patches beside their projections.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{FADED, GRID};
use image::RgbImage;

/// The width of every sheet, and its margin.
const WIDTH: u32 = 1600;
const LEFT: u32 = 60;
const INNER: u32 = WIDTH - 2 * LEFT;

/// An image with the words around it.
#[derive(Clone, Debug)]
pub struct Panel {
    /// The heading above.
    pub title: String,
    /// Lines below.
    pub notes: Vec<String>,
    /// The image. `None` for a map of zeros alone: an empty frame says so.
    pub image: Option<RgbImage>,
}

/// Panels side by side, `columns` in a row, below a title and a line of facts. Images are drawn as large as the columns allow.
///
/// A PNG 1600 pixels wide and as high as the panels need.
///
/// # Errors
/// The encoder fails.
pub fn panels(title: &str, facts: &str, columns: usize, panels: &[Panel]) -> Result<Vec<u8>, PictureError> {
    const GAP: u32 = 26;
    const NOTE: u32 = 30;

    let columns = (columns.max(1) as u32).min(INNER / 60);
    let side = ((INNER - (columns - 1) * GAP) / columns).min(640);
    let lines = panels.iter().map(|panel| panel.notes.len()).max().unwrap_or(0) as u32;
    let step = [side + GAP, side + 62 + lines * NOTE + 34];
    let rows = (panels.len() as u32).div_ceil(columns);
    let mut canvas = Canvas::new(WIDTH, HEAD + rows * step[1] + 10);
    head(&mut canvas, title, facts);
    for (i, panel) in (0..).zip(panels) {
        let (x, y) = (LEFT + i % columns * step[0], HEAD + i / columns * step[1]);
        let wide = side as f32;
        canvas.text(x as f32, y as f32 + 16.0, HEADING.fit(&panel.title, wide), &panel.title);
        let at = Rect { x, y: y + 46, w: side, h: side };
        match &panel.image {
            Some(image) => canvas.image(at, image),
            None => {
                canvas.fill(Rect { x: x - 1, y: at.y - 1, w: side + 2, h: side + 2 }, GRID);
                let words = "all zero";
                let style = HEADING.colored(FADED).centred().fit(words, wide - 8.0);
                canvas.text(x as f32 + wide / 2.0, at.y as f32 + wide / 2.0, style, words);
            }
        }
        for (line, note) in (0..).zip(&panel.notes) {
            let y = (at.y + side + 24 + line * NOTE) as f32;
            canvas.text(x as f32, y, LABEL.sized(24.0).colored(FADED).fit(note, wide), note);
        }
    }
    canvas.png()
}

/// Small images of one kind under a heading.
#[derive(Clone, Debug)]
pub struct Group {
    /// The heading.
    pub title: String,
    /// The images, all alike in size.
    pub images: Vec<RgbImage>,
}

/// Groups one below the other, of `columns` images in a row, below a title and a line of facts.
///
/// A PNG 1600 pixels wide and as high as the groups need.
///
/// # Errors
/// The encoder fails.
pub fn groups(title: &str, facts: &str, columns: usize, groups: &[Group]) -> Result<Vec<u8>, PictureError> {
    const GAP: u32 = 10;

    let columns = (columns.max(1) as u32).min(INNER / 30);
    let side = (INNER - (columns - 1) * GAP) / columns;
    let rows = |group: &Group| (group.images.len() as u32).div_ceil(columns);
    let heading = |group: &Group| if group.title.is_empty() { 0 } else { 44 };
    let height = groups.iter().map(|group| heading(group) + rows(group) * (side + GAP) + 26).sum::<u32>();
    let mut canvas = Canvas::new(WIDTH, HEAD + height + 10);
    head(&mut canvas, title, facts);
    let mut y = HEAD;
    for group in groups {
        let style = LABEL.fit(&group.title, INNER as f32);
        canvas.text(LEFT as f32, y as f32 + 14.0, style, &group.title);
        y += heading(group);
        for (i, image) in (0..).zip(&group.images) {
            let (x, y) = (LEFT + i % columns * (side + GAP), y + i / columns * (side + GAP));
            canvas.image(Rect { x, y, w: side, h: side }, image);
        }
        y += rows(group) * (side + GAP) + 26;
    }
    canvas.png()
}

/// The image patches to which a feature map responds most, each with its projection.
#[derive(Clone, Debug)]
pub struct Patches {
    /// The heading.
    pub title: String,
    /// Up to nine patches, the strongest first, each with its projection.
    pub pairs: Vec<(RgbImage, RgbImage)>,
}

/// Zeiler and Fergus's figure 2: for each feature map the patches in a square of nine, and at the right of it their projections
/// in the same order.
///
/// A PNG 1600 pixels wide, of three maps a row.
///
/// # Errors
/// The encoder fails.
pub fn patches(title: &str, facts: &str, maps: &[Patches]) -> Result<Vec<u8>, PictureError> {
    const COLUMNS: u32 = 3;
    const SIDE: u32 = 72;
    const SQUARE: u32 = 3 * SIDE + 2 * 4;
    const STEP: [u32; 2] = [2 * SQUARE + 16 + 40, SQUARE + 84];

    let rows = (maps.len() as u32).div_ceil(COLUMNS);
    let mut canvas = Canvas::new(WIDTH, HEAD + rows * STEP[1] + 10);
    head(&mut canvas, title, facts);
    for (i, map) in (0..).zip(maps) {
        let (x, y) = (LEFT + i % COLUMNS * STEP[0], HEAD + i / COLUMNS * STEP[1]);
        let wide = (2 * SQUARE + 16) as f32;
        canvas.text(x as f32, y as f32 + 14.0, LABEL.fit(&map.title, wide), &map.title);
        for (i, (patch, projection)) in (0..).zip(map.pairs.iter().take(9)) {
            let (dx, y) = (i % 3 * (SIDE + 4), y + 40 + i / 3 * (SIDE + 4));
            canvas.image(Rect { x: x + dx, y, w: SIDE, h: SIDE }, patch);
            canvas.image(Rect { x: x + SQUARE + 16 + dx, y, w: SIDE, h: SIDE }, projection);
        }
    }
    canvas.png()
}

/// The height of title and facts.
const HEAD: u32 = 160;

fn head(canvas: &mut Canvas, title: &str, facts: &str) {
    let width = INNER as f32;
    canvas.text(LEFT as f32, 60.0, TITLE.fit(title, width), title);
    canvas.text(LEFT as f32, 112.0, LABEL.colored(FADED).fit(facts, width), facts);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::Rgb;

    const RED: Rgb<u8> = Rgb([255, 0, 0]);
    const GREEN: Rgb<u8> = Rgb([0, 255, 0]);

    fn square(color: Rgb<u8>) -> RgbImage {
        RgbImage::from_pixel(4, 4, color)
    }

    #[test]
    fn every_panel_is_drawn_and_zeros_are_said() {
        let panel = |image| Panel {
            title: "a method with a rather long name, longer than its image".into(),
            notes: vec!["a note that is much too long to stand below an image of this size".into(); 2],
            image,
        };
        let all = [
            panel(Some(square(RED))),
            panel(None),
            panel(Some(square(RED))),
            panel(None),
            panel(Some(square(RED))),
        ];
        let picture = decode(&panels("Title", "facts", 4, &all).unwrap());
        let side = (1480 - 3 * 26) / 4;
        assert_eq!(picture.width(), 1600);
        assert_eq!(count(&picture, RED), 3 * (side * side) as usize);
        assert!(count(&picture, GRID) > 2 * (side * side) as usize - 20_000, "an empty frame");
        assert_eq!(decode(&panels("Title", "", 1, &all[..1]).unwrap()).dimensions().0, 1600);
        assert!(panels("Nothing", "", 0, &[]).is_ok());
    }

    #[test]
    fn groups_have_their_images_in_rows() {
        let group = |n| Group { title: "conv".into(), images: vec![square(RED); n] };
        let picture = decode(&groups("Maps", "facts", 8, &[group(9), group(1)]).unwrap());
        let side = (1480 - 7 * 10) / 8;
        assert_eq!(count(&picture, RED), 10 * (side * side) as usize);
        assert_eq!(picture.height(), 160 + (44 + 2 * (side + 10) + 26) + (44 + side + 10 + 26) + 10);
        assert!(groups("Nothing", "", 5, &[]).is_ok());
    }

    #[test]
    fn patches_stand_left_of_their_projections() {
        let pairs = vec![(square(RED), square(GREEN)); 9];
        let maps = vec![Patches { title: "map 3".into(), pairs }; 4];
        let picture = decode(&patches("Patches", "facts", &maps).unwrap());
        assert_eq!(picture.dimensions(), (1600, 160 + 2 * (224 + 84) + 10));
        assert_eq!([count(&picture, RED), count(&picture, GREEN)], [4 * 9 * 72 * 72; 2]);
        let [red, green] = [RED, GREEN].map(|color| crate::testing::centre(&picture, color)[0]);
        assert!(green - red > 200.0);
    }
}
