use super::*;
use crate::stack::Stack;
use proptest::prelude::*;

/// The pixels of a frame in these tests.
const FEW: usize = 3;

/// A memory that stores every step whole: the frames before and after it.
#[derive(Default)]
struct Naive {
    steps: Vec<Whole>,
}

#[derive(Clone, Debug, PartialEq)]
struct Whole {
    before: Vec<u8>,
    action: u8,
    reward: f32,
    end: End,
}

impl Naive {
    /// The frames after so many steps, unless the game was over, the rewards until then, and the worth of what follows. `None` if
    /// that is not known.
    fn after(&self, number: usize, Draw { steps, discount, .. }: Draw) -> Option<(Option<&[u8]>, f32, f32)> {
        let mut sum = 0.0;
        for i in 0..steps {
            let step = self.steps.get(number + i)?;
            sum += discount.powi(i as i32) * step.reward;
            match step.end {
                End::Over => return Some((None, sum, 0.0)),
                End::Cut => return None,
                End::Goes => {}
            }
        }
        let next = self.steps.get(number + steps)?;
        Some((Some(&next.before), sum, discount.powi(steps as i32)))
    }
}

/// Plays by a script of (length of a game, how it ends); each step is pushed into both memories.
struct Play {
    replay: Replay,
    naive: Vec<Naive>,
    stacks: Vec<Option<Stack>>,
    shown: u8,
}

impl Play {
    fn new(capacity: usize, actors: usize) -> Self {
        let replay = Replay::of_frames(capacity, actors, FEW).unwrap();
        Self {
            replay,
            naive: (0..actors).map(|_| Naive::default()).collect(),
            stacks: vec![None; actors],
            shown: 0,
        }
    }

    fn frame(&mut self) -> [u8; FEW] {
        self.shown = self.shown.wrapping_mul(5).wrapping_add(29);
        [self.shown, self.shown ^ 0x5a, self.shown.wrapping_add(3)]
    }

    /// A step; `ends_game` if the next begins a new game, which a lost life does not.
    fn step(&mut self, actor: usize, end: End, ends_game: bool) {
        let first = self.stacks[actor].is_none();
        let frame = self.frame();
        let stack = match self.stacks[actor].take() {
            None => Stack::new(&frame),
            Some(mut stack) => {
                stack.push(&frame);
                stack
            }
        };
        let (action, reward) = (self.shown % 5, f32::from(self.shown) / 8.0);
        let before = stack.frames().to_vec();
        self.naive[actor].steps.push(Whole { before, action, reward, end });
        self.replay.push(actor, Moment { frame: &frame, first, action, reward, end });
        self.stacks[actor] = (!ends_game).then_some(stack);
    }

    /// All steps that can be learned from must be the naive memory's, read alike.
    fn check(&self, steps: usize) {
        let draw = Draw { count: 1, steps, discount: 0.5 };
        for (actor, naive) in self.naive.iter().enumerate() {
            let ring = &self.replay.rings[actor];
            let oldest = naive.steps.len().saturating_sub(ring.capacity);
            assert_eq!((ring.oldest(), ring.next), (oldest as u64, naive.steps.len() as u64));
            for number in oldest..naive.steps.len() {
                let after = naive.after(number, draw);
                // The frames of the stack must be in memory; at the start of a game there are fewer.
                let is_there = number >= oldest + self.stack_reaches_back(naive, number);
                assert_eq!(
                    ring.is_whole(number as u64, steps),
                    after.is_some() && is_there,
                    "{actor}: {number}"
                );
                if let (Some((frames, reward, discount)), true) = (after, is_there) {
                    let (step, read) =
                        (&naive.steps[number], self.replay.read(&[(actor, number as u64)], draw));
                    let unit = |bytes: &[u8]| {
                        let mut out = vec![0.0; bytes.len()];
                        to_unit(bytes, &mut out);
                        out
                    };
                    assert_eq!(read.x.data(), unit(&step.before));
                    assert_eq!(read.next.data(), frames.map_or(vec![0.0; 4 * FEW], unit));
                    assert_eq!((read.actions[0], read.rewards[0]), (step.action.into(), reward));
                    assert_eq!(read.discounts[0], discount);
                }
            }
        }
    }

    /// How many frames before that of a step its stack has.
    fn stack_reaches_back(&self, naive: &Naive, number: usize) -> usize {
        let frames: Vec<&[u8]> = naive.steps[number].before.chunks(FEW).collect();
        // Frames of a game differ from one to the next.
        frames.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn stacks_read_are_those_that_a_memory_of_whole_stacks_holds(
        capacity in 16usize..60,
        actors in 1usize..3,
        returns in 1usize..5,
        steps in prop::collection::vec((0usize..3, 0u8..12), 1..200),
    ) {
        let mut play = Play::new(capacity, actors);
        for (actor, end) in steps {
            let (end, ends_game) = match end {
                0 => (End::Over, true),
                1 => (End::Over, false),
                2 => (End::Cut, true),
                _ => (End::Goes, false),
            };
            play.step(actor % actors, end, ends_game);
        }
        play.check(returns);
        prop_assert!(play.replay.len() <= capacity);
    }
}

#[test]
fn each_whole_step_is_drawn_about_as_often() {
    let mut play = Play::new(12, 1);
    for i in 0..30 {
        let over = i % 7 == 6;
        play.step(0, if over { End::Over } else { End::Goes }, over);
    }
    let ring = &play.replay.rings[0];
    let whole: Vec<u64> = (ring.oldest()..ring.next).filter(|number| ring.is_whole(*number, 1)).collect();
    let mut random = Random::new(3, &["test"]);
    let mut counts = vec![0; 30];
    let draws = 1000 * whole.len();
    for _ in 0..draws {
        counts[play.replay.place(&mut random, 1).unwrap().1 as usize] += 1;
    }
    for (number, count) in counts.into_iter().enumerate() {
        let expected = if whole.contains(&(number as u64)) { 850..1150 } else { 0..1 };
        assert!(expected.contains(&count), "{number}: {count}");
    }
}

#[test]
fn a_memory_without_whole_steps_says_so_and_one_too_small_or_too_large_is_refused() {
    let mut replay = Replay::of_frames(20, 1, FEW).unwrap();
    let draw = Draw { count: 1, steps: 1, discount: 1.0 };
    let message = replay.sample(draw, 0, 0).unwrap_err().to_string();
    assert_eq!(message, "the replay memory must be one with whole steps to learn from, got 0 frames");
    replay.push(0, Moment { frame: &[0; FEW], first: true, action: 0, reward: 0.0, end: End::Goes });
    assert!(replay.sample(draw, 0, 0).is_err());
    let refused = |frames, actors| Replay::new(frames, actors).err().unwrap().to_string();
    assert!(refused(100, 0).contains("at least 8 frames for each game, got 100 frames for 0 games"));
    assert!(refused(31, 4).contains("at least 8 frames for each game"));
    assert!(refused(usize::MAX / 2, 1).contains("small enough for the system to provide it, got"));
}

#[test]
fn games_cut_off_are_not_learned_from() {
    let mut play = Play::new(20, 1);
    (0..6).for_each(|_| play.step(0, End::Goes, false));
    play.replay.cut();
    play.stacks[0] = None;
    (0..3).for_each(|_| play.step(0, End::Goes, false));
    let ring = &play.replay.rings[0];
    let whole: Vec<u64> = (0..9).filter(|number| ring.is_whole(*number, 1)).collect();
    assert_eq!(whole, [0, 1, 2, 3, 4, 6, 7]);
}
