//! Photos with the sentences that a network says about them, in columns.

use crate::PictureError;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, Style, TITLE};
use crate::color::{FADED, GRID};
use image::RgbImage;

/// A column of photos with captions.
#[derive(Clone, Debug)]
pub struct CaptionColumn {
    /// Its heading.
    pub heading: String,
    /// A line below the heading.
    pub note: String,
    /// The photos, from top to bottom.
    pub photos: Vec<Captioned>,
}

/// A photo and the sentence about it.
#[derive(Clone, Debug)]
pub struct Captioned {
    /// Its pixels.
    pub image: RgbImage,
    /// The sentence.
    pub caption: String,
    /// A line below the sentence, such as its score.
    pub note: String,
}

const LEFT: u32 = 50;
const WIDTH: u32 = 1600;
const SIDE: u32 = 340;
/// The top of the photos, below headings and without.
const TOP: u32 = 260;
const TOP_PLAIN: u32 = 164;
const CAPTION: Style = LABEL.sized(25.0);
const LINE: u32 = 31;

/// Draws the columns side by side, as figure 5 of Vinyals et al. (2015) does: photos from the best described to those that the
/// caption has nothing to do with. Long captions are broken into lines.
///
/// A PNG 1600 pixels wide and as high as its rows need.
///
/// # Errors
/// The encoder fails.
pub fn captioned(title: &str, facts: &str, columns: &[CaptionColumn]) -> Result<Vec<u8>, PictureError> {
    let step = (WIDTH - 2 * LEFT) / columns.len().max(1) as u32;
    let side = SIDE.min(step.saturating_sub(30)).max(1);
    let rows = columns.iter().map(|column| column.photos.len()).max().unwrap_or(0);
    let lines = |photo: &Captioned| broken(&photo.caption, CAPTION, side as f32);
    // Each row is as high as the longest of its captions needs.
    let heights: Vec<u32> = (0..rows)
        .map(|row| {
            let photos = columns.iter().filter_map(|column| column.photos.get(row));
            let most = photos.map(|photo| lines(photo).len()).max().unwrap_or(0) as u32;
            side + 30 + most * LINE + 56
        })
        .collect();
    let plain = columns.iter().all(|column| column.heading.is_empty() && column.note.is_empty());
    let top = if plain { TOP_PLAIN } else { TOP };
    let mut canvas = Canvas::new(WIDTH, top + heights.iter().sum::<u32>() + 10);
    let width = (WIDTH - 2 * LEFT) as f32;
    canvas.text(LEFT as f32, 60.0, TITLE.fit(title, width), title);
    canvas.text(LEFT as f32, 112.0, LABEL.colored(FADED).fit(facts, width), facts);
    for (i, column) in (0..).zip(columns) {
        let x = LEFT + i * step;
        let room = (step - 24) as f32;
        canvas.text(x as f32, top as f32 - 78.0, HEADING.fit(&column.heading, room), &column.heading);
        let note = LABEL.sized(23.0).colored(FADED).fit(&column.note, room);
        canvas.text(x as f32, top as f32 - 38.0, note, &column.note);
        if i > 0 && !plain {
            let height = heights.iter().sum::<u32>() + 80;
            canvas.fill(Rect { x: x - 20, y: top - 96, w: 1, h: height.saturating_sub(20) }, GRID);
        }
        let mut y = top;
        for (photo, height) in column.photos.iter().zip(&heights) {
            canvas.image(Rect { x, y, w: side, h: side }, &photo.image);
            let mut middle = (y + side + 28) as f32;
            for line in lines(photo) {
                canvas.text(x as f32, middle, CAPTION.fit(&line, side as f32), &line);
                middle += LINE as f32;
            }
            let note = LABEL.sized(21.0).colored(FADED).fit(&photo.note, side as f32);
            canvas.text(x as f32, middle, note, &photo.note);
            y += height;
        }
    }
    canvas.png()
}

/// The lines of a text that is at most `width` wide, broken between words. A word that is wider has a line of its own.
fn broken(text: &str, style: Style, width: f32) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        let longer = lines.last().map(|line| format!("{line} {word}"));
        match longer.filter(|line| style.width(line) <= width) {
            Some(line) => *lines.last_mut().expect("a line") = line,
            None => lines.push(word.into()),
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::Rgb;

    fn column(photos: usize, caption: &str) -> CaptionColumn {
        let photo = Captioned {
            image: RgbImage::from_pixel(4, 4, Rgb([255, 0, 0])),
            caption: caption.into(),
            note: "BLEU-1 50".into(),
        };
        CaptionColumn { heading: "describes".into(), note: "a quarter".into(), photos: vec![photo; photos] }
    }

    #[test]
    fn every_photo_is_there_once_and_rows_are_as_high_as_their_captions() {
        let short = decode(&captioned("Captions", "", &[column(2, "a dog"), column(1, "a dog")]).unwrap());
        assert_eq!(count(&short, Rgb([255, 0, 0])), 3 * 340 * 340);
        assert_eq!(short.height(), TOP + 2 * (340 + 30 + 31 + 56) + 10);
        let long = "a man in a red shirt is riding a bicycle on a dirt track through the woods";
        let lines = broken(long, CAPTION, 340.0);
        assert!(lines.len() > 2 && lines.iter().all(|line| CAPTION.width(line) <= 340.0), "{lines:?}");
        assert_eq!(lines.join(" "), long);
        let tall = decode(&captioned("Captions", "", &[column(1, long), column(2, "a dog")]).unwrap());
        assert_eq!(tall.height(), short.height() + (lines.len() as u32 - 1) * LINE);
    }

    #[test]
    fn nothing_has_a_sheet_and_a_word_without_end_a_line() {
        assert_eq!(decode(&captioned("", "", &[]).unwrap()).height(), TOP_PLAIN + 10);
        let word = "x".repeat(200);
        assert_eq!(broken(&format!("a {word} b"), CAPTION, 340.0), ["a", &word, "b"]);
        captioned("", "", &[column(1, &word)]).unwrap();
    }
}
