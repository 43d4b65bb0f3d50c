//! The Arcade Learning Environment, as a process of its own.
//!
//! ALE is under the GPL and its games belong to their owners, so it is neither linked nor a dependency: a small Python program of
//! ours runs on the user's `ale-py` (`pip install ale-py numpy`), and speaks over its standard input and output.
//!
//! Frames are those of Mnih et al. 2015: an action is repeated for 4 frames; the picture is the maximum of the last two, colour by
//! colour, then gray, and 84 x 84; a game begins with up to 30 frames without action. Rewards are the full scores.

mod process;

use crate::environment::check_action;
use crate::{Environment, Outcome, PIXELS, PlayError};
use process::Process;
use serde::Deserialize;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

/// How the process of a game is started and waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AleOptions {
    /// The Python that has `ale-py` and `numpy`.
    pub python: PathBuf,
    /// How long the process may take to start.
    pub start: Duration,
    /// How long it may take to answer.
    pub answer: Duration,
}

impl Default for AleOptions {
    /// `python3`, a minute to start, and ten seconds to answer.
    fn default() -> Self {
        Self { python: "python3".into(), start: Duration::from_secs(60), answer: Duration::from_secs(10) }
    }
}

/// A game of the Arcade Learning Environment. Its process is killed when the value is dropped.
///
/// It cannot tell its state, so a game begins anew when a run is resumed.
pub struct Ale {
    process: Process,
    actions: Vec<String>,
    answer: Duration,
    frame: Vec<u8>,
}

/// The Python program.
const SERVER: &str = include_str!("../scripts/ale_server.py");
/// The request for a new game; others are the numbers of actions.
const RESET: u8 = 255;
/// The bytes of an answer before the frame: the reward (a float, little-endian), the flags, and three zeros.
const HEAD: usize = 8;
const OVER: u8 = 1;
const LIFE_LOST: u8 = 2;

/// The line by which the process introduces itself.
#[derive(Deserialize)]
struct Hello {
    protocol: u32,
    actions: Vec<String>,
}

const PROTOCOL: u32 = 1;

impl Ale {
    /// Starts the game of that name (`pong`, `breakout`, ...) with random numbers from `seed`.
    ///
    /// # Errors
    /// Python or `ale-py` is not there, there is no such game, or the process does not start in time.
    pub fn start(game: &str, seed: u64, options: &AleOptions) -> Result<Self, PlayError> {
        let mut command = Command::new(&options.python);
        // The environment's random numbers are seeded by a whole number of 31 bits.
        command.arg("-c").arg(SERVER).arg(game).arg((seed & 0x7fff_ffff).to_string());
        Self::of_command(game, command, options)
    }

    /// Starts the game by a command of your own, which speaks the same protocol.
    ///
    /// # Errors
    /// Those of [`Ale::start`].
    pub fn of_command(game: &str, command: Command, options: &AleOptions) -> Result<Self, PlayError> {
        let mut process = Process::start(&format!("ale:{game}"), command, HEAD + PIXELS)?;
        let line = process.receive(options.start)?;
        let hello = serde_json::from_slice::<Hello>(&line)
            .map_err(|e| process.fault(format!("introduced itself by another line than expected: {e}")))?;
        let count = hello.actions.len();
        if hello.protocol != PROTOCOL || !(1..RESET.into()).contains(&count) {
            let got = format!("protocol {} with {count} actions", hello.protocol);
            return Err(process.fault(format!("was expected to speak protocol {PROTOCOL}, but speaks {got}")));
        }
        let actions = hello.actions.iter().map(|action| action.to_lowercase()).collect();
        Ok(Self { process, actions, answer: options.answer, frame: vec![0; PIXELS] })
    }

    fn request(&mut self, byte: u8) -> Result<Outcome, PlayError> {
        self.process.send(byte)?;
        let answer = self.process.receive(self.answer)?;
        let Some((head, frame)) =
            answer.split_first_chunk::<HEAD>().filter(|(_, frame)| frame.len() == PIXELS)
        else {
            return Err(self.process.fault(format!("answered by {} bytes", answer.len())));
        };
        let [a, b, c, d, flags, ..] = *head;
        let reward = f32::from_le_bytes([a, b, c, d]);
        if !reward.is_finite() || flags > OVER | LIFE_LOST {
            return Err(self
                .process
                .fault(format!("answered by a reward of {reward} and the flags {flags}")));
        }
        self.frame.copy_from_slice(frame);
        Ok(Outcome { reward, over: flags & OVER != 0, life_lost: flags & LIFE_LOST != 0 })
    }
}

impl Environment for Ale {
    fn actions(&self) -> &[String] {
        &self.actions
    }

    fn reset(&mut self) -> Result<(), PlayError> {
        self.request(RESET).map(drop)
    }

    fn step(&mut self, action: usize) -> Result<Outcome, PlayError> {
        check_action(action, self.actions.len())?;
        self.request(action as u8)
    }

    fn frame(&self) -> &[u8] {
        &self.frame
    }
}

#[cfg(all(test, unix))]
mod tests;
