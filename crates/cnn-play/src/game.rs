//! Games by name.

use crate::games::{Breakout, Catch, Played, Pong};
use crate::{Ale, AleOptions, DqnSettings, Environment, Epsilon, PlayError, TrainingSettings};
use cnn_nn::Adam;
use cnn_tensor::text::hint;
use serde::{Deserialize, Serialize};
use std::fmt::{self, Display};
use std::str::FromStr;

/// A game by its name, for command lines and configurations: `catch`, `pong`, `breakout`, or `ale:NAME` for one of the Arcade
/// Learning Environment.
///
/// ```
/// use cnn_play::Game;
/// assert_eq!("pong".parse::<Game>()?, Game::Pong);
/// assert_eq!("ale:space_invaders".parse::<Game>()?.to_string(), "ale:space_invaders");
/// let error = "pnog".parse::<Game>().unwrap_err();
/// assert_eq!(error, "expected one of catch, pong, breakout, or ale:NAME for an Atari game, got pnog; is \"pong\" meant?");
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Game {
    /// A ball to catch.
    Catch,
    /// Pong against a scripted player.
    Pong,
    /// Breakout.
    Breakout,
    /// A game of the Arcade Learning Environment.
    Ale(String),
}

/// The names of our own games.
const NAMES: [(&str, Game); 3] = [("catch", Game::Catch), ("pong", Game::Pong), ("breakout", Game::Breakout)];
const ALE: &str = "ale:";

impl Game {
    /// Starts the game. Its random numbers come from the streams of `seed` named by `stream`.
    ///
    /// # Errors
    /// The process of an Atari game does not start; see [`Game::open_with`].
    pub fn open(&self, seed: u64, stream: &str) -> Result<Box<dyn Environment>, PlayError> {
        self.open_with(seed, stream, &AleOptions::default())
    }

    /// As [`Game::open`], with options for Atari games.
    ///
    /// # Errors
    /// The process of an Atari game does not start.
    pub fn open_with(
        &self,
        seed: u64,
        stream: &str,
        options: &AleOptions,
    ) -> Result<Box<dyn Environment>, PlayError> {
        Ok(match self {
            Self::Catch => Box::new(Played::<Catch>::new(seed, stream)),
            Self::Pong => Box::new(Played::<Pong>::new(seed, stream)),
            Self::Breakout => Box::new(Played::<Breakout>::new(seed, stream)),
            Self::Ale(name) => {
                let mut random = cnn_tensor::Random::new(seed, &["ale", stream]);
                Box::new(Ale::start(name, random.below(1 << 31) as u64, options)?)
            }
        })
    }

    /// Whether the game is one of ours: without a process, and with a state that can be saved.
    pub fn is_own(&self) -> bool {
        !matches!(self, Self::Ale(_))
    }

    /// The settings that learn this game.
    pub fn recipe(&self) -> TrainingSettings {
        let dqn = DqnSettings {
            optimizer: Adam { eps: 1e-4, ..Adam::default() }.into(),
            learning_rate: 5e-4,
            target_every: 500,
            returns: 3,
            ..DqnSettings::default()
        };
        let epsilon = |last, steps| Epsilon { first: 1.0, last, steps };
        let catch = TrainingSettings {
            actors: 8,
            memory: 100_000,
            start: 1_000,
            learn_every: 4,
            epsilon: epsilon(0.01, 10_000),
            clip_rewards: true,
            life_ends: true,
            dqn: dqn.clone(),
            seed: 0,
        };
        // Rewards follow within fewer steps than in Atari's games.
        let soon = DqnSettings { discount: 0.98, learning_rate: 3e-4, ..dqn.clone() };
        match self {
            Self::Catch => catch,
            Self::Pong | Self::Breakout => {
                TrainingSettings { start: 4_000, epsilon: epsilon(0.02, 60_000), dqn: soon, ..catch }
            }
            Self::Ale(_) => TrainingSettings {
                actors: 4,
                memory: 200_000,
                start: 10_000,
                epsilon: epsilon(0.02, 150_000),
                dqn: DqnSettings { learning_rate: 2e-4, target_every: 1_000, ..dqn },
                ..catch
            },
        }
    }

    /// The steps in which the recipe learns the game.
    pub fn recipe_steps(&self) -> u64 {
        match self {
            Self::Catch => 40_000,
            Self::Pong => 500_000,
            Self::Breakout => 200_000,
            Self::Ale(_) => 2_000_000,
        }
    }
}

impl Display for Game {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ale(name) => write!(f, "{ALE}{name}"),
            own => f.write_str(NAMES.iter().find(|(_, game)| game == own).map_or("", |(name, _)| name)),
        }
    }
}

impl FromStr for Game {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let is_plain = |name: &str| {
            (1..=64).contains(&name.len())
                && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
        };
        match (name.strip_prefix(ALE), NAMES.into_iter().find(|(known, _)| *known == name)) {
            (Some(name), _) if is_plain(name) => Ok(Self::Ale(name.into())),
            (Some(other), _) => {
                Err(format!("expected ale:NAME with a name such as pong or space_invaders, got ale:{other}"))
            }
            (None, Some((_, game))) => Ok(game),
            (None, None) => {
                let names = NAMES.map(|(name, _)| name);
                let (list, near) = (names.join(", "), hint(name, names.into_iter()));
                Err(format!("expected one of {list}, or ale:NAME for an Atari game, got {name}{near}"))
            }
        }
    }
}

impl From<Game> for String {
    fn from(game: Game) -> Self {
        game.to_string()
    }
}

impl TryFrom<String> for Game {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        name.parse()
    }
}
