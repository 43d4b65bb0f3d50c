//! The pixels of a game: rectangles on a dark ground.

use crate::{PIXELS, SIDE};

/// The ground of all games.
const GROUND: u8 = 30;

pub struct Screen {
    pixels: Vec<u8>,
}

impl Screen {
    pub fn new() -> Self {
        Self { pixels: vec![GROUND; PIXELS] }
    }

    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    pub fn clear(&mut self) {
        self.pixels.fill(GROUND);
    }

    /// Fills a rectangle, as far as it lies on the screen.
    pub fn fill(&mut self, [x, y]: [i32; 2], [w, h]: [i32; 2], shade: u8) {
        let ends = |at: i32, extent: i32| {
            let inside = |place: i32| place.clamp(0, SIDE as i32) as usize;
            inside(at)..inside(at.saturating_add(extent))
        };
        for row in ends(y, h) {
            self.pixels[row * SIDE..][ends(x, w)].fill(shade);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rectangles_land_where_they_should_and_are_cut_off_at_the_edges() {
        let mut screen = Screen::new();
        screen.fill([2, 1], [3, 2], 200);
        screen.fill([82, 83], [i32::MAX, 9], 100);
        screen.fill([-5, -5], [2, 2], 50);
        let count = |shade| screen.pixels().iter().filter(|&&pixel| pixel == shade).count();
        assert_eq!([count(200), count(100), count(50)], [6, 2, 0]);
        assert_eq!([screen.pixels()[SIDE + 2], screen.pixels()[2 * SIDE + 4]], [200; 2]);
    }
}
