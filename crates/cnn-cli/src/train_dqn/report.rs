//! The results of a run: its scores as numbers and as a picture, and games played after it.

use super::{Args, Config};
use crate::fault::Fault;
use crate::games::{self, Tally};
use crate::progress::clock;
use cnn_nn::RunFolder;
use cnn_play::{Environment, Player, Times, Training};
use cnn_report::{Scores, scores};
use cnn_tensor::files::write_atomically;
use serde::Serialize;

/// The output of `--json`, and the file report.json.
#[derive(Serialize)]
pub struct Report {
    game: String,
    network: String,
    seed: u64,
    steps: u64,
    updates: u64,
    parameters: usize,
    games: usize,
    /// The mean score of the last 100 games of the training.
    mean_of_last_100: Option<f64>,
    /// Games played after the training, and the part of random actions in them.
    epsilon: f32,
    evaluation: Option<Tally>,
    /// The same games by a random player; of our own games only.
    random: Option<Tally>,
    /// Seconds of this process's training.
    seconds: f64,
    /// Of the whole run.
    steps_per_second: f64,
    /// Where the time of the whole run went, in seconds.
    times: Times,
    folder: String,
}

impl Report {
    pub fn new(
        config: &Config,
        training: &Training,
        folder: &RunFolder,
        environments: &mut [Box<dyn Environment>],
        args: &Args,
        seconds: f64,
    ) -> Result<Self, Fault> {
        let (settings, progress, times) = (training.settings(), training.progress(), *training.times());
        let (net, epsilon, seed) = (training.agent().net(), args.epsilon, settings.seed);
        let (mut evaluation, mut random) = (None, None);
        if args.games > 0 {
            let player = Player::Network { net, epsilon };
            evaluation = Some(games::play(player, environments, args.games, seed, |_| {})?);
            if config.game.is_own() {
                random = Some(games::play(Player::Random, environments, args.games, seed, |_| {})?);
            }
        }
        let report = Self {
            game: config.game.to_string(),
            network: config.network.title().into(),
            seed,
            steps: progress.steps,
            updates: training.agent().updates(),
            parameters: net.parameter_count(),
            games: progress.games.len(),
            mean_of_last_100: progress.mean_score(),
            epsilon,
            evaluation,
            random,
            seconds,
            steps_per_second: progress.steps as f64 / times.total().max(1e-9),
            times,
            folder: folder.path().display().to_string(),
        };
        let json = serde_json::to_string_pretty(&report)?;
        write_atomically(&folder.file("report.json"), (json + "\n").as_bytes())?;
        Ok(report)
    }

    pub fn words(&self) -> String {
        let mut lines = vec![format!(
            "{} steps, {} games, {} updates in {}: {:.0} steps/s",
            self.steps,
            self.games,
            self.updates,
            clock(self.times.total() as u64),
            self.steps_per_second
        )];
        let Times { act, play, remember, target, learn, save } = self.times;
        let part = |seconds: f64| 100.0 * seconds / self.times.total().max(1e-9);
        lines.push(format!(
            "of the time {:.0} % to choose actions, {:.0} % to play, {:.0} % for the memory, {:.0} % for the target network, {:.0} % to learn, {:.0} % to save",
            part(act), part(play), part(remember), part(target), part(learn), part(save)
        ));
        if let Some(mean) = self.mean_of_last_100 {
            lines.push(format!("mean score of the last 100 games of the training {mean:.2}"));
        }
        if let Some(evaluation) = &self.evaluation {
            lines.push(format!(
                "afterwards, with {} % random actions: {}",
                100.0 * self.epsilon,
                evaluation.words()
            ));
        }
        if let Some(random) = &self.random {
            lines.push(format!("a random player: {}", random.words()));
        }
        lines.push(self.folder.clone());
        lines.join("\n")
    }
}

/// Writes games.csv, a line for each game, and scores.png.
pub fn write_scores(training: &Training, config: &Config, folder: &RunFolder) -> Result<(), Fault> {
    let (settings, games) = (training.settings(), &training.progress().games);
    let mut csv = String::from("at_step,score,steps\n");
    for game in games {
        csv += &format!("{},{},{}\n", game.at, game.score, game.steps);
    }
    write_atomically(&folder.file("games.csv"), csv.as_bytes())?;
    let title = format!("{} by {}", games::title(&config.game), config.network.title());
    let double = if settings.dqn.double { "double, " } else { "" };
    let note = format!(
        "{double}{} games at a time, a memory of {} frames, seed {}",
        settings.actors, settings.memory, settings.seed
    );
    let games = games.iter().map(|game| (game.at as f64, game.score)).collect();
    let run = Scores { name: "mean".into(), games };
    Ok(write_atomically(&folder.file("scores.png"), &scores(&title, &note, &[run])?)?)
}
