//! What peers written in Rust have in common: the line to `cargo xtask bench`, whose protocol `src/bench/peer.rs` has.

use serde_json::{Value, json};
use std::io::{BufRead, Write};
use std::time::Instant;

/// One repetition of a piece of work.
pub type Run = Box<dyn FnMut()>;

/// A piece of work: its name as in `src/bench/works.rs`, its mode, and what prepares it for a number of images.
pub type Work = (&'static str, &'static str, fn(usize) -> Run);

/// Answers questions until there are no more, on a thread of rayon's pool, so that no work must be carried there first. The
/// pool has as many threads as `RAYON_NUM_THREADS` says.
pub fn serve(version: &str, works: &[Work]) {
    rayon::scope(|_| answer_all(version, works));
}

fn answer_all(version: &str, works: &[Work]) {
    let names: Vec<&str> = works.iter().map(|(name, ..)| *name).collect();
    answer(&json!({ "version": version, "works": names }));
    let mut at_hand: Option<(Value, Value, Repeated)> = None;
    for line in std::io::stdin().lock().lines() {
        let Ok(question) = line.map_err(drop).and_then(|line| serde_json::from_str::<Value>(&line).map_err(drop)) else {
            return answer(&json!({ "error": "expected a line of JSON" }));
        };
        let (name, batch) = (&question["work"], &question["batch"]);
        if at_hand.as_ref().is_none_or(|(of, at, _)| (of, at) != (name, batch)) {
            // One at a time: what is not being measured must not hold memory.
            at_hand = None;
            let Some((_, mode, prepare)) = works.iter().find(|(known, ..)| name == known) else {
                answer(&json!({ "error": format!("{name} is not among the works") }));
                continue;
            };
            let run = prepare(batch.as_u64().unwrap_or(1) as usize);
            let seconds = question["seconds"].as_f64().unwrap_or(0.3);
            at_hand = Some((name.clone(), batch.clone(), Repeated::new(mode, run, seconds)));
        }
        let (.., work) = at_hand.as_mut().expect("work is at hand");
        let seconds = work.seconds() / f64::from(work.repetitions);
        answer(&json!({ "seconds": seconds, "mode": work.mode }));
    }
}

fn answer(answer: &Value) {
    // Nobody listens any more: the next line will not come either.
    let _ = writeln!(std::io::stdout(), "{answer}").and_then(|()| std::io::stdout().flush());
}

/// Work with the number of repetitions that makes a round.
struct Repeated {
    mode: &'static str,
    run: Run,
    repetitions: u32,
}

impl Repeated {
    fn new(mode: &'static str, mut run: Run, round_seconds: f64) -> Self {
        run();
        let mut work = Self { mode, run, repetitions: 1 };
        loop {
            let seconds = work.seconds();
            if seconds >= round_seconds / 2.0 {
                let wanted = f64::from(work.repetitions) * round_seconds / seconds;
                return Self { repetitions: wanted.round().max(1.0) as u32, ..work };
            }
            work.repetitions *= 2;
        }
    }

    /// Seconds for all repetitions of a round.
    fn seconds(&mut self) -> f64 {
        let start = Instant::now();
        (0..self.repetitions).for_each(|_| (self.run)());
        start.elapsed().as_secs_f64()
    }
}
