//! Random numbers of a game that a file can hold: each is named by its number.

use cnn_tensor::Random;
use serde::{Deserialize, Serialize};

/// The random numbers of a series of games. Each number is drawn from a stream of its own, named by game and draw, so that the
/// state is three numbers and a name.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Dice {
    seed: u64,
    stream: String,
    game: u64,
    draws: u64,
}

impl Dice {
    pub fn new(seed: u64, stream: &str) -> Self {
        Self { seed, stream: stream.into(), game: 0, draws: 0 }
    }

    /// Goes on to the numbers of the next game.
    pub fn next_game(&mut self) {
        (self.game, self.draws) = (self.game.wrapping_add(1), 0);
    }

    /// A number from `low` to `high`, both included.
    pub fn between(&mut self, low: i32, high: i32) -> i32 {
        self.draws = self.draws.wrapping_add(1);
        let path = ["game", &self.stream, &self.game.to_string(), &self.draws.to_string()];
        low + Random::new(self.seed, &path).below((high - low + 1) as usize) as i32
    }
}
