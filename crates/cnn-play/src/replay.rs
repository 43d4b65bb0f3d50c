//! Replay memory: the last moments of play, from which an agent learns in random order.

mod file;

pub use file::{Block, ReplayState};

use crate::stack::{STACK, to_unit};
use crate::{PIXELS, PlayError};
use cnn_tensor::{Random, Tensor, parallel};

/// One step of a game, as the memory stores it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moment<'a> {
    /// The frame that was shown before the action.
    pub frame: &'a [u8],
    /// Whether it is the first of a game.
    pub first: bool,
    /// The action.
    pub action: u8,
    /// The reward that followed, as the agent is to learn it.
    pub reward: f32,
    /// How the game went on.
    pub end: End,
}

/// How a game goes on after a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// By the next frame.
    Goes,
    /// For the learner it is over, so that no value is to be expected: the game is over, or a life was lost.
    Over,
    /// It was broken off. The value of the next frame is not known, so the step is not learned from.
    Cut,
}

const FIRST: u8 = 1;
const OVER: u8 = 2;
const CUT: u8 = 4;

/// The bytes of the memory for each frame beside its pixels: action, reward and flags.
const BESIDE: usize = 6;

/// A ring of bytes for each actor (each game that is played at the same time), in which the newest frame takes the place of the
/// oldest. No frame is stored twice: the four frames that a network sees are put together when they are read.
///
/// A frame takes 7,062 bytes, a memory of a million frames 7.06 GB. The system provides it page by page as it fills.
///
/// ```
/// use cnn_play::{Draw, End, Moment, PIXELS, Replay};
/// let mut replay = Replay::new(1000, 1)?;
/// for i in 0..10 {
///     let end = if i == 9 { End::Over } else { End::Goes };
///     replay.push(0, Moment { frame: &[i; PIXELS], first: i == 0, action: 1, reward: 0.5, end });
/// }
/// let draw = Draw { count: 32, steps: 1, discount: 0.99 };
/// let sample = replay.sample(draw, 0, 0)?;
/// assert_eq!(sample.x.shape().dims(), [32, 4, 84, 84]);
/// assert_eq!((sample.actions[0], sample.rewards[0]), (1, 0.5));
/// # Ok::<(), cnn_play::PlayError>(())
/// ```
pub struct Replay {
    rings: Vec<Ring>,
    /// The pixels of a frame.
    pixels: usize,
}

/// The moments of one actor.
#[derive(Default)]
struct Ring {
    /// The most frames.
    capacity: usize,
    frames: Vec<u8>,
    actions: Vec<u8>,
    rewards: Vec<f32>,
    flags: Vec<u8>,
    /// The number of the next moment, which is that of all moments so far.
    next: u64,
}

/// How steps are drawn from a memory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Draw {
    /// Their number.
    pub count: usize,
    /// The steps whose rewards are added up, from the drawn one on; at least 1, as in the papers. With more, rewards are learned
    /// sooner from the actions before them (Sutton 1988).
    pub steps: usize,
    /// The worth of a reward one step later.
    pub discount: f32,
}

/// Steps drawn from a memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// The frames before each action, `[n, 4, 84, 84]`, from 0 to 1.
    pub x: Tensor,
    /// The frames after the steps whose rewards are added up; zeros where the game was over by then.
    pub next: Tensor,
    /// The actions.
    pub actions: Vec<usize>,
    /// The rewards, added up as far as the game went on, each discounted by its distance.
    pub rewards: Vec<f32>,
    /// The worth of the value of `next`; 0 where the game was over.
    pub discounts: Vec<f32>,
}

/// The place of a moment: its ring, and its number there.
type Place = (usize, u64);

impl Replay {
    /// An empty memory of at most `frames` frames, shared by `actors` games.
    ///
    /// # Errors
    /// There are no actors, there is not room for eight frames of each, or the system has no such memory.
    pub fn new(frames: usize, actors: usize) -> Result<Self, PlayError> {
        Self::of_frames(frames, actors, PIXELS)
    }

    fn of_frames(frames: usize, actors: usize, pixels: usize) -> Result<Self, PlayError> {
        let capacity = frames.checked_div(actors).unwrap_or(0);
        if capacity < 2 * STACK {
            let got = format!("{frames} frames for {actors} games");
            return Err(PlayError::setting("the replay memory", "at least 8 frames for each game", got));
        }
        let ring = |_| {
            let mut ring = Ring { capacity, ..Ring::default() };
            let bytes = capacity.checked_mul(pixels);
            let reserved = bytes.is_some_and(|bytes| ring.frames.try_reserve_exact(bytes).is_ok())
                && ring.rewards.try_reserve_exact(capacity).is_ok()
                && ring.actions.try_reserve_exact(capacity).is_ok()
                && ring.flags.try_reserve_exact(capacity).is_ok();
            let got = || format!("{frames} frames of {} bytes", pixels + BESIDE);
            let rule = "small enough for the system to provide it";
            reserved.then_some(ring).ok_or_else(|| PlayError::setting("the replay memory", rule, got()))
        };
        Ok(Self { rings: (0..actors).map(ring).collect::<Result<_, _>>()?, pixels })
    }

    /// The frames in memory.
    pub fn len(&self) -> usize {
        self.rings.iter().map(Ring::len).sum()
    }

    /// Whether nothing is in memory.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The most frames.
    pub fn capacity(&self) -> usize {
        self.rings.iter().map(|ring| ring.capacity).sum()
    }

    /// Adds a step of the game of that actor. It follows the one added before, unless it is the first of a game.
    ///
    /// # Panics
    /// There is no such actor, or the frame has another number of pixels.
    pub fn push(&mut self, actor: usize, moment: Moment<'_>) {
        assert_eq!(moment.frame.len(), self.pixels, "pixels of a frame");
        self.rings[actor].push(moment);
    }

    /// Breaks off the games under way, whose next frames will not come.
    pub fn cut(&mut self) {
        self.rings.iter_mut().for_each(Ring::cut);
    }

    /// Draws steps, each with the same probability, with replacement. The numbers are drawn from the stream of `seed` that is named
    /// by `number`.
    ///
    /// # Errors
    /// There is no step in memory whose frames are all there.
    pub fn sample(&self, draw: Draw, seed: u64, number: u64) -> Result<Sample, PlayError> {
        let mut random = Random::new(seed, &["replay", &number.to_string()]);
        let places: Option<Vec<Place>> =
            (0..draw.count).map(|_| self.place(&mut random, draw.steps)).collect();
        let rule = "one with whole steps to learn from";
        let places = places
            .ok_or_else(|| PlayError::setting("the replay memory", rule, format!("{} frames", self.len())))?;
        Ok(self.read(&places, draw))
    }

    /// A step that can be learned from, each with the same probability. `None` if there is none.
    fn place(&self, random: &mut Random, steps: usize) -> Option<Place> {
        let all = self.len();
        if all == 0 {
            return None;
        }
        let is_whole = |place: &Place| self.rings[place.0].is_whole(place.1, steps);
        // Nearly all can be: only the last of each ring, those that were cut and the oldest three cannot.
        for _ in 0..1000 {
            let place = self.place_of(random.below(all));
            if is_whole(&place) {
                return Some(place);
            }
        }
        let whole: Vec<Place> = (0..all).map(|i| self.place_of(i)).filter(is_whole).collect();
        (!whole.is_empty()).then(|| whole[random.below(whole.len())])
    }

    /// The place of frame `i` of all.
    fn place_of(&self, mut i: usize) -> Place {
        for (actor, ring) in self.rings.iter().enumerate() {
            if i < ring.len() {
                return (actor, ring.oldest() + i as u64);
            }
            i -= ring.len();
        }
        unreachable!("a number below that of all frames")
    }

    fn read(&self, places: &[Place], draw: Draw) -> Sample {
        let (n, size) = (places.len(), STACK * self.pixels);
        // Tests have frames that are not square.
        let [h, w] = if self.pixels == PIXELS { [crate::SIDE; 2] } else { [1, self.pixels] };
        let (mut x, mut next) = (Tensor::scratch([n, STACK, h, w]), Tensor::scratch([n, STACK, h, w]));
        parallel::for_each_chunk_pair((x.data_mut(), size), (next.data_mut(), size), |i, x, next| {
            let (ring, number) = (&self.rings[places[i].0], places[i].1);
            ring.stack(number, self.pixels, x);
            match ring.after(number, draw.steps) {
                Some(After::Frame(number)) => ring.stack(number, self.pixels, next),
                _ => next.fill(0.0),
            }
        });
        let (rewards, discounts) =
            places.iter().map(|place| self.rings[place.0].returns(place.1, draw)).unzip();
        let action = |place: &Place| self.rings[place.0].actions[self.rings[place.0].slot(place.1)].into();
        Sample { x, next, actions: places.iter().map(action).collect(), rewards, discounts }
    }
}

/// The end of some steps.
#[derive(Clone, Copy)]
enum After {
    /// The moment of that number.
    Frame(u64),
    /// Nothing: the game was over after the step of that number.
    Over(u64),
}

impl Ring {
    fn len(&self) -> usize {
        self.flags.len()
    }

    /// The number of the oldest moment in memory.
    fn oldest(&self) -> u64 {
        self.next - self.len() as u64
    }

    fn slot(&self, number: u64) -> usize {
        (number % self.capacity as u64) as usize
    }

    fn flag(&self, number: u64) -> u8 {
        self.flags[self.slot(number)]
    }

    fn frame(&self, number: u64, pixels: usize) -> &[u8] {
        &self.frames[self.slot(number) * pixels..][..pixels]
    }

    fn push(&mut self, Moment { frame, first, action, reward, end }: Moment<'_>) {
        let flags = if first { FIRST } else { 0 };
        let flags = flags | [0, OVER, CUT][end as usize];
        self.put(frame, action, reward, flags);
    }

    fn put(&mut self, frame: &[u8], action: u8, reward: f32, flags: u8) {
        let slot = self.slot(self.next);
        if slot == self.len() {
            self.frames.extend_from_slice(frame);
            self.actions.push(action);
            self.rewards.push(reward);
            self.flags.push(flags);
        } else {
            self.frames[slot * frame.len()..][..frame.len()].copy_from_slice(frame);
            (self.actions[slot], self.rewards[slot], self.flags[slot]) = (action, reward, flags);
        }
        self.next += 1;
    }

    fn cut(&mut self) {
        if self.len() > 0 {
            let slot = self.slot(self.next - 1);
            if self.flags[slot] & OVER == 0 {
                self.flags[slot] |= CUT;
            }
        }
    }

    /// Whether all frames before and after the steps from that number on are in memory.
    fn is_whole(&self, number: u64, steps: usize) -> bool {
        self.after(number, steps).is_some() && self.first_of_stack(number).is_some()
    }

    /// The end of `steps` steps from that number on; `None` if it is not known.
    fn after(&self, number: u64, steps: usize) -> Option<After> {
        for step in number..number + steps as u64 {
            let flags = self.flag(step);
            if flags & OVER != 0 {
                return Some(After::Over(step));
            }
            if flags & CUT != 0 || step + 1 >= self.next {
                return None;
            }
        }
        Some(After::Frame(number + steps as u64))
    }

    /// The rewards of the steps from that number on, added up, and the worth of the value after them.
    fn returns(&self, number: u64, Draw { steps, discount, .. }: Draw) -> (f32, f32) {
        let (last, continues) = match self.after(number, steps) {
            Some(After::Over(last)) => (last, false),
            _ => (number + steps as u64 - 1, true),
        };
        let (mut sum, mut worth) = (0.0, 1.0);
        for step in number..=last {
            sum += worth * self.rewards[self.slot(step)];
            worth *= discount;
        }
        (sum, if continues { worth } else { 0.0 })
    }

    /// The number of the oldest frame of the stack that ends at `number`; `None` if it has left the memory.
    fn first_of_stack(&self, number: u64) -> Option<u64> {
        let mut at = number;
        for _ in 1..STACK {
            if self.flag(at) & FIRST != 0 {
                break;
            }
            at = at.checked_sub(1).filter(|at| *at >= self.oldest())?;
        }
        Some(at)
    }

    /// Writes the stack that ends at `number`.
    fn stack(&self, number: u64, pixels: usize, out: &mut [f32]) {
        let first = self.first_of_stack(number).unwrap_or(number);
        for (i, out) in out.chunks_mut(pixels).enumerate() {
            let number = (number + 1 + i as u64).saturating_sub(STACK as u64).max(first);
            to_unit(self.frame(number, pixels), out);
        }
    }
}

#[cfg(test)]
mod tests;
