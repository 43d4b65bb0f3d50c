//! Pong against a scripted player, to 21 points.

use super::{Dice, Rules, Screen};
use crate::Outcome;
use serde::{Deserialize, Serialize};

/// The player has the paddle at the right. The one at the left follows the ball, and hits it with a random place of its paddle. But
/// it is slow: the farther from its middle the ball meets a paddle, the steeper it leaves, and each hit makes the ball faster. The
/// score of a game is the points won less those lost, from -21 to 21.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pong {
    /// The upper left corner of the ball.
    ball: [i32; 2],
    /// Its movement in a step.
    speed: [i32; 2],
    /// The upper ends of the paddles: the scripted player's, and the player's.
    paddles: [i32; 2],
    /// How far below its paddle's middle the scripted player will meet the ball.
    aim: i32,
    /// The points of both, in the same order.
    points: [i32; 2],
}

// Lengths are in sixteenths of a pixel, so that sums are exact.
const PIXEL: i32 = 16;
const SIDE: i32 = crate::SIDE as i32 * PIXEL;
/// The thickness of the walls above and below.
const WALL: i32 = 3 * PIXEL;
const BALL: i32 = 3 * PIXEL;
const PADDLE: [i32; 2] = [3 * PIXEL, 14 * PIXEL];
/// The left ends of both paddles.
const PADDLE_X: [i32; 2] = [4 * PIXEL, SIDE - 7 * PIXEL];
/// The parts in which a step is made.
const PARTS: i32 = 4;
/// The movements of the two paddles in a step.
const SCRIPTED_SPEED: i32 = 40;
const PLAYER_SPEED: i32 = 6 * PIXEL;
/// The ball's movement to a side after the serve, its increase with each hit, and its maximum.
const SERVE: i32 = 5 * PIXEL;
const FASTER: i32 = 12;
const FASTEST: i32 = 9 * PIXEL;
/// The ball's movement up or down after a hit with the end of a paddle.
const STEEPEST: i32 = 6 * PIXEL;
/// The most that the scripted player aims beside its paddle's middle, in pixels.
const AIM: i32 = 6;
const POINTS: i32 = 21;

impl Rules for Pong {
    const ACTIONS: &'static [&'static str] = &["stay", "up", "down"];

    fn start(dice: &mut Dice) -> Self {
        let middle = (SIDE - PADDLE[1]) / 2;
        let mut pong = Self { ball: [0; 2], speed: [0; 2], paddles: [middle; 2], aim: 0, points: [0; 2] };
        pong.serve(dice);
        pong
    }

    fn step(&mut self, action: usize, dice: &mut Dice) -> Outcome {
        let wanted = [0, -PLAYER_SPEED, PLAYER_SPEED][action];
        for _ in 0..PARTS {
            self.move_paddle(1, wanted / PARTS);
            self.move_paddle(0, self.scripted());
            if let Some(winner) = self.move_ball(dice) {
                self.points[winner] += 1;
                self.serve(dice);
                let reward = if winner == 1 { 1.0 } else { -1.0 };
                return Outcome { reward, over: self.points[winner] >= POINTS, life_lost: false };
            }
        }
        Outcome::default()
    }

    fn draw(&self, screen: &mut Screen) {
        let pixels = |lengths: [i32; 2]| lengths.map(|length| length / PIXEL);
        screen.clear();
        screen.fill([0, 0], pixels([SIDE, WALL]), 90);
        screen.fill(pixels([0, SIDE - WALL]), pixels([SIDE, WALL]), 90);
        screen.fill(pixels([PADDLE_X[0], self.paddles[0]]), pixels(PADDLE), 130);
        screen.fill(pixels([PADDLE_X[1], self.paddles[1]]), pixels(PADDLE), 190);
        screen.fill(pixels(self.ball), [BALL / PIXEL; 2], 255);
    }

    fn is_sound(&self) -> bool {
        let inside = |place: &i32| (0..=SIDE).contains(place);
        let slow = |speed: &i32| (-FASTEST..=FASTEST).contains(speed);
        self.ball.iter().all(inside)
            && self.speed.iter().all(slow)
            && self.paddles.iter().all(inside)
            && (-SIDE..=SIDE).contains(&self.aim)
            && self.points.iter().all(|points| (0..=POINTS).contains(points))
    }
}

impl Pong {
    /// Puts the ball into the middle, on its way to either side.
    fn serve(&mut self, dice: &mut Dice) {
        let y = dice.between(WALL + 10 * PIXEL, SIDE - WALL - 10 * PIXEL - BALL);
        let side = 2 * dice.between(0, 1) - 1;
        self.ball = [(SIDE - BALL) / 2, y];
        self.speed = [side * SERVE, dice.between(-2 * PIXEL, 2 * PIXEL)];
    }

    fn move_paddle(&mut self, which: usize, by: i32) {
        let paddle = &mut self.paddles[which];
        *paddle = (*paddle + by).clamp(WALL, SIDE - WALL - PADDLE[1]);
    }

    /// The movement of the scripted paddle in a part of a step: after the ball while it comes, else back to the middle.
    fn scripted(&self) -> i32 {
        let comes = self.speed[0] < 0;
        let target = if comes { self.ball[1] + BALL / 2 + self.aim } else { SIDE / 2 };
        let most = if comes { SCRIPTED_SPEED / PARTS } else { SCRIPTED_SPEED / PARTS / 2 };
        (target - (self.paddles[0] + PADDLE[1] / 2)).clamp(-most, most)
    }

    /// Moves the ball by a part of a step; who won the point, if it left the field.
    fn move_ball(&mut self, dice: &mut Dice) -> Option<usize> {
        self.ball[1] += self.speed[1] / PARTS;
        if self.ball[1] < WALL || self.ball[1] + BALL > SIDE - WALL {
            self.ball[1] = self.ball[1].clamp(WALL, SIDE - WALL - BALL);
            self.speed[1] = -self.speed[1];
        }
        self.ball[0] += self.speed[0] / PARTS;
        let which = usize::from(self.speed[0] > 0);
        if self.meets(which) {
            self.bounce(which);
            self.aim = PIXEL * dice.between(-AIM, AIM);
        }
        match self.ball[0] {
            x if x <= 0 => Some(1),
            x if x + BALL >= SIDE => Some(0),
            _ => None,
        }
    }

    fn meets(&self, which: usize) -> bool {
        let overlap =
            |at: i32, length: i32, other: i32, extent: i32| at < other + extent && other < at + length;
        overlap(self.ball[0], BALL, PADDLE_X[which], PADDLE[0])
            && overlap(self.ball[1], BALL, self.paddles[which], PADDLE[1])
    }

    /// Sends the ball back from a paddle.
    fn bounce(&mut self, which: usize) {
        let faster = (self.speed[0].abs() + FASTER).min(FASTEST);
        let off = self.ball[1] + BALL / 2 - (self.paddles[which] + PADDLE[1] / 2);
        let reach = (PADDLE[1] + BALL) / 2;
        self.speed = [if which == 1 { -faster } else { faster }, off * STEEPEST / reach];
        self.ball[0] = if which == 1 { PADDLE_X[1] - BALL } else { PADDLE_X[0] + PADDLE[0] };
    }
}

#[cfg(test)]
impl Pong {
    /// The action of a player that follows the ball.
    pub(super) fn follow(&self) -> usize {
        let ball = self.ball[1] + BALL / 2;
        match ball - (self.paddles[1] + PADDLE[1] / 2) {
            below if below > PLAYER_SPEED / 2 => 2,
            above if above < -PLAYER_SPEED / 2 => 1,
            _ => 0,
        }
    }
}
