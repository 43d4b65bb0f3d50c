//! A run in files, from which it continues with the same bits.
//!
//! | file | |
//! |---|---|
//! | `checkpoint.safetensors` | settings, progress, the games under way, the network, the target network, the optimizer's memory |
//! | `replay/` | the replay memory, in blocks |
//!
//! A game that cannot tell its state (Atari) begins anew when the run is resumed; such a run is as good as an unbroken one, but
//! not equal to it.

use super::{LONGEST_GAME, PlayedGame, Progress, Times, Training, TrainingSettings, UnderWay, timed};
use crate::stack::STACK;
use crate::{Environment, PIXELS, PlayError, Replay, ReplayState, Stack};
use cnn_nn::checkpoint::{self, Saved};
use cnn_nn::{Graph, NnError, RunFolder};
use cnn_tensor::Tensor;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// The description in the checkpoint.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State<C> {
    format: String,
    version: u32,
    /// The program's own description of the run.
    config: C,
    settings: TrainingSettings,
    steps: u64,
    loss: Option<f64>,
    games: Vec<PlayedGame>,
    updates: u64,
    times: Times,
    actors: Vec<ActorState>,
    replay: ReplayState,
}

/// The state of a game under way.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ActorState {
    under_way: Option<UnderWay>,
    /// `None` if the game cannot tell it.
    game: Option<String>,
}

const FORMAT: &str = "cnn-dqn";
const VERSION: u32 = 1;
/// More steps than any run has.
const MOST_STEPS: u64 = 1 << 52;
const REPLAY: &str = "replay";
/// Where the frames of the actors are among the tensors.
const STACKS: &str = "stack.";

/// A checkpoint that was read.
pub struct Resumed<C> {
    /// The program's own description of the run.
    pub config: C,
    /// The settings of the run.
    pub settings: TrainingSettings,
    path: PathBuf,
    state: State<()>,
    tensors: BTreeMap<String, Tensor>,
}

impl<C> Resumed<C> {
    /// The steps of the run until then.
    pub fn steps(&self) -> u64 {
        self.state.steps
    }
}

impl Training {
    /// Writes a checkpoint into the folder of the run. `config` is the program's own description of it.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save<C: Serialize>(&mut self, folder: &RunFolder, config: &C) -> Result<(), PlayError> {
        let mut seconds = 0.0;
        let saved = timed(&mut seconds, || self.write(folder, config));
        self.times.save += seconds;
        saved
    }

    fn write<C: Serialize>(&mut self, folder: &RunFolder, config: &C) -> Result<(), PlayError> {
        let (path, frames) = (folder.checkpoint(), folder.file(REPLAY));
        let unwritable = |source| NnError::Io { path: frames.clone(), action: "make a folder", source };
        std::fs::create_dir_all(&frames).map_err(unwritable)?;
        let replay = self.replay.save(&frames, &self.saved)?;
        let actor =
            |actor: &super::Actor| ActorState { under_way: actor.under_way, game: actor.game.state() };
        let state = State {
            format: FORMAT.into(),
            version: VERSION,
            config,
            settings: self.settings.clone(),
            steps: self.progress.steps,
            loss: self.progress.loss,
            games: self.progress.games.clone(),
            updates: self.agent.updates(),
            times: self.times,
            actors: self.actors.iter().map(actor).collect(),
            replay,
        };
        let description = serde_json::to_string(&state).map_err(|e| PlayError::file(&path, e))?;
        let mut tensors = self.agent.state();
        for (i, actor) in self.actors.iter().enumerate() {
            let numbers = actor.stack.frames().iter().map(|&pixel| f32::from(pixel)).collect();
            tensors.push((
                format!("{STACKS}{i}"),
                Tensor::from_vec([STACK, PIXELS], numbers).map_err(NnError::from)?,
            ));
        }
        checkpoint::save(&path, &description, &tensors)?;
        // Only now: the checkpoint before named them.
        Replay::remove_others(&frames, &state.replay);
        self.saved = state.replay;
        Ok(())
    }

    /// Reads the checkpoint in the folder of a run; `None` if there is none.
    ///
    /// # Errors
    /// The checkpoint is damaged, or not one of this kind.
    pub fn load<C: DeserializeOwned>(folder: &RunFolder) -> Result<Option<Resumed<C>>, PlayError> {
        let path = folder.checkpoint();
        let saved = match checkpoint::load(&path) {
            Err(NnError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {
                return Ok(None);
            }
            saved => saved?.whole(&path)?,
        };
        let fault = |fault: String| {
            PlayError::file(&path, format!("expected the checkpoint of a run that learns to play: {fault}"))
        };
        let Saved { description, tensors, .. } = saved;
        let description = description.ok_or_else(|| fault("it has no description".into()))?;
        let state: State<C> = serde_json::from_str(&description).map_err(|e| fault(e.to_string()))?;
        if (state.format.as_str(), state.version) != (FORMAT, VERSION) {
            return Err(fault(format!("got {:?} version {}", state.format, state.version)));
        }
        let State { format, version, config, settings, steps, loss, games, updates, times, actors, replay } =
            state;
        let (kept, config) = (settings.clone(), config);
        let state = State {
            format,
            version,
            config: (),
            settings,
            steps,
            loss,
            games,
            updates,
            times,
            actors,
            replay,
        };
        Ok(Some(Resumed { config, settings: kept, path, state, tensors }))
    }

    /// Continues a run from its checkpoint. `net` and `games` are as for [`Training::new`].
    ///
    /// # Errors
    /// The checkpoint does not fit the network or the games, or the files of the memory are missing or damaged.
    pub fn resume<C>(
        net: Graph,
        games: Vec<Box<dyn Environment>>,
        folder: &RunFolder,
        resumed: Resumed<C>,
    ) -> Result<Self, PlayError> {
        let Resumed { path, state, mut tensors, .. } = resumed;
        let actions = games.first().map_or(0, |game| game.actions().len());
        let mut training = Self::new(net, games, state.settings)?;
        let misfit = |fault: &str| PlayError::file(&path, fault);
        let TrainingSettings { start, learn_every, .. } = training.settings;
        let due = state.steps.saturating_sub(start) / learn_every;
        let sound = |game: UnderWay| game.score.is_finite() && game.steps < LONGEST_GAME;
        if state.steps > MOST_STEPS
            || state.updates != due
            || !state.actors.iter().filter_map(|actor| actor.under_way).all(sound)
        {
            return Err(misfit("expected numbers of steps and updates that go together, got others"));
        }
        if state.actors.len() != training.actors.len() {
            return Err(misfit("expected the state of each game, got another number"));
        }
        let mut cut = false;
        for (i, (actor, saved)) in training.actors.iter_mut().zip(state.actors).enumerate() {
            let stack = tensors.remove(&format!("{STACKS}{i}"));
            let stack = stack.filter(|stack| *stack.shape().dims() == [STACK, PIXELS]);
            let stack =
                stack.ok_or_else(|| misfit("expected the last frames of each game, got none or others"))?;
            actor.stack = Stack::of(stack.data().iter().map(|&number| number as u8).collect());
            match saved.game {
                Some(game) => {
                    actor.game.restore(&game)?;
                    actor.under_way = saved.under_way;
                }
                None => cut = true,
            }
        }
        training.agent.restore(state.updates, tensors).map_err(|fault| match fault {
            PlayError::Nn(fault) => PlayError::Nn(fault.in_file(&path)),
            fault => fault,
        })?;
        training.replay = training.replay.load(&folder.file(REPLAY), &state.replay, actions)?;
        if cut {
            training.replay.cut();
        }
        let (steps, games, loss) = (state.steps, state.games, state.loss);
        training.progress = Progress { steps, games, loss };
        (training.times, training.saved) = (state.times, state.replay);
        Ok(training)
    }
}
