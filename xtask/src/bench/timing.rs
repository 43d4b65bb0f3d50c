//! Rounds of repetitions, taken in turns, and what their times say.

use super::works::Prepared;
use cnn_cli::fault::Fault;
use cnn_tensor::parallel::Threads;
use serde::Serialize;
use std::time::Instant;

/// How long a round should take, in seconds: long beside the clock's resolution and the first repetition's cold
/// caches, short beside the ups and downs of a machine that others use.
pub const ROUND_SECONDS: f64 = 0.3;

/// One of those who do the same work.
pub trait Contestant {
    /// Gets ready for rounds, once: fills caches, and finds the number of repetitions that makes a round.
    fn warm_up(&mut self) -> Result<(), Fault>;

    /// Seconds that one repetition takes, on average over a round.
    fn round(&mut self) -> Result<f64, Fault>;
}

/// Lets the contestants do `rounds` rounds each, in turns, so that whatever else the machine does hits all alike.
pub fn in_turns(contestants: &mut [&mut dyn Contestant], rounds: usize) -> Result<Vec<Spread>, Fault> {
    for contestant in contestants.iter_mut() {
        contestant.warm_up()?;
    }
    let mut times = vec![Vec::with_capacity(rounds); contestants.len()];
    for _ in 0..rounds {
        for (contestant, times) in contestants.iter_mut().zip(&mut times) {
            times.push(contestant.round()?);
        }
    }
    Ok(times.into_iter().map(Spread::of).collect())
}

/// The middle of some measurements, and how far they spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    /// Below it lies a quarter of them.
    pub lower_quartile: f64,
    pub median: f64,
    /// Above it lies a quarter of them.
    pub upper_quartile: f64,
}

impl Spread {
    /// The spread of at least one time.
    pub fn of(mut times: Vec<f64>) -> Self {
        times.sort_by(f64::total_cmp);
        // Between the two nearest measurements, as numpy.quantile does.
        let quantile = |share: f64| {
            let at = share * (times.len() - 1) as f64;
            let (below, above) = (times[at.floor() as usize], times[at.ceil() as usize]);
            below + (above - below) * at.fract()
        };
        Self { lower_quartile: quantile(0.25), median: quantile(0.5), upper_quartile: quantile(0.75) }
    }
}

/// This library's work, on a pool of threads.
pub struct Ours<'a> {
    pool: &'a Threads,
    work: Prepared,
    repetitions: u32,
}

impl<'a> Ours<'a> {
    pub fn new(pool: &'a Threads, work: Prepared) -> Self {
        Self { pool, work, repetitions: 1 }
    }

    /// Seconds for all repetitions of a round.
    fn seconds(&mut self) -> Result<f64, Fault> {
        let (run, repetitions) = (&mut self.work.run, self.repetitions);
        self.pool.run(|| {
            let start = Instant::now();
            for _ in 0..repetitions {
                run()?;
            }
            Ok(start.elapsed().as_secs_f64())
        })
    }
}

impl Contestant for Ours<'_> {
    fn warm_up(&mut self) -> Result<(), Fault> {
        loop {
            let seconds = self.seconds()?;
            if seconds >= ROUND_SECONDS / 2.0 {
                let wanted = f64::from(self.repetitions) * ROUND_SECONDS / seconds;
                self.repetitions = wanted.round().max(1.0) as u32;
                return Ok(());
            }
            self.repetitions = self.repetitions.saturating_mul(2);
        }
    }

    fn round(&mut self) -> Result<f64, Fault> {
        Ok(self.seconds()? / f64::from(self.repetitions) / self.work.tally.repeats() as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::works::Tally;
    use std::cell::RefCell;
    use std::time::Duration;

    #[test]
    fn quartiles_and_median() {
        let spread = Spread::of(vec![5.0, 1.0, 4.0, 2.0, 3.0]);
        assert_eq!(spread, Spread { lower_quartile: 2.0, median: 3.0, upper_quartile: 4.0 });
        let even = Spread::of(vec![4.0, 1.0, 2.0, 3.0]);
        assert_eq!((even.lower_quartile, even.median, even.upper_quartile), (1.75, 2.5, 3.25));
        let one = Spread::of(vec![7.0]);
        assert_eq!(one, Spread { lower_quartile: 7.0, median: 7.0, upper_quartile: 7.0 });
    }

    #[test]
    fn one_slow_round_does_not_move_the_median() {
        let spread = Spread::of(vec![1.0, 1.0, 1.0, 1.0, 100.0]);
        assert_eq!((spread.median, spread.upper_quartile), (1.0, 1.0));
    }

    /// Writes down when its turn came.
    struct Scribe<'a>(&'static str, &'a RefCell<Vec<&'static str>>);

    impl Contestant for Scribe<'_> {
        fn warm_up(&mut self) -> Result<(), Fault> {
            self.1.borrow_mut().push("warm-up");
            Ok(())
        }

        fn round(&mut self) -> Result<f64, Fault> {
            self.1.borrow_mut().push(self.0);
            Ok(self.1.borrow().len() as f64)
        }
    }

    #[test]
    fn contestants_alternate_after_their_warm_ups() {
        let turns = RefCell::new(Vec::new());
        let spreads = in_turns(&mut [&mut Scribe("a", &turns), &mut Scribe("b", &turns)], 3).unwrap();
        assert_eq!(turns.into_inner(), ["warm-up", "warm-up", "a", "b", "a", "b", "a", "b"]);
        assert_eq!([spreads[0].median, spreads[1].median], [5.0, 6.0]);
    }

    #[test]
    fn a_round_takes_about_its_time_and_gives_that_of_one_repetition() {
        let nap = Duration::from_millis(20);
        let pool = Threads::new(1).unwrap();
        let napping = |tally| {
            let run = Prepared::new(Tally::Macs(1), move || {
                std::thread::sleep(nap);
                Ok(())
            });
            Prepared { tally, ..run }
        };
        let mut ours = Ours::new(&pool, napping(Tally::Macs(1)));
        ours.warm_up().unwrap();
        assert!((2..=15).contains(&ours.repetitions), "{}", ours.repetitions);
        let once = ours.round().unwrap();
        assert!(once >= nap.as_secs_f64());
        // One run that is a hundred repetitions.
        let mut ours = Ours::new(&pool, napping(Tally::Images { repeats: 100 }));
        ours.warm_up().unwrap();
        assert!(ours.round().unwrap() < once / 2.0);
    }

    #[test]
    fn work_that_fails_ends_the_measurement() {
        let pool = Threads::new(1).unwrap();
        let work = Prepared::new(Tally::Macs(1), || Err(Fault::usage("no")));
        let error = in_turns(&mut [&mut Ours::new(&pool, work)], 1).unwrap_err();
        assert_eq!(error.message, "no");
    }
}
