//! The interface of a game.

use crate::PlayError;

/// The height and width of a frame in pixels.
pub const SIDE: usize = 84;

/// The pixels of a frame.
pub const PIXELS: usize = SIDE * SIDE;

/// A game: it shows a frame, takes an action, and answers with a reward and the next frame.
///
/// A step is one decision of the player; the game itself may run through several frames in it. Call [`reset`](Self::reset)
/// before the first step and after each game that is over.
///
/// ```
/// use cnn_play::{Environment, Game, PIXELS};
/// let mut catch = Game::Catch.open(7, "example")?;
/// assert_eq!(catch.actions(), ["left", "stay", "right"]);
/// catch.reset()?;
/// let score = loop {
///     let outcome = catch.step(1)?;
///     assert_eq!(catch.frame().len(), PIXELS);
///     if outcome.over {
///         break outcome.reward;
///     }
/// };
/// assert!(score == 1.0 || score == -1.0);
/// # Ok::<(), cnn_play::PlayError>(())
/// ```
pub trait Environment: Send {
    /// The names of the actions, at least one and at most 256.
    fn actions(&self) -> &[String];

    /// Begins a new game.
    ///
    /// # Errors
    /// The game fails. It can be used no longer.
    fn reset(&mut self) -> Result<(), PlayError>;

    /// One step by the action of that number.
    ///
    /// # Errors
    /// There is no such action, or the game fails.
    fn step(&mut self, action: usize) -> Result<Outcome, PlayError>;

    /// The frame shown now: [`PIXELS`] gray values, row by row.
    fn frame(&self) -> &[u8];

    /// The state of the game under way, from which [`restore`](Self::restore) continues with the same bits. `None` for a game
    /// that cannot tell it; such a game begins anew when a run is resumed.
    fn state(&self) -> Option<String> {
        None
    }

    /// Continues from a state.
    ///
    /// # Errors
    /// The text is not a state of this game.
    fn restore(&mut self, state: &str) -> Result<(), PlayError> {
        let _ = state;
        Err(PlayError::setting("the saved state of a game", "none for this game", "one"))
    }
}

/// The result of a step.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The points won, or lost if negative.
    pub reward: f32,
    /// Whether the game is over.
    pub over: bool,
    /// Whether the player lost one of several lives.
    pub life_lost: bool,
}

/// Checks the number of an action.
pub(crate) fn check_action(action: usize, actions: usize) -> Result<(), PlayError> {
    if action < actions {
        return Ok(());
    }
    Err(PlayError::setting(
        "the number of an action",
        "below the number of actions",
        format!("{action} of {actions}"),
    ))
}
