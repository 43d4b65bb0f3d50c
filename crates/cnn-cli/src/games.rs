//! Shared by the commands that play: games by name, players in files, and scores in words.

use crate::fault::{Fault, note};
use crate::progress::{self, Lines};
use cnn_nn::Model;
use cnn_play::{AleOptions, Environment, Game, Player, Seen};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// The options of commands that start games.
#[derive(clap::Args)]
#[group(skip)]
pub struct AleArgs {
    /// The Python that has ale-py and numpy, for Atari games [default: python3].
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
    /// How long the process of an Atari game may take to answer.
    #[arg(long, value_name = "SECONDS", default_value_t = 10.0)]
    pub timeout: f64,
}

impl AleArgs {
    pub fn options(&self) -> Result<AleOptions, Fault> {
        let default = AleOptions::default();
        let answer = std::time::Duration::try_from_secs_f64(self.timeout)
            .ok()
            .filter(|answer| !answer.is_zero())
            .ok_or_else(|| {
                Fault::usage(format!("--timeout: expected seconds, above 0, got {}", self.timeout))
            })?;
        Ok(AleOptions { python: self.python.clone().unwrap_or(default.python), answer, ..default })
    }
}

/// The name of a game in titles.
pub fn title(game: &Game) -> String {
    let capital = |name: &str| {
        let words = name.split('_').map(|word| {
            let (first, rest) = word.split_at(word.len().min(1));
            first.to_uppercase() + rest
        });
        words.collect::<Vec<_>>().join(" ")
    };
    match game {
        Game::Ale(name) => format!("Atari's {}", capital(name)),
        own => capital(&own.to_string()),
    }
}

/// A model that plays this game: it takes four frames, and its classes are the game's actions.
pub fn player(file: &Path, game: &Game, actions: &[String]) -> Result<Model, Fault> {
    let model = Model::load(file)?;
    let shape = model.spec.input.shape;
    let expected = [cnn_play::STACK, cnn_play::SIDE, cnn_play::SIDE];
    if shape != expected {
        let got = format!("one for images of {shape:?}");
        return Err(Fault {
            status: 1,
            message: format!("{}: expected a network for frames of {expected:?}, got {got}", file.display()),
        });
    }
    if model.spec.classes != actions {
        let (wanted, got) = (actions.join(", "), model.spec.classes.join(", "));
        return Err(Fault {
            status: 1,
            message: format!(
                "{}: expected a network for the actions of {game} ({wanted}), got one for {got}",
                file.display()
            ),
        });
    }
    Ok(model)
}

/// The scores of some games.
#[derive(Clone, Debug, Serialize)]
pub struct Tally {
    pub games: usize,
    pub mean: f64,
    pub std: f64,
    pub least: f64,
    pub most: f64,
    pub scores: Vec<f64>,
}

impl Tally {
    pub fn of(scores: Vec<f64>) -> Self {
        let n = scores.len().max(1) as f64;
        let mean = scores.iter().sum::<f64>() / n;
        let variance = scores.iter().map(|score| (score - mean).powi(2)).sum::<f64>() / n;
        let least = scores.iter().copied().reduce(f64::min).unwrap_or_default();
        let most = scores.iter().copied().reduce(f64::max).unwrap_or_default();
        Self { games: scores.len(), mean, std: variance.sqrt(), least, most, scores }
    }

    /// `mean score 18.20 of 30 games, from 15 to 21`.
    pub fn words(&self) -> String {
        let Self { games, mean, least, most, .. } = self;
        match games {
            1 => format!("score {mean}"),
            _ => format!("mean score {mean:.2} of {games} games, from {least} to {most}"),
        }
    }
}

/// Games of the same player, several at the same time.
pub fn play(
    player: Player<'_>,
    environments: &mut [Box<dyn Environment>],
    games: usize,
    seed: u64,
    mut see: impl FnMut(&Seen<'_>),
) -> Result<Tally, Fault> {
    let bar = progress::bar(Some(games as u64), "playing, {pos}/{len} games  [{bar:30}]  {remaining} left");
    let mut lines = Lines::new();
    let scores = cnn_play::play(player, environments, games, seed, |seen| {
        if seen.outcome.over {
            bar.inc(1);
        }
        lines.note(&bar, || format!("playing: {}/{games} games", bar.position()));
        see(seen);
    });
    bar.finish_and_clear();
    Ok(Tally::of(scores?))
}

/// The game, as often as wanted: each with random numbers of its own.
pub fn open(
    game: &Game,
    count: usize,
    seed: u64,
    stream: &str,
    ale: &AleOptions,
) -> Result<Vec<Box<dyn Environment>>, Fault> {
    if !game.is_own() {
        note(format!("starting {count} of {game} by {}", ale.python.display()));
    }
    Ok((0..count).map(|i| game.open_with(seed, &format!("{stream} {i}"), ale)).collect::<Result<_, _>>()?)
}
