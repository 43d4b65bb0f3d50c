//! `cnn train-dqn`: a network learns to play.

mod config;
mod report;

use crate::fault::{Fault, deliver, note};
use crate::games::{self, AleArgs};
use crate::home;
use crate::interrupt;
use crate::progress::{self, Lines, clock};
use crate::threads::threads;
use cnn_nn::{Model, ModelSpec, RunFolder};
use cnn_play::{AleOptions, Game, PlayError, Progress, Training};
use cnn_tensor::files::write_atomically;
use config::{Config, Network, Optimizer};
use indicatif::ProgressBar;
use report::Report;
use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Learn to play a game from its pixels by deep Q-learning (Mnih et al. 2013 and 2015).
///
/// GAME is catch, pong or breakout, which need nothing, or ale:NAME for an Atari game, which needs pip install ale-py numpy. What
/// the options do not say is the game's recipe. The folder runs/dqn-GAME then holds model.safetensors, the scores of all games
/// (games.csv, scores.png), report.json and config.json. Ctrl-C saves and stops; --resume goes on, to the same weights bit for bit;
/// an Atari game, which cannot be saved, then begins anew.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn train-dqn catch
  cnn train-dqn pong --double --seed 1
  cnn train-dqn breakout --network 2015 --optimizer rmsprop --steps 500000 --out runs/try
  cnn train-dqn ale:pong --python venv/bin/python
  cnn train-dqn catch --resume --steps 100000
  cnn train-dqn catch --json | jq .evaluation.mean")]
pub struct Args {
    /// The game.
    game: Game,
    /// Steps to play, all games together [default: the game's recipe].
    #[arg(long, value_name = "N")]
    steps: Option<u64>,
    /// The network of 2013 (two convolutions) or of 2015 (three) [default: 2013].
    #[arg(long, value_name = "YEAR")]
    network: Option<Network>,
    /// Let the network choose the action whose value the target network tells (Double DQN).
    #[arg(long)]
    double: bool,
    /// The optimizer: adam, or rmsprop as in the paper of 2015 [default: adam].
    #[arg(long)]
    optimizer: Option<Optimizer>,
    /// The learning rate [default: the recipe's].
    #[arg(long, value_name = "RATE")]
    lr: Option<f32>,
    /// Steps whose rewards are added up before the target network tells the rest; 1 in the papers [default: the recipe's].
    #[arg(long, value_name = "N")]
    returns: Option<usize>,
    /// Frames of the replay memory; a million take 7 GB [default: the recipe's].
    #[arg(long, value_name = "N")]
    memory: Option<usize>,
    /// Games played at the same time; part of the recipe, since they change the numbers.
    #[arg(long, value_name = "N")]
    actors: Option<usize>,
    /// Games played after the training, and by a random player, for their mean scores.
    #[arg(long, value_name = "N", default_value_t = 30)]
    games: usize,
    /// The part of random actions in those games.
    #[arg(long, value_name = "PART", default_value_t = 0.05)]
    epsilon: f32,
    /// The seed of all random numbers [default: 0].
    #[arg(long)]
    seed: Option<u64>,
    /// The folder of the run [default: runs/dqn-GAME].
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Go on with the run in that folder, perhaps to more --steps.
    #[arg(long, conflicts_with = "overwrite")]
    resume: bool,
    /// Replace an earlier run in that folder.
    #[arg(long)]
    overwrite: bool,
    /// Seconds between two checkpoints.
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    save_every: u64,
    #[command(flatten)]
    ale: AleArgs,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The Atari games that are played at the same time after the training; of ours, which need no process, there are more.
const ALE_AT_ONCE: usize = 2;
const OWN_AT_ONCE: usize = 10;

pub fn run(args: Args) -> Result<(), Fault> {
    let (threads, pool) = threads(args.threads)?;
    let ale = args.ale.options()?;
    if !(0.0..=1.0).contains(&args.epsilon) {
        return Err(Fault::usage(format!("--epsilon: expected 0 to 1, got {}", args.epsilon)));
    }
    let (config, folder, mut training) = prepare(&args, &ale)?;
    let spec = config.spec(training.actions());
    let settings = training.settings();
    note(format!(
        "{} by {}: {} steps, {} games at a time, a memory of {} frames ({:.1} GB), {threads} {}, seed {}",
        games::title(&config.game),
        config.network.title(),
        config.steps,
        settings.actors,
        settings.memory,
        settings.memory as f64 * FRAME_BYTES / 1e9,
        if threads == 1 { "thread" } else { "threads" },
        settings.seed,
    ));
    interrupt::listen();
    let seconds = pool.run(|| learn(&mut training, &config, &spec, &folder, &args))?;
    // By a unique reference: games need not be shared between threads.
    let (training, args) = (&mut training, &args);
    let (config, folder) = (&config, &folder);
    let report = pool.run(move || {
        let at_once = if config.game.is_own() { OWN_AT_ONCE } else { ALE_AT_ONCE }.min(args.games);
        let mut environments =
            games::open(&config.game, at_once, training.settings().seed, "evaluation", &ale)?;
        Report::new(config, training, folder, &mut environments, args, seconds)
    })?;
    deliver(&report.words(), &report, args.json)
}

/// The bytes of the memory for a frame.
const FRAME_BYTES: f64 = 7062.0;

/// The configuration, the folder, and the run, new or resumed.
fn prepare(args: &Args, ale: &AleOptions) -> Result<(Config, RunFolder, Training), Fault> {
    let name = args.game.to_string().replace(':', "-");
    let folder =
        RunFolder::open(args.out.clone().unwrap_or_else(|| home::runs().join(format!("dqn-{name}"))))?;
    let path = folder.path().display();
    let earlier = Training::load::<Config>(&folder);
    if args.resume {
        let Some(resumed) = earlier? else {
            let message =
                format!("--resume: expected {} of an earlier run, found none", folder.checkpoint().display());
            return Err(Fault { status: 1, message });
        };
        let config = config::resumed(&resumed.config, &resumed.settings, args)
            .map_err(|differs| Fault::usage(format!("--resume: the run in {path} was started with {differs}; leave that option out, or start a new run")))?;
        let settings = &resumed.settings;
        // Games that cannot be saved begin anew, and not as they did before; others are set to where they were.
        let stream = format!("actor after {} steps", resumed.steps());
        let environments = games::open(&config.game, settings.actors, settings.seed, &stream, ale)?;
        let model = Model::build(config.spec(environments[0].actions()), settings.seed)?;
        let training = Training::resume(model.net, environments, &folder, resumed)?;
        return Ok((config, folder, training));
    }
    if !args.overwrite && !matches!(earlier, Ok(None)) {
        return Err(Fault::usage(format!(
            "{path} holds a run; --resume goes on with it, --overwrite replaces it, --out names another folder"
        )));
    }
    let config = Config::new(args);
    let settings = config::settings(&config.game, args);
    settings.validate().map_err(Fault::usage)?;
    let environments = games::open(&config.game, settings.actors, settings.seed, "actor", ale)?;
    let model = Model::build(config.spec(environments[0].actions()), settings.seed)?;
    let training = Training::new(model.net, environments, settings)?;
    // Only now, when everything has been found good, does the new run take the place of an earlier one.
    folder.clear()?;
    Ok((config, folder, training))
}

/// Plays and learns to the end; returns the seconds it took. A run that is interrupted, or whose game fails, is saved.
fn learn(
    training: &mut Training,
    config: &Config,
    spec: &ModelSpec,
    folder: &RunFolder,
    args: &Args,
) -> Result<f64, Fault> {
    let json = serde_json::to_string_pretty(&(config, training.settings()))?;
    write_atomically(&folder.file("config.json"), (json + "\n").as_bytes())?;
    let mut shown = Shown::new(config.steps, training.progress());
    let mut saved = Instant::now();
    while training.progress().steps < config.steps {
        if let Err(fault) = training.tick() {
            shown.bar.finish_and_clear();
            return Err(failed(fault, training, config, spec, folder)?);
        }
        shown.step(training);
        let stop = interrupt::flag().load(Ordering::Relaxed);
        if stop || saved.elapsed() >= Duration::from_secs(args.save_every) {
            keep(training, config, spec, folder)?;
            saved = Instant::now();
        }
        if stop {
            shown.bar.finish_and_clear();
            return Err(Fault::interrupted(format!(
                "interrupted after {} of {} steps; everything is saved in {}, add --resume to go on",
                training.progress().steps,
                config.steps,
                folder.path().display()
            )));
        }
    }
    shown.bar.finish_and_clear();
    keep(training, config, spec, folder)?;
    Ok(shown.since.elapsed().as_secs_f64())
}

/// Writes the checkpoint, the network and the scores.
fn keep(training: &mut Training, config: &Config, spec: &ModelSpec, folder: &RunFolder) -> Result<(), Fault> {
    training.save(folder, config)?;
    Model::save_net(spec, training.agent().net(), &folder.file("model.safetensors"))?;
    report::write_scores(training, config, folder)
}

/// The failure of a run. If a game failed, the run is saved first.
fn failed(
    fault: PlayError,
    training: &mut Training,
    config: &Config,
    spec: &ModelSpec,
    folder: &RunFolder,
) -> Result<Fault, Fault> {
    if !matches!(fault, PlayError::Process { .. }) {
        return Ok(fault.into());
    }
    keep(training, config, spec, folder)?;
    let (steps, path) = (training.progress().steps, folder.path().display());
    let message = format!("{fault}; the run is saved in {path} after {steps} steps, add --resume to go on");
    Ok(Fault { status: 1, message })
}

/// The display of a run under way.
struct Shown {
    bar: ProgressBar,
    lines: Lines,
    steps: u64,
    /// The steps of the processes before this one, and when this one began.
    before: u64,
    since: Instant,
}

impl Shown {
    fn new(steps: u64, progress: &Progress) -> Self {
        let bar = progress::bar(Some(steps), "{msg} [{bar:30}] {percent:>3} %  {remaining} left");
        let before = progress.steps;
        if before > 0 {
            note(format!("resuming after {before} steps"));
            bar.set_position(before);
            bar.reset_eta();
        }
        Self { bar, lines: Lines::new(), steps, before, since: Instant::now() }
    }

    fn step(&mut self, training: &Training) {
        let progress = training.progress();
        self.bar.set_position(progress.steps);
        let rate = (progress.steps - self.before) as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        let status = || {
            let score = progress
                .mean_score()
                .map_or("no game over yet".into(), |score| format!("mean score {score:.2}"));
            format!(
                "{score}  {} games  epsilon {:.2}  {rate:.0} steps/s",
                progress.games.len(),
                training.epsilon()
            )
        };
        if !self.bar.is_hidden() {
            self.bar.set_message(status());
        }
        self.lines.note(&self.bar, || {
            let left = self.steps.saturating_sub(progress.steps) as f64 / rate;
            format!("step {}/{}  {}  {} left", progress.steps, self.steps, status(), clock(left as u64))
        });
    }
}
