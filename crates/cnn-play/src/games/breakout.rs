//! Breakout: a ball, a paddle, and a wall of bricks.

use super::{Dice, Rules, Screen};
use crate::Outcome;
use serde::{Deserialize, Serialize};

/// A ball takes a brick out of the wall wherever it hits one: a point each. There are five lives and two walls of 72 bricks. The
/// farther from its middle the ball meets the paddle, the flatter it leaves.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breakout {
    /// The upper left corner of the ball.
    ball: [i32; 2],
    /// Its movement in a step.
    speed: [i32; 2],
    /// The left end of the paddle.
    paddle: i32,
    lives: i32,
    /// The walls that are left after this one.
    walls: i32,
    /// The bricks of each row, from the top: a bit for each column.
    bricks: [u16; ROWS],
}

// Lengths are in sixteenths of a pixel, so that sums are exact.
const PIXEL: i32 = 16;
const SIDE: i32 = crate::SIDE as i32 * PIXEL;
const BALL: i32 = 3 * PIXEL;
const PADDLE: [i32; 2] = [14 * PIXEL, 3 * PIXEL];
const PADDLE_Y: i32 = SIDE - 6 * PIXEL;
const PADDLE_SPEED: i32 = 6 * PIXEL;
const BRICK: [i32; 2] = [7 * PIXEL, 3 * PIXEL];
const ROWS: usize = 6;
const COLUMNS: usize = 12;
const FULL: u16 = (1 << COLUMNS) - 1;
/// The upper end of the wall.
const WALL_Y: i32 = 12 * PIXEL;
/// The parts in which a step is made.
const PARTS: i32 = 4;
/// The ball's movement up or down in a step, and the most to a side.
const RISE: i32 = 4 * PIXEL;
const FLATTEST: i32 = 4 * PIXEL;

impl Rules for Breakout {
    const ACTIONS: &'static [&'static str] = &["stay", "left", "right"];

    fn start(dice: &mut Dice) -> Self {
        let paddle = (SIDE - PADDLE[0]) / 2;
        let (lives, walls) = (5, 1);
        let mut game = Self { ball: [0; 2], speed: [0; 2], paddle, lives, walls, bricks: [FULL; ROWS] };
        game.serve(dice);
        game
    }

    fn step(&mut self, action: usize, dice: &mut Dice) -> Outcome {
        let wanted = [0, -PADDLE_SPEED, PADDLE_SPEED][action];
        let mut outcome = Outcome::default();
        for _ in 0..PARTS {
            self.paddle = (self.paddle + wanted / PARTS).clamp(0, SIDE - PADDLE[0]);
            outcome.reward += self.move_ball() as f32;
            if self.bricks == [0; ROWS] {
                if self.walls == 0 {
                    outcome.over = true;
                    return outcome;
                }
                (self.walls, self.bricks) = (self.walls - 1, [FULL; ROWS]);
                self.serve(dice);
            }
            if self.ball[1] >= SIDE {
                self.lives -= 1;
                outcome.life_lost = true;
                outcome.over = self.lives == 0;
                self.serve(dice);
                return outcome;
            }
        }
        outcome
    }

    fn draw(&self, screen: &mut Screen) {
        let pixels = |lengths: [i32; 2]| lengths.map(|length| length / PIXEL);
        screen.clear();
        for (row, column) in self.standing() {
            let [x, y] = pixels(corner(row, column));
            // A gap shows where a brick ends.
            screen.fill([x, y], [BRICK[0] / PIXEL - 1, BRICK[1] / PIXEL - 1], 100 + 18 * row as u8);
        }
        screen.fill(pixels([self.paddle, PADDLE_Y]), pixels(PADDLE), 190);
        screen.fill(pixels(self.ball), [BALL / PIXEL; 2], 255);
        for life in 0..self.lives {
            screen.fill([2 + 4 * life, 2], [2, 2], 150);
        }
    }

    fn is_sound(&self) -> bool {
        let inside = |place: &i32| (0..=SIDE).contains(place);
        self.ball.iter().all(inside)
            && self.speed.iter().all(|speed| (-RISE..=RISE).contains(speed))
            && inside(&self.paddle)
            && (0..=5).contains(&self.lives)
            && (0..=1).contains(&self.walls)
            && self.bricks.iter().all(|row| *row <= FULL)
    }
}

/// The upper left corner of a brick.
fn corner(row: usize, column: usize) -> [i32; 2] {
    [column as i32 * BRICK[0], WALL_Y + row as i32 * BRICK[1]]
}

impl Breakout {
    /// Drops a ball from below the wall.
    fn serve(&mut self, dice: &mut Dice) {
        self.ball = [dice.between(0, SIDE - BALL), 40 * PIXEL];
        self.speed = [dice.between(-2 * PIXEL, 2 * PIXEL), RISE];
    }

    fn standing(&self) -> impl Iterator<Item = (usize, usize)> {
        let is_standing = |&(row, column): &(usize, usize)| self.bricks[row] >> column & 1 == 1;
        (0..ROWS).flat_map(|row| (0..COLUMNS).map(move |column| (row, column))).filter(is_standing)
    }

    /// Moves the ball by a part of a step, along one axis after the other; how many bricks it took.
    fn move_ball(&mut self) -> i32 {
        let mut taken = 0;
        for axis in [1, 0] {
            let before = self.ball[axis];
            self.ball[axis] += self.speed[axis] / PARTS;
            if let Some((row, column)) = self.hit() {
                self.bricks[row] &= !(1 << column);
                self.ball[axis] = before;
                self.speed[axis] = -self.speed[axis];
                taken += 1;
            }
        }
        let [x, y] = &mut self.ball;
        if !(0..=SIDE - BALL).contains(x) {
            *x = (*x).clamp(0, SIDE - BALL);
            self.speed[0] = -self.speed[0];
        }
        if *y < 0 {
            *y = 0;
            self.speed[1] = self.speed[1].abs();
        }
        let falls = self.speed[1] > 0;
        let on_paddle = *y + BALL > PADDLE_Y && *y < PADDLE_Y + PADDLE[1];
        if falls && on_paddle && *x + BALL > self.paddle && *x < self.paddle + PADDLE[0] {
            let off = *x + BALL / 2 - (self.paddle + PADDLE[0] / 2);
            self.speed = [off * FLATTEST / ((PADDLE[0] + BALL) / 2), -RISE];
            *y = PADDLE_Y - BALL;
        }
        taken
    }

    /// The brick that the ball overlaps, of several the one nearest to it.
    fn hit(&self) -> Option<(usize, usize)> {
        let overlaps = |&(row, column): &(usize, usize)| {
            let [x, y] = corner(row, column);
            let [bx, by] = self.ball;
            bx < x + BRICK[0] && x < bx + BALL && by < y + BRICK[1] && y < by + BALL
        };
        let distance = |&(row, column): &(usize, usize)| {
            let [x, y] = corner(row, column);
            (x + BRICK[0] / 2 - self.ball[0] - BALL / 2).abs()
                + (y + BRICK[1] / 2 - self.ball[1] - BALL / 2).abs()
        };
        self.standing().filter(overlaps).min_by_key(distance)
    }
}

#[cfg(test)]
impl Breakout {
    /// Whether the ball is in the upper half.
    pub(super) fn is_high(&self) -> bool {
        self.ball[1] < SIDE / 2
    }

    /// The action of a player that meets the ball `off` pixels from the paddle's middle.
    pub(super) fn follow(&self, off: i32) -> usize {
        match self.ball[0] + BALL / 2 + off * PIXEL - (self.paddle + PADDLE[0] / 2) {
            right if right > PADDLE_SPEED / 2 => 2,
            left if left < -PADDLE_SPEED / 2 => 1,
            _ => 0,
        }
    }
}
