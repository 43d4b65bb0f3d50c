//! Deep Q-learning from pixels: a network learns to play by playing (Mnih et al. 2013 and 2015).
//!
//! - [`Environment`]: the interface of a game. [`Game`]: games by name, with the recipes that learn them.
//! - [`games`]: Catch, Pong and Breakout, in pure Rust. [`Ale`]: Atari by the Arcade Learning Environment, in a process of its own.
//! - [`Replay`]: the memory, in bytes, no frame stored twice. [`Stack`]: the last four frames.
//! - [`Dqn`]: the agent, on [`cnn_nn::Learner`]. [`Training`]: the loop, with checkpoints. [`play()`]: playing without learning.
//!
//! The same seed gives the same bits for any number of threads, and a resumed run of our own games equals an unbroken one.
//!
//! The loop of [`Training`] in short; the example `22_dqn` is the same as a program:
//!
//! ```
//! use cnn_nn::Model;
//! use cnn_play::{Dqn, DqnSettings, End, Game, Moment, Replay, Stack};
//! let mut game = Game::Catch.open(0, "example")?;
//! let model = Model::build(cnn_zoo::dqn_2013(cnn_zoo::dqn_input(), game.actions().to_vec()), 0)?;
//! let mut agent = Dqn::new(model.net, DqnSettings { batch: 4, ..DqnSettings::default() })?;
//! let mut replay = Replay::new(1000, 1)?;
//! let (mut stack, mut first) = (Stack::new(game.frame()), true);
//! for step in 0..60 {
//!     let action = step % 3;
//!     let outcome = game.step(action)?;
//!     let end = if outcome.over { End::Over } else { End::Goes };
//!     let (frame, action, reward) = (stack.newest(), action as u8, outcome.reward);
//!     replay.push(0, Moment { frame, first, action, reward, end });
//!     first = outcome.over;
//!     if outcome.over {
//!         game.reset()?;
//!         stack.reset(game.frame());
//!     } else {
//!         stack.push(game.frame());
//!     }
//!     if step > 40 {
//!         agent.learn(&replay.sample(agent.settings().draw(), 0, agent.updates())?)?;
//!     }
//! }
//! # Ok::<(), cnn_play::PlayError>(())
//! ```
#![forbid(unsafe_code)]

mod ale;
mod dqn;
mod environment;
mod error;
mod game;
pub mod games;
mod play;
mod replay;
mod stack;
mod training;

pub use ale::{Ale, AleOptions};
pub use dqn::{Dqn, DqnSettings};
pub use environment::{Environment, Outcome, PIXELS, SIDE};
pub use error::PlayError;
pub use game::Game;
pub use play::{Player, Seen, play};
pub use replay::{Block, Draw, End, Moment, Replay, ReplayState, Sample};
pub use stack::{STACK, Stack};
pub use training::{
    Epsilon, LONGEST_GAME, MEAN_OF, PlayedGame, Progress, Resumed, Times, Training, TrainingSettings,
};
