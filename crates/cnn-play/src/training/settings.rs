//! The settings of a run.

use crate::{DqnSettings, PlayError};
use serde::{Deserialize, Serialize};

/// The settings of a run, apart from its length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSettings {
    /// The games that are played at the same time.
    pub actors: usize,
    /// The frames of the replay memory, all actors together.
    pub memory: usize,
    /// The steps played at random before the agent learns, all actors together.
    pub start: u64,
    /// The steps from one update to the next.
    pub learn_every: u64,
    /// The part of random actions.
    pub epsilon: Epsilon,
    /// Whether the agent learns rewards clipped to -1 and 1, as all games of the papers are learned.
    pub clip_rewards: bool,
    /// Whether the agent learns that the game is over when a life is lost.
    pub life_ends: bool,
    /// The agent's own settings.
    pub dqn: DqnSettings,
    /// The seed of all random numbers.
    pub seed: u64,
}

impl TrainingSettings {
    /// Checks the settings.
    ///
    /// # Errors
    /// A setting is outside its range.
    pub fn validate(&self) -> Result<(), PlayError> {
        if !(1..=MOST_ACTORS).contains(&self.actors) {
            return Err(PlayError::setting("the number of actors", "from 1 to 64", self.actors));
        }
        if self.learn_every == 0 {
            return Err(PlayError::setting("the steps between two updates", "at least 1", 0));
        }
        self.dqn.validate()?;
        let (actors, returns) = (self.actors, self.dqn.returns);
        if self.memory / actors < returns + 8 {
            let rule = "at least 8 frames for each game, and one for each step whose rewards are added up";
            let got = format!("{} frames for {actors} games and {returns} steps", self.memory);
            return Err(PlayError::setting("the replay memory", rule, got));
        }
        // Each game then has a step whose later frames are there.
        let fewest = (returns as u64 + 1) * actors as u64;
        if !(fewest..=self.memory as u64).contains(&self.start) {
            let rule = "enough for a whole one of each game, and not more than the memory's frames";
            return Err(PlayError::setting("the steps before the agent learns", rule, self.start));
        }
        self.epsilon.validate()
    }
}

const MOST_ACTORS: usize = 64;

/// The part of random actions: it falls evenly from `first` to `last` over `steps` steps from the first update on. Before, all
/// actions are random if `first` is 1.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Epsilon {
    /// At first.
    pub first: f32,
    /// At last.
    pub last: f32,
    /// The steps from one to the other.
    pub steps: u64,
}

impl Epsilon {
    /// The part after so many steps.
    ///
    /// ```
    /// let epsilon = cnn_play::Epsilon { first: 1.0, last: 0.1, steps: 100 };
    /// assert_eq!([0, 50, 100, 1000].map(|step| epsilon.at(step)), [1.0, 0.55, 0.1, 0.1]);
    /// ```
    pub fn at(&self, step: u64) -> f32 {
        if step >= self.steps {
            return self.last;
        }
        let part = step as f64 / self.steps as f64;
        (f64::from(self.first) * (1.0 - part) + f64::from(self.last) * part) as f32
    }

    fn validate(&self) -> Result<(), PlayError> {
        match [self.first, self.last].into_iter().find(|part| !(0.0..=1.0).contains(part)) {
            None => Ok(()),
            Some(part) => Err(PlayError::setting("epsilon, the part of random actions", "from 0 to 1", part)),
        }
    }
}
