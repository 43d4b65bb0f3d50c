//! Tables of numbers, each in a square of its own.

use crate::canvas::{Canvas, LABEL, Rect};
use crate::color::{PAPER, VERMILION, legible_on, mix};
use image::Rgb;
use std::ops::Range;

/// Pixels between two squares.
pub const GAP: u32 = 3;

/// Where the squares of a table lie.
#[derive(Clone, Copy, Debug)]
pub struct Grid {
    /// The left upper corner, in pixels.
    pub at: [u32; 2],
    /// The number of columns.
    pub columns: usize,
    /// Width and height of a square with its gap, in pixels.
    pub cell: [u32; 2],
}

/// The content of a square.
pub struct Cell {
    pub color: Rgb<u8>,
    pub text: String,
    /// A small text below the other.
    pub below: String,
}

impl Cell {
    pub fn new(color: Rgb<u8>, text: impl Into<String>) -> Self {
        Self { color, text: text.into(), below: String::new() }
    }
}

impl Grid {
    /// Draws the squares, row by row.
    pub fn draw(self, canvas: &mut Canvas, cells: impl IntoIterator<Item = Cell>) {
        for (i, Cell { color, text, below }) in cells.into_iter().enumerate() {
            let [row, column] = [i / self.columns, i % self.columns];
            let square = self.rect(row..row + 1, column..column + 1);
            canvas.fill(square, color);
            let [w, h] = [square.w as f32, square.h as f32];
            let (x, y) = (square.x as f32 + w / 2.0, square.y as f32 + h / 2.0);
            let ink = LABEL.colored(legible_on(color)).centred();
            if below.is_empty() {
                canvas.text(x, y, ink.sized(LABEL.size.min(0.75 * h)).fit(&text, w - 7.0), &text);
                continue;
            }
            let vivid = if legible_on(color) == PAPER { mix(VERMILION, PAPER, 0.7) } else { VERMILION };
            let small = LABEL.sized(LABEL.size.min(0.75 * h) * 0.75).colored(vivid);
            let size = LABEL.size.min(0.5 * h);
            canvas.text(x, y - 0.16 * h, ink.sized(size).fit(&text, w - 7.0), &text);
            canvas.text(x, y + 0.28 * h, small.centred().fit(&below, w - 7.0), &below);
        }
    }

    /// Frames a range of rows and columns with a line of this width.
    pub fn frame(
        self,
        canvas: &mut Canvas,
        rows: Range<usize>,
        columns: Range<usize>,
        color: Rgb<u8>,
        line: u32,
    ) {
        let Rect { x, y, w, h } = self.rect(rows, columns);
        let (x, y) = (x.saturating_sub(line), y.saturating_sub(line));
        let (w, h) = (w + 2 * line, h + 2 * line);
        canvas.fill(Rect { x, y, w, h: line }, color);
        canvas.fill(Rect { x, y: y + h - line, w, h: line }, color);
        canvas.fill(Rect { x, y, w: line, h }, color);
        canvas.fill(Rect { x: x + w - line, y, w: line, h }, color);
    }

    /// The pixels of a range of rows and columns, without the gap behind the last.
    pub fn rect(self, rows: Range<usize>, columns: Range<usize>) -> Rect {
        let [w, h] = self.cell;
        Rect {
            x: self.at[0] + columns.start as u32 * w,
            y: self.at[1] + rows.start as u32 * h,
            w: columns.len() as u32 * w - GAP,
            h: rows.len() as u32 * h - GAP,
        }
    }
}

/// A number as books write it: whole, or to two places at most, or by powers of ten.
pub fn number(number: f32) -> String {
    let text = match number.abs() {
        0.0 => "0".into(),
        size if !(0.005..1e6).contains(&size) => format!("{number:.1e}"),
        _ => {
            let text = format!("{number:.2}");
            text.trim_end_matches('0').trim_end_matches('.').to_string()
        }
    };
    text.replace('-', "\u{2212}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{centre, count, decode};

    #[test]
    fn squares_lie_row_by_row_and_frames_around_them() {
        let (red, green) = (Rgb([255, 0, 0]), Rgb([0, 255, 0]));
        let mut canvas = Canvas::new(100, 80);
        let grid = Grid { at: [10, 10], columns: 2, cell: [23, 13] };
        let cells = [green, green, green, red].map(|color| Cell::new(color, ""));
        grid.draw(&mut canvas, cells);
        grid.frame(&mut canvas, 1..2, 0..2, VERMILION, 2);
        let picture = decode(&canvas.png().unwrap());
        assert_eq!(count(&picture, red), 20 * 10);
        assert_eq!(centre(&picture, red), [10.0 + 23.0 + 9.5, 10.0 + 13.0 + 4.5]);
        assert_eq!(count(&picture, VERMILION), 2 * (47 * 2 + 10 * 2));
    }

    #[test]
    fn numbers_are_short() {
        let written = [4.0, -1.5, 0.333, 60.75, 0.0, -0.0, 2e7, 0.001, f32::NAN].map(number);
        assert_eq!(written, ["4", "\u{2212}1.5", "0.33", "60.75", "0", "0", "2.0e7", "1.0e\u{2212}3", "NaN"]);
    }
}
