//! `cnn play`: a game, as an animated picture.

use crate::fault::{Fault, print};
use crate::games::{self, AleArgs, Tally};
use crate::home;
use crate::save::save;
use crate::threads::threads;
use cnn_nn::Model;
use cnn_play::{Game, Player, SIDE};
use cnn_report::{GameStep, Gameplay, gameplay_animation};
use cnn_zoo::Network;
use serde::Serialize;
use std::path::PathBuf;

/// Play a game by a network that learned it, to an animated picture with the value of each action beside the frame.
///
/// GAME is catch, pong or breakout, or ale:NAME for an Atari game (pip install ale-py numpy). The picture is an animated PNG, which
/// browsers play; it shows the first game, or its beginning.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn play catch --weights runs/dqn-catch/model.safetensors
  cnn play breakout --random --out random.png
  cnn play pong --weights runs/dqn-pong/model.safetensors --games 30 --json | jq .mean
  cnn play ale:pong --weights runs/dqn-ale-pong/model.safetensors --python venv/bin/python")]
pub struct Args {
    /// The game.
    game: Game,
    /// The network: a file that cnn train-dqn wrote.
    #[arg(long, value_name = "FILE", required_unless_present = "random", conflicts_with = "random")]
    weights: Option<PathBuf>,
    /// Let all actions be random instead.
    #[arg(long)]
    random: bool,
    /// The part of the network's actions that are random.
    #[arg(long, value_name = "PART", default_value_t = 0.0)]
    epsilon: f32,
    /// Play N games for their mean score; the picture shows the first.
    #[arg(long, value_name = "N", default_value_t = 1)]
    games: usize,
    /// The most steps that the picture shows.
    #[arg(long, value_name = "N", default_value_t = 400)]
    frames: usize,
    /// How long it shows each, in milliseconds.
    #[arg(long, value_name = "MS", default_value_t = 66)]
    pace: u16,
    /// The seed of the game and of random actions.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// The picture to write [default: runs/play/GAME.png].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    ale: AleArgs,
    /// Threads; they change no number [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    game: String,
    player: String,
    epsilon: f32,
    seed: u64,
    #[serde(flatten)]
    tally: Tally,
    /// The steps of the first game.
    steps: u64,
    picture: String,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    let options = args.ale.options()?;
    if !(0.0..=1.0).contains(&args.epsilon) {
        return Err(Fault::usage(format!("--epsilon: expected 0 to 1, got {}", args.epsilon)));
    }
    if args.games == 0 || args.frames == 0 {
        let option = if args.games == 0 { "--games" } else { "--frames" };
        return Err(Fault::usage(format!("{option}: expected at least 1, got 0")));
    }
    let mut environments = games::open(&args.game, 1, args.seed, "play", &options)?;
    let actions = environments[0].actions().to_vec();
    let model = args.weights.as_ref().map(|file| games::player(file, &args.game, &actions)).transpose()?;
    let player = match &model {
        Some(Model { net, .. }) => Player::Network { net, epsilon: args.epsilon },
        None => Player::Random,
    };
    let mut film = Gameplay { actions, size: [SIDE; 2], steps: Vec::new() };
    let mut steps = 0;
    let tally = pool.run(|| {
        games::play(player, &mut environments, args.games, args.seed, |seen| {
            if seen.game > 0 {
                return;
            }
            steps += 1;
            if film.steps.len() < args.frames {
                let values = seen.values.unwrap_or_default().to_vec();
                let (frame, action, score) = (seen.frame.to_vec(), seen.action, seen.score);
                film.steps.push(GameStep { frame, values, action, score });
            }
        })
    })?;
    let name = args.game.to_string().replace(':', "-");
    let out = args.out.unwrap_or_else(|| home::runs().join("play").join(format!("{name}.png")));
    let title_of = |name: &str| Network::find(name).map_or(name.into(), |network| network.title.into());
    let by: String = model.map_or("a random player".into(), |model| title_of(&model.spec.name));
    let title = format!("{}, played by {by}", games::title(&args.game));
    save(&out, &pool.run(|| gameplay_animation(&title, &film, args.pace))?)?;
    let picture = out.display().to_string();
    let (game, epsilon, seed) = (args.game.to_string(), args.epsilon, args.seed);
    let report = Report { game, player: by, epsilon, seed, tally, steps, picture };
    if args.json {
        print(serde_json::to_string(&report)?);
    } else {
        print(format!("{}: {}", games::title(&args.game), report.tally.words()));
        print(&report.picture);
    }
    Ok(())
}
