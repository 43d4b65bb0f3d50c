//! Catch: a ball falls, and a paddle must be below it.

use super::{Dice, Rules, Screen};
use crate::Outcome;
use serde::{Deserialize, Serialize};

/// A ball falls from a random place at the top, drifting to a side and back from the walls. A game is one ball: 1 if it is
/// caught, -1 if it is missed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Catch {
    /// The upper left corner of the ball.
    ball: [i32; 2],
    /// Pixels that it moves to the right in a step.
    drift: i32,
    /// The left end of the paddle.
    paddle: i32,
}

const SIDE: i32 = crate::SIDE as i32;
const BALL: i32 = 4;
const FALL: i32 = 4;
const PADDLE: [i32; 2] = [14, 3];
const PADDLE_Y: i32 = SIDE - PADDLE[1] - 1;
const PADDLE_SPEED: i32 = 5;

impl Rules for Catch {
    const ACTIONS: &'static [&'static str] = &["left", "stay", "right"];

    fn start(dice: &mut Dice) -> Self {
        let x = dice.between(0, SIDE - BALL);
        Self { ball: [x, 0], drift: dice.between(-2, 2), paddle: (SIDE - PADDLE[0]) / 2 }
    }

    fn step(&mut self, action: usize, _dice: &mut Dice) -> Outcome {
        let to = self.paddle + PADDLE_SPEED * (action as i32 - 1);
        self.paddle = to.clamp(0, SIDE - PADDLE[0]);
        let [x, y] = &mut self.ball;
        *y += FALL;
        *x += self.drift;
        if !(0..=SIDE - BALL).contains(x) {
            *x = (*x).clamp(0, SIDE - BALL);
            self.drift = -self.drift;
        }
        if *y + BALL < PADDLE_Y {
            return Outcome::default();
        }
        let caught = *x + BALL > self.paddle && *x < self.paddle + PADDLE[0];
        Outcome { reward: if caught { 1.0 } else { -1.0 }, over: true, life_lost: false }
    }

    fn draw(&self, screen: &mut Screen) {
        screen.clear();
        screen.fill([self.paddle, PADDLE_Y], PADDLE, 160);
        screen.fill(self.ball, [BALL; 2], 255);
    }

    fn is_sound(&self) -> bool {
        let [x, y] = self.ball;
        (0..=SIDE - BALL).contains(&x)
            && (0..SIDE).contains(&y)
            && (-2..=2).contains(&self.drift)
            && (0..=SIDE - PADDLE[0]).contains(&self.paddle)
    }
}

#[cfg(test)]
impl Catch {
    /// The action of a player that sees everything.
    pub(super) fn best(&self) -> usize {
        let off = self.ball[0] + BALL / 2 - (self.paddle + PADDLE[0] / 2);
        if off.abs() < PADDLE_SPEED { 1 } else { (off.signum() + 1) as usize }
    }
}
