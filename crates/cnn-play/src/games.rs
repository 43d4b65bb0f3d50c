//! Games of our own, drawn as pixels: deterministic by seed, and quick to learn.
//!
//! | game | actions | points | over |
//! |---|---|---|---|
//! | [`Catch`] | left, stay, right | 1 for a ball caught, -1 for one missed | after a ball |
//! | [`Pong`] | stay, up, down | 1 for a point won, -1 for one lost | at 21 points |
//! | [`Breakout`] | stay, left, right | 1 for a brick | after five lives, or two walls |
//!
//! A step is four frames of a console: the ball moves in four parts, so that it never jumps over a paddle.

mod breakout;
mod catch;
mod dice;
mod pong;
mod screen;

pub use breakout::Breakout;
pub use catch::Catch;
pub use pong::Pong;

use crate::environment::check_action;
use crate::{Environment, Outcome, PlayError};
use dice::Dice;
use screen::Screen;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// The rules of a game; the value is the state of a game under way.
pub(crate) trait Rules: Serialize + DeserializeOwned + Send {
    const ACTIONS: &'static [&'static str];

    fn start(dice: &mut Dice) -> Self;

    fn step(&mut self, action: usize, dice: &mut Dice) -> Outcome;

    fn draw(&self, screen: &mut Screen);

    /// Whether a game can get into this state: it may come from a file.
    fn is_sound(&self) -> bool;
}

/// A game by its rules, with its random numbers and its screen.
pub(crate) struct Played<R> {
    actions: Vec<String>,
    dice: Dice,
    rules: R,
    screen: Screen,
}

/// The state of a game in a file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State<R> {
    dice: Dice,
    rules: R,
}

impl<R: Rules> Played<R> {
    /// The first game of a series, named by `seed` and `stream`.
    pub fn new(seed: u64, stream: &str) -> Self {
        let mut dice = Dice::new(seed, stream);
        let rules = R::start(&mut dice);
        let actions = R::ACTIONS.iter().map(ToString::to_string).collect();
        let mut game = Self { actions, dice, rules, screen: Screen::new() };
        game.rules.draw(&mut game.screen);
        game
    }
}

impl<R: Rules> Environment for Played<R> {
    fn actions(&self) -> &[String] {
        &self.actions
    }

    fn reset(&mut self) -> Result<(), PlayError> {
        self.dice.next_game();
        self.rules = R::start(&mut self.dice);
        self.rules.draw(&mut self.screen);
        Ok(())
    }

    fn step(&mut self, action: usize) -> Result<Outcome, PlayError> {
        check_action(action, R::ACTIONS.len())?;
        let outcome = self.rules.step(action, &mut self.dice);
        self.rules.draw(&mut self.screen);
        Ok(outcome)
    }

    fn frame(&self) -> &[u8] {
        self.screen.pixels()
    }

    fn state(&self) -> Option<String> {
        let state = State { dice: self.dice.clone(), rules: &self.rules };
        serde_json::to_string(&state).ok()
    }

    fn restore(&mut self, state: &str) -> Result<(), PlayError> {
        let fault = |got: String| PlayError::setting("the saved state of a game", "one of this game", got);
        let State { dice, rules } =
            serde_json::from_str::<State<R>>(state).map_err(|e| fault(e.to_string()))?;
        if !rules.is_sound() {
            return Err(fault("numbers out of their range".into()));
        }
        (self.dice, self.rules) = (dice, rules);
        self.rules.draw(&mut self.screen);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
