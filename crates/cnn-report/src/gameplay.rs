//! A game as its player sees it: the frame, and the value of each action beside it.

use crate::PictureError;
use crate::animation::animation;
use crate::canvas::{Canvas, HEADING, LABEL, Rect, TITLE};
use crate::color::{BLUE, FADED, GRID, INK, PAPER, mix};
use crate::raster::signed;
use cnn_tensor::parallel;
use image::{Rgb, RgbImage};

/// A game, or a part of it.
#[derive(Clone, Debug)]
pub struct Gameplay {
    /// The names of the actions.
    pub actions: Vec<String>,
    /// The height and width of the frames.
    pub size: [usize; 2],
    /// The steps.
    pub steps: Vec<GameStep>,
}

/// A step of a game.
#[derive(Clone, Debug)]
pub struct GameStep {
    /// The frame before the action, in gray, row by row.
    pub frame: Vec<u8>,
    /// The value of each action; empty for a player who has none.
    pub values: Vec<f32>,
    /// The number of the action taken.
    pub action: usize,
    /// The score after it.
    pub score: f64,
}

/// The step of number `i`: its frame, with the values of all actions beside it. The bars of all steps have one scale.
///
/// A PNG of 1100 x 680 pixels.
///
/// # Errors
/// There is no such step, the lengths of its parts do not fit the game, or the encoder fails.
pub fn gameplay(title: &str, game: &Gameplay, i: usize) -> Result<Vec<u8>, PictureError> {
    game.check()?;
    match game.steps.get(i) {
        Some(step) => game.draw(title, i, step).png(),
        None => Err(misfit(format!("a step below {}", game.steps.len()), i.to_string())),
    }
}

/// The game as an animated PNG of 1100 x 680 pixels, which browsers play again and again; each step is shown for so many
/// milliseconds, the last for two seconds more.
///
/// # Errors
/// There are no steps, the lengths of their parts do not fit the game, or the encoder fails.
pub fn gameplay_animation(title: &str, game: &Gameplay, milliseconds: u16) -> Result<Vec<u8>, PictureError> {
    game.check()?;
    let last = game.steps.len().saturating_sub(1);
    let shown = |i: usize| milliseconds.saturating_add(if i == last { 2000 } else { 0 });
    let frame = |i: usize| (game.draw(title, i, &game.steps[i]).picture(), shown(i));
    animation(&parallel::map(game.steps.len(), frame))
}

/// The frame's place on the sheet.
const FRAME: Rect = Rect { x: 60, y: 110, w: 504, h: 504 };
/// Where the names of the actions begin, the bars, and where these end.
const COLUMNS: [u32; 3] = [610, 780, 1040];
/// The most height of a row of an action.
const ROW: u32 = 56;

fn misfit(expected: String, got: String) -> PictureError {
    PictureError::Data { picture: "gameplay", expected, got }
}

impl Gameplay {
    fn check(&self) -> Result<(), PictureError> {
        let ([h, w], actions) = (self.size, self.actions.len());
        let fits = |step: &GameStep| {
            let values = step.values.len();
            step.frame.len() == h * w && step.action < actions && (values == 0 || values == actions)
        };
        match self.steps.iter().find(|step| !fits(step)) {
            None => Ok(()),
            Some(step) => Err(misfit(
                format!("frames of {h} x {w} pixels, and one of {actions} actions with their values"),
                format!(
                    "{} pixels, action {} and {} values",
                    step.frame.len(),
                    step.action,
                    step.values.len()
                ),
            )),
        }
    }

    fn draw(&self, title: &str, i: usize, step: &GameStep) -> Canvas {
        let mut canvas = Canvas::new(1100, 680);
        canvas.text(60.0, 56.0, TITLE.sized(38.0).fit(title, 980.0), title);
        let [h, w] = self.size;
        let gray = |x: u32, y: u32| Rgb([step.frame[y as usize * w + x as usize]; 3]);
        canvas.image(FRAME, &RgbImage::from_fn(w as u32, h as u32, gray));
        let below = format!("step {}, score {}", i + 1, step.score);
        canvas.text(60.0, 648.0, LABEL.colored(FADED), &below);
        let heading = if step.values.is_empty() { "Action" } else { "Value of each action" };
        canvas.text(COLUMNS[0] as f32, 128.0, HEADING.sized(28.0), heading);
        let row = ROW.min(430 / self.actions.len().max(1) as u32);
        for action in 0..self.actions.len() {
            self.draw_action(
                &mut canvas,
                step,
                action,
                Rect { x: COLUMNS[0], y: 168 + row * action as u32, w: 0, h: row },
            );
        }
        canvas
    }

    /// The name of an action, and its value as a bar.
    fn draw_action(&self, canvas: &mut Canvas, step: &GameStep, action: usize, at: Rect) {
        let (taken, name) = (action == step.action, &self.actions[action]);
        let middle = (at.y + at.h / 2) as f32;
        let label = LABEL.sized(LABEL.size.min(0.8 * at.h as f32));
        let style = label.colored(if taken { INK } else { FADED });
        let color = if taken { BLUE } else { mix(PAPER, FADED, 0.45) };
        canvas.text(at.x as f32, middle, style.fit(name, 160.0), name);
        let Some(value) = step.values.get(action).copied() else {
            let side = at.h / 2;
            let place = Rect { x: COLUMNS[1], y: at.y + at.h / 4, w: side, h: side };
            return canvas.fill(place, if taken { BLUE } else { GRID });
        };
        let [least, most] = self.range();
        let place = |value: f32| {
            let part = (value.clamp(least, most) - least) / (most - least);
            COLUMNS[1] + (part * (COLUMNS[2] - COLUMNS[1] - 90) as f32).round() as u32
        };
        if value.is_finite() {
            let (from, to) = (place(0.0).min(place(value)), place(0.0).max(place(value)));
            let bar = Rect { x: from, y: at.y + at.h / 5, w: (to - from).max(1), h: (at.h * 3 / 5).max(1) };
            canvas.fill(bar, color);
        }
        canvas.fill(Rect { x: place(0.0), y: at.y, w: 1, h: at.h }, GRID);
        canvas.text(COLUMNS[2] as f32, middle, style.right(), &signed(value));
    }

    /// The ends of the bars' scale: zero, and the least and the greatest value of all steps.
    fn range(&self) -> [f32; 2] {
        let values =
            self.steps.iter().flat_map(|step| &step.values).copied().filter(|value| value.is_finite());
        let [least, most] =
            values.fold([0.0f32; 2], |[least, most], value| [least.min(value), most.max(value)]);
        if most > least { [least, most] } else { [0.0, 1.0] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{count, decode};
    use image::imageops::crop_imm;

    fn game(steps: &[(&[f32], usize)]) -> Gameplay {
        let step = |(i, (values, action)): (usize, &(&[f32], usize))| GameStep {
            frame: (0..12).map(|pixel| if pixel == i { 255 } else { 0 }).collect(),
            values: values.to_vec(),
            action: *action,
            score: -1.0,
        };
        let actions = ["left", "stay", "right"].map(String::from).to_vec();
        Gameplay { actions, size: [3, 4], steps: steps.iter().enumerate().map(step).collect() }
    }

    #[test]
    fn the_taken_action_has_the_strong_colour_and_bars_a_common_scale() {
        let game = game(&[(&[0.5, 1.0, -1.0], 1), (&[0.25, 0.0, 0.1], 0)]);
        let bar = |i: usize, row: u32| {
            let picture = decode(&gameplay("A game", &game, i).unwrap());
            assert_eq!(picture.dimensions(), (1100, 680));
            count(&crop_imm(&picture, COLUMNS[1], 168 + row * ROW, 260, ROW).to_image(), BLUE)
        };
        assert!(bar(0, 0) == 0 && bar(0, 1) > 1500 && bar(0, 2) == 0);
        // A quarter of the longest bar.
        let parts = bar(1, 0) as f64 / bar(0, 1) as f64;
        assert!((parts - 0.25).abs() < 0.03, "{parts}");
    }

    #[test]
    fn frames_are_shown_as_they_are() {
        let picture = decode(&gameplay("", &game(&[(&[], 2)]), 0).unwrap());
        // The first pixel of 3 x 4 in a square of 504 pixels is white.
        assert_eq!(picture[(FRAME.x + 40, FRAME.y + 63 + 40)], Rgb([255; 3]));
        assert_eq!(picture[(FRAME.x + 300, FRAME.y + 252)], Rgb([0; 3]));
        assert!(count(&picture, BLUE) > 500, "the action of a player without values");
    }

    #[test]
    fn odd_values_give_a_picture_and_misfits_an_error() {
        let odd = game(&[(&[f32::NAN, f32::INFINITY, 0.0], 0), (&[0.0, 0.0, 0.0], 2)]);
        assert!(gameplay_animation("Odd", &odd, 50).unwrap().starts_with(b"\x89PNG"));
        let message = |game: &Gameplay, i| gameplay("", game, i).unwrap_err().to_string();
        assert_eq!(message(&odd, 2), "gameplay: expected a step below 2, got 2");
        assert!(message(&game(&[(&[1.0], 0)]), 0).ends_with("got 12 pixels, action 0 and 1 values"));
        assert!(message(&game(&[(&[], 3)]), 0).contains("one of 3 actions"));
        assert!(gameplay_animation("", &game(&[]), 50).is_err());
        let many =
            Gameplay { actions: (0..18).map(|i| format!("action {i}")).collect(), ..game(&[(&[], 2)]) };
        gameplay("Many actions", &many, 0).unwrap();
    }
}
