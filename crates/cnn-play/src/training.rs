//! The loop of deep Q-learning: play, remember, learn.

mod checkpoint;
mod settings;

pub use checkpoint::Resumed;
pub use settings::{Epsilon, TrainingSettings};

use crate::stack::STACK;
use crate::{Dqn, End, Environment, Moment, Outcome, PlayError, Replay, ReplayState, SIDE, Stack};
use cnn_nn::Graph;
use cnn_nn::metrics::argmax;
use cnn_tensor::{Random, Tensor, parallel};
use serde::{Deserialize, Serialize};
use std::time::Instant;

/// The most steps of a game: 30 minutes of an Atari console, after which published results break a game off.
pub const LONGEST_GAME: u64 = 27_000;

/// The games over which the mean score is taken.
pub const MEAN_OF: usize = 100;

/// A run: several games played at the same time (the actors), a memory, and an agent that learns from it.
///
/// A [`tick`](Training::tick) is a step of every game, then the updates that are due. All random numbers come from streams named
/// by the seed and the step, so the bits do not depend on the number of threads, and a resumed run equals an unbroken one.
///
/// ```
/// use cnn_nn::Model;
/// use cnn_play::{Game, Training, TrainingSettings};
/// let mut settings = TrainingSettings { start: 40, memory: 100, actors: 2, ..Game::Catch.recipe() };
/// settings.dqn.batch = 4;
/// let games: Vec<_> = (0..2).map(|i| Game::Catch.open(7, &format!("actor {i}"))).collect::<Result<_, _>>()?;
/// let actions = games[0].actions().to_vec();
/// let model = Model::build(cnn_zoo::dqn_2013(cnn_zoo::dqn_input(), actions), 7)?;
/// let mut training = Training::new(model.net, games, settings)?;
/// while training.progress().steps < 60 {
///     training.tick()?;
/// }
/// assert_eq!(training.progress().games.len(), 2);
/// assert!(training.agent().updates() > 0);
/// # Ok::<(), cnn_play::PlayError>(())
/// ```
pub struct Training {
    settings: TrainingSettings,
    agent: Dqn,
    replay: Replay,
    actors: Vec<Actor>,
    progress: Progress,
    times: Times,
    /// The files of the memory in the last checkpoint.
    saved: ReplayState,
}

/// A game that is played for the memory.
struct Actor {
    game: Box<dyn Environment>,
    stack: Stack,
    /// The game under way; `None` before its first step.
    under_way: Option<UnderWay>,
    /// The next action, and its result.
    action: usize,
    outcome: Outcome,
}

/// The count of a game under way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct UnderWay {
    score: f64,
    steps: u64,
}

/// How far a run is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The steps of all games.
    pub steps: u64,
    /// The games that came to an end, in that order.
    pub games: Vec<PlayedGame>,
    /// The loss of the last update.
    pub loss: Option<f64>,
}

impl Progress {
    /// The mean score of the last 100 games, or of all if there are fewer. `None` before the end of the first.
    pub fn mean_score(&self) -> Option<f64> {
        let last = &self.games[self.games.len().saturating_sub(MEAN_OF)..];
        (!last.is_empty()).then(|| last.iter().map(|game| game.score).sum::<f64>() / last.len() as f64)
    }
}

/// A game that came to an end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlayedGame {
    /// The steps of all games of the run until then.
    pub at: u64,
    /// Its score: all rewards, not clipped.
    pub score: f64,
    /// Its steps.
    pub steps: u64,
}

/// Where the time of a run went, in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// Choosing actions: the network on a stack of each game.
    pub act: f64,
    /// The games.
    pub play: f64,
    /// Storing frames, and drawing from the memory.
    pub remember: f64,
    /// The values to learn: the target network.
    pub target: f64,
    /// Forward, backward and the optimizer.
    pub learn: f64,
    /// Checkpoints.
    pub save: f64,
}

impl Times {
    /// All of it.
    pub fn total(&self) -> f64 {
        self.act + self.play + self.remember + self.target + self.learn + self.save
    }
}

/// Calls `f` and adds its time to `seconds`.
fn timed<T>(seconds: &mut f64, f: impl FnOnce() -> T) -> T {
    let since = Instant::now();
    let result = f();
    *seconds += since.elapsed().as_secs_f64();
    result
}

impl Training {
    /// A run that has not begun. There is an environment for each actor of the settings.
    ///
    /// # Errors
    /// A setting is outside its range, the system has no memory for the frames, or the network's outputs are not the actions.
    pub fn new(
        net: Graph,
        games: Vec<Box<dyn Environment>>,
        settings: TrainingSettings,
    ) -> Result<Self, PlayError> {
        settings.validate()?;
        if games.len() != settings.actors {
            return Err(PlayError::setting("the games", "one for each actor", games.len()));
        }
        let outputs = net.output_shape()?.numel();
        if let Some(game) = games.iter().find(|game| game.actions().len() != outputs) {
            let got = format!("{outputs} outputs for {} actions", game.actions().len());
            return Err(PlayError::setting("the network", "one with an output for each action", got));
        }
        if outputs > 1 << u8::BITS {
            return Err(PlayError::setting("the actions", "at most 256", outputs));
        }
        let replay = Replay::new(settings.memory, settings.actors)?;
        let agent = Dqn::new(net, settings.dqn.clone())?;
        let actor = |game: Box<dyn Environment>| {
            let (stack, outcome) = (Stack::new(game.frame()), Outcome::default());
            Actor { game, stack, under_way: None, action: 0, outcome }
        };
        let actors = games.into_iter().map(actor).collect();
        let (progress, times, saved) = (Progress::default(), Times::default(), ReplayState::default());
        Ok(Self { settings, agent, replay, actors, progress, times, saved })
    }

    /// The settings.
    pub fn settings(&self) -> &TrainingSettings {
        &self.settings
    }

    /// The names of the actions.
    pub fn actions(&self) -> &[String] {
        self.actors[0].game.actions()
    }

    /// The agent.
    pub fn agent(&self) -> &Dqn {
        &self.agent
    }

    /// How far the run is.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Where the time went.
    pub fn times(&self) -> &Times {
        &self.times
    }

    /// The part of random actions now.
    pub fn epsilon(&self) -> f32 {
        self.settings.epsilon.at(self.progress.steps.saturating_sub(self.settings.start))
    }

    /// One step of every game, and the updates that are due.
    ///
    /// # Errors
    /// A game fails, or an update does. If a game failed, the step of all games is lost, and they begin anew; the run can be
    /// saved and resumed.
    pub fn tick(&mut self) -> Result<(), PlayError> {
        self.choose()?;
        self.play()?;
        self.remember();
        let learned = self.progress.steps.saturating_sub(self.settings.start);
        while self.agent.updates() < learned / self.settings.learn_every {
            self.learn()?;
        }
        Ok(())
    }

    /// Begins games that are over anew, and chooses the action of each.
    fn choose(&mut self) -> Result<(), PlayError> {
        let begun = timed(&mut self.times.play, || {
            each(&mut self.actors, |actor| {
                if actor.under_way.is_none() {
                    actor.game.reset()?;
                    actor.stack.reset(actor.game.frame());
                    actor.under_way = Some(UnderWay::default());
                }
                Ok(())
            })
        });
        self.restart_on(begun)?;
        let (epsilon, step, seed) = (self.epsilon(), self.progress.steps.to_string(), self.settings.seed);
        let actions = self.actors[0].game.actions().len();
        let mut greedy = Vec::new();
        for (i, actor) in self.actors.iter_mut().enumerate() {
            let mut random = Random::new(seed, &["act", &step, &i.to_string()]);
            match random.chance(epsilon) {
                true => actor.action = random.below(actions),
                false => greedy.push(i),
            }
        }
        if greedy.is_empty() {
            return Ok(());
        }
        timed(&mut self.times.act, || {
            let best = argmax(&self.agent.values(&input(greedy.iter().map(|&i| &self.actors[i].stack)))?);
            for (&i, best) in greedy.iter().zip(best) {
                self.actors[i].action = best as usize;
            }
            Ok(())
        })
    }

    /// A step of every game.
    fn play(&mut self) -> Result<(), PlayError> {
        let played = timed(&mut self.times.play, || {
            each(&mut self.actors, |actor| {
                actor.outcome = actor.game.step(actor.action)?;
                Ok(())
            })
        });
        self.restart_on(played)
    }

    /// After a failure of one game all begin anew: their steps are not remembered.
    fn restart_on(&mut self, result: Result<(), PlayError>) -> Result<(), PlayError> {
        if result.is_err() {
            self.replay.cut();
            self.actors.iter_mut().for_each(|actor| actor.under_way = None);
        }
        result
    }

    /// Puts the steps into the memory, and counts those games that are over.
    fn remember(&mut self) {
        let since = Instant::now();
        let steps = self.progress.steps + self.actors.len() as u64;
        self.progress.steps = steps;
        for (i, actor) in self.actors.iter_mut().enumerate() {
            let Outcome { reward, over, life_lost } = actor.outcome;
            let mut game = actor.under_way.unwrap_or_default();
            let first = game.steps == 0;
            game.score += f64::from(reward);
            game.steps += 1;
            let too_long = game.steps >= LONGEST_GAME;
            let end = match over || life_lost && self.settings.life_ends {
                true => End::Over,
                false if too_long => End::Cut,
                false => End::Goes,
            };
            let reward = if self.settings.clip_rewards { reward.clamp(-1.0, 1.0) } else { reward };
            let action = actor.action as u8;
            self.replay.push(i, Moment { frame: actor.stack.newest(), first, action, reward, end });
            if over || too_long {
                self.progress.games.push(PlayedGame { at: steps, score: game.score, steps: game.steps });
                actor.under_way = None;
            } else {
                actor.under_way = Some(game);
                actor.stack.push(actor.game.frame());
            }
        }
        self.times.remember += since.elapsed().as_secs_f64();
    }

    /// One update.
    fn learn(&mut self) -> Result<(), PlayError> {
        let Self { agent, replay, times, settings, .. } = self;
        let draw = || replay.sample(settings.dqn.draw(), settings.seed, agent.updates());
        let sample = timed(&mut times.remember, draw)?;
        let targets = timed(&mut times.target, || agent.targets(&sample))?;
        let loss = timed(&mut times.learn, || agent.learn_towards(&sample, &targets))?;
        self.progress.loss = Some(loss);
        Ok(())
    }
}

/// Calls `f` for every actor, on several threads: a game in another process is waited for.
fn each(
    actors: &mut [Actor],
    f: impl Fn(&mut Actor) -> Result<(), PlayError> + Sync + Send,
) -> Result<(), PlayError> {
    let mut results: Vec<Result<(), PlayError>> = actors.iter().map(|_| Ok(())).collect();
    parallel::for_each_chunk_pair((actors, 1), (&mut results, 1), |_, actor, result| {
        result[0] = f(&mut actor[0]);
    });
    results.into_iter().collect()
}

/// Stacks as the input of a network.
pub(crate) fn input<'a>(stacks: impl ExactSizeIterator<Item = &'a Stack>) -> Tensor {
    let mut x = Tensor::scratch([stacks.len(), STACK, SIDE, SIDE]);
    let size = STACK * SIDE * SIDE;
    x.data_mut().chunks_mut(size).zip(stacks).for_each(|(x, stack)| stack.write(x));
    x
}

#[cfg(test)]
mod tests;
