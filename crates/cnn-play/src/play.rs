//! Playing without learning: to see how good a player is, or to watch it.

use crate::training::{LONGEST_GAME, input};
use crate::{Environment, Outcome, PlayError, Stack};
use cnn_nn::Graph;
use cnn_nn::metrics::argmax;
use cnn_tensor::Random;

/// A player.
#[derive(Clone, Copy)]
pub enum Player<'a> {
    /// All actions are random.
    Random,
    /// The action with the highest value, or with probability `epsilon` a random one.
    Network {
        /// It tells the values.
        net: &'a Graph,
        /// The part of random actions, from 0 to 1.
        epsilon: f32,
    },
}

/// A step, as a spectator sees it.
pub struct Seen<'a> {
    /// The number of the game, from 0.
    pub game: usize,
    /// The number of the step in it, from 0.
    pub step: u64,
    /// The frame before the action.
    pub frame: &'a [u8],
    /// The values of all actions, if the player has a network.
    pub values: Option<&'a [f32]>,
    /// The action.
    pub action: usize,
    /// Its result.
    pub outcome: Outcome,
    /// The score after it.
    pub score: f64,
}

/// Plays `games` games, several at the same time: environment `i` of `n` plays the games `i`, `i + n`, and so on. Calls `see` after
/// each step. Returns the score of each game. The random numbers of a game come from a stream named by its number.
///
/// ```
/// use cnn_play::{Game, Player, play};
/// let mut games = vec![Game::Catch.open(0, "first")?, Game::Catch.open(0, "second")?];
/// let scores = play(Player::Random, &mut games, 5, 0, |_| {})?;
/// assert_eq!(scores.len(), 5);
/// assert!(scores.iter().all(|score| score.abs() == 1.0));
/// # Ok::<(), cnn_play::PlayError>(())
/// ```
///
/// # Errors
/// There are no environments, a game fails, or the network cannot take its frames.
pub fn play(
    player: Player<'_>,
    environments: &mut [Box<dyn Environment>],
    games: usize,
    seed: u64,
    mut see: impl FnMut(&Seen<'_>),
) -> Result<Vec<f64>, PlayError> {
    let lanes = environments.len();
    let Some(actions) = environments.first().map(|environment| environment.actions().len()) else {
        return Err(PlayError::setting("the environments", "at least one", 0));
    };
    if let Player::Network { net, .. } = player {
        let outputs = net.output_shape()?.numel();
        if outputs != actions {
            let got = format!("{outputs} outputs for {actions} actions");
            return Err(PlayError::setting("the network", "one with an output for each action", got));
        }
    }
    let mut scores = vec![0.0; games];
    let mut tables: Vec<Table> = Vec::new();
    for (environment, game) in environments.iter_mut().zip(0..games) {
        tables.push(Table::begin(environment, game)?);
    }
    while !tables.is_empty() {
        let values = match player {
            Player::Random => None,
            Player::Network { net, .. } => Some(net.infer(&input(tables.iter().map(|table| &table.stack)))?),
        };
        let best = values.as_ref().map(argmax);
        let mut next = Vec::with_capacity(tables.len());
        for (i, mut table) in tables.into_iter().enumerate() {
            let path = ["play", &table.game.to_string(), &table.step.to_string()];
            let mut random = Random::new(seed, &path);
            let action = match (player, &best) {
                (Player::Network { epsilon, .. }, Some(best)) if !random.chance(epsilon) => best[i] as usize,
                _ => random.below(actions),
            };
            let frame = table.stack.newest().to_vec();
            let outcome = table.environment.step(action)?;
            table.score += f64::from(outcome.reward);
            let values = values.as_ref().map(|values| values.row(i));
            see(&Seen {
                game: table.game,
                step: table.step,
                frame: &frame,
                values,
                action,
                outcome,
                score: table.score,
            });
            table.step += 1;
            if !outcome.over && table.step < LONGEST_GAME {
                table.stack.push(table.environment.frame());
                next.push(table);
                continue;
            }
            scores[table.game] = table.score;
            if table.game + lanes < games {
                next.push(Table::begin(table.environment, table.game + lanes)?);
            }
        }
        tables = next;
    }
    Ok(scores)
}

/// A game under way.
struct Table<'a> {
    environment: &'a mut Box<dyn Environment>,
    stack: Stack,
    game: usize,
    step: u64,
    score: f64,
}

impl<'a> Table<'a> {
    fn begin(environment: &'a mut Box<dyn Environment>, game: usize) -> Result<Self, PlayError> {
        environment.reset()?;
        let stack = Stack::new(environment.frame());
        Ok(Self { environment, stack, game, step: 0, score: 0.0 })
    }
}
