//! The configuration of a run.

use super::Args;
use cnn_nn::{Adam, ModelSpec};
use cnn_play::{DqnSettings, Game, TrainingSettings};
use cnn_zoo::{dqn_2013, dqn_2015, dqn_input};
use serde::{Deserialize, Serialize};

/// The run, apart from the settings of the training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub game: Game,
    pub network: Network,
    pub steps: u64,
}

/// A network by the year of its paper.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
pub enum Network {
    #[value(name = "2013")]
    #[serde(rename = "2013")]
    Dqn2013,
    #[value(name = "2015")]
    #[serde(rename = "2015")]
    Dqn2015,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Optimizer {
    Adam,
    #[value(name = "rmsprop")]
    RmsProp,
}

impl Network {
    pub fn title(self) -> &'static str {
        match self {
            Self::Dqn2013 => "DQN (2013)",
            Self::Dqn2015 => "DQN (2015)",
        }
    }
}

impl Config {
    pub fn new(args: &Args) -> Self {
        let steps = args.steps.unwrap_or_else(|| args.game.recipe_steps());
        Self { game: args.game.clone(), network: args.network.unwrap_or(Network::Dqn2013), steps }
    }

    /// The network, with an output for each action.
    pub fn spec(&self, actions: &[String]) -> ModelSpec {
        let network = match self.network {
            Network::Dqn2013 => dqn_2013,
            Network::Dqn2015 => dqn_2015,
        };
        network(dqn_input(), actions.to_vec())
    }
}

/// The recipe of the game, as far as the options do not say otherwise.
pub fn settings(game: &Game, args: &Args) -> TrainingSettings {
    with_options(game.recipe(), args)
}

fn with_options(settings: TrainingSettings, args: &Args) -> TrainingSettings {
    let TrainingSettings { dqn, .. } = settings.clone();
    let (optimizer, rate) = match args.optimizer {
        None => (dqn.optimizer, dqn.learning_rate),
        Some(Optimizer::Adam) => (adam().into(), dqn.learning_rate),
        Some(Optimizer::RmsProp) => (DqnSettings::rmsprop_2015(), DqnSettings::default().learning_rate),
    };
    let dqn = DqnSettings {
        optimizer,
        learning_rate: args.lr.unwrap_or(rate),
        double: dqn.double || args.double,
        returns: args.returns.unwrap_or(dqn.returns),
        ..dqn
    };
    let memory = args.memory.unwrap_or(settings.memory);
    TrainingSettings {
        dqn,
        memory,
        // A small memory is full before the recipe's agent would learn.
        start: settings.start.min(memory as u64),
        actors: args.actors.unwrap_or(settings.actors),
        seed: args.seed.unwrap_or(settings.seed),
        ..settings
    }
}

fn adam() -> Adam {
    Adam { eps: 1e-4, ..Adam::default() }
}

/// The configuration of a run that goes on. An error names an option that differs from the run's own.
pub fn resumed(config: &Config, settings: &TrainingSettings, args: &Args) -> Result<Config, String> {
    if config.game != args.game {
        return Err(format!("the game {} instead of {}", config.game, args.game));
    }
    if let Some(network) = args.network.filter(|network| *network != config.network) {
        return Err(format!("the network {} instead of {}", config.network.title(), network.title()));
    }
    let wanted = with_options(settings.clone(), args);
    let (old, new) = (&settings.dqn, &wanted.dqn);
    let differences = [
        ("--seed", settings.seed != wanted.seed, settings.seed.to_string()),
        ("--memory", settings.memory != wanted.memory, settings.memory.to_string()),
        ("--actors", settings.actors != wanted.actors, settings.actors.to_string()),
        ("--returns", old.returns != new.returns, old.returns.to_string()),
        ("--double", old.double != new.double, "off".into()),
        ("--optimizer", old.optimizer != new.optimizer, "another".into()),
        ("--lr", old.learning_rate != new.learning_rate, old.learning_rate.to_string()),
    ];
    match differences.into_iter().find(|(_, differs, _)| *differs) {
        Some((option, _, value)) => Err(format!("another {option}: {value}")),
        None => Ok(Config { steps: args.steps.unwrap_or(config.steps), ..config.clone() }),
    }
}
