//! 22. Deep Q-learning: a network learns to catch a ball, and sees nothing but pixels.
//!
//! You learn the loop of Mnih et al. 2013: play, remember, learn. A convolutional network gets the last four frames of a game,
//! 84 x 84 pixels each, and has an output for each action: its value, the points that it expects in the rest of the game if it
//! takes that action. It plays by taking the action with the highest value, or now and then a random one.
//!
//! It is not told the right action. It learns from its own play: the value of an action should be the reward that followed, plus
//! the value of the best action after it. Steps that follow each other are alike, so it learns from steps drawn at random from a
//! memory; and the value of the action after it is told by an older copy of the network, the target network.
//!
//! `cargo run --release -p cnn-play --example 22_dqn [STEPS]`
#![allow(clippy::print_stdout)]

#[path = "../../cnn-zoo/examples/failure/mod.rs"]
mod failure;

use cnn_nn::{Adam, Model, metrics::argmax};
use cnn_play::{Dqn, DqnSettings, End, Environment, Game, Moment, PlayError, Replay, STACK, Stack};
use cnn_tensor::{Random, Tensor};
use failure::Failure;

/// The memory's frames: 350 MB for 50,000 of them.
const MEMORY: usize = 50_000;
/// Steps at random before the network learns, and from one update of the network to the next.
const START: u64 = 500;
const LEARN_EVERY: u64 = 4;

/// Plays and learns for so many steps. Returns the score of each game: 1 for a ball that was caught, -1 for one that was missed.
pub fn learn(steps: u64, seed: u64) -> Result<(Dqn, Vec<f64>), PlayError> {
    let mut game = Game::Catch.open(seed, "learning")?;
    let actions = game.actions().to_vec();
    let model = Model::build(cnn_zoo::dqn_2013(cnn_zoo::dqn_input(), actions.clone()), seed)?;

    // Rewards of three steps are added up before the target network tells the rest: a catch is learned sooner from the steps before it.
    let settings = DqnSettings {
        optimizer: Adam::default().into(),
        learning_rate: 0.0005,
        target_every: 200,
        returns: 3,
        ..DqnSettings::default()
    };
    let mut agent = Dqn::new(model.net, settings)?;
    let mut replay = Replay::new(MEMORY, 1)?;

    let mut scores = Vec::new();
    let mut stack = Stack::new(game.frame());
    let mut first = true;
    for step in 0..steps {
        // From always random to nearly never, so that the network first sees a little of everything.
        let epsilon = (1.0 - step as f32 / 5_000.0).max(0.02);
        let mut random = Random::new(seed, &["act", &step.to_string()]);
        let action = match random.chance(epsilon) {
            true => random.below(actions.len()),
            false => best_action(&agent, &stack)?,
        };
        let outcome = game.step(action)?;

        // One frame, one action, one reward: the memory puts the stacks of four together when they are drawn.
        let end = if outcome.over { End::Over } else { End::Goes };
        let (frame, action, reward) = (stack.newest(), action as u8, outcome.reward);
        replay.push(0, Moment { frame, first, action, reward, end });

        first = outcome.over;
        if outcome.over {
            scores.push(f64::from(outcome.reward));
            game.reset()?;
            stack.reset(game.frame());
        } else {
            stack.push(game.frame());
        }

        // 32 steps drawn from the memory, and a step of the optimizer. `Dqn` is a `Learner` and its loss: see dqn.rs.
        if step >= START && step.is_multiple_of(LEARN_EVERY) {
            agent.learn(&replay.sample(agent.settings().draw(), seed, agent.updates())?)?;
        }
        if (step + 1).is_multiple_of(2_000) {
            println!("step {:>6}: mean score of the last 100 games {:+.2}", step + 1, mean_of_last(&scores));
        }
    }
    Ok((agent, scores))
}

/// The action with the highest value.
fn best_action(agent: &Dqn, stack: &Stack) -> Result<usize, PlayError> {
    let mut x = Tensor::zeros([1, STACK, 84, 84]);
    stack.write(x.data_mut());
    Ok(argmax(&agent.values(&x)?)[0] as usize)
}

/// The mean score of the last 100 games.
pub fn mean_of_last(scores: &[f64]) -> f64 {
    let last = &scores[scores.len().saturating_sub(100)..];
    last.iter().sum::<f64>() / last.len() as f64
}

/// Plays a game by the best actions, and shows them.
fn show(agent: &Dqn, game: &mut dyn Environment) -> Result<(), PlayError> {
    game.reset()?;
    let mut stack = Stack::new(game.frame());
    println!("a game, step by step: the action taken");
    loop {
        let action = best_action(agent, &stack)?;
        print!("{} ", game.actions()[action]);
        let outcome = game.step(action)?;
        stack.push(game.frame());
        if outcome.over {
            println!("... {}", if outcome.reward > 0.0 { "caught" } else { "missed" });
            return Ok(());
        }
    }
}

fn main() -> Result<(), Failure> {
    let steps = std::env::args_os().nth(1);
    let steps =
        steps.map_or(Some(40_000), |word| word.to_str()?.parse().ok()).ok_or("expected a number of STEPS")?;
    let (agent, scores) = learn(steps, 0)?;
    println!("{} games, mean score of the last 100: {:+.2}", scores.len(), mean_of_last(&scores));
    show(&agent, &mut *Game::Catch.open(0, "showing")?)?;
    Ok(())
}
