//! Everything that reads bytes of others, against bytes that are slightly wrong: the stable compiler's side of `fuzz/`,
//! whose README says more. Each target gets its valid seeds, the inputs kept in `fuzz/corpus`, and mutations of both.
//!
//! ```sh
//! cargo test -p cnn-data --test fuzz                                        # some thousands, in seconds
//! FUZZ_TARGET=idx FUZZ_RUNS=2000000 cargo test -p cnn-data --test fuzz      # one target, for long
//! ```
//!
//! `FUZZ_SEED` picks other mutations.

#[path = "../../../fuzz/targets.rs"]
mod targets;

use cnn_tensor::Random;
use std::io::Read;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use targets::{TARGETS, Target};

/// Executions of each target.
const RUNS: usize = 4000;
/// The longest that one of them may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// Bytes that no mutation goes beyond.
const MAX_LENGTH: usize = 1 << 16;

/// What is being run, for the watchman.
static RUNNING: Mutex<Option<(Instant, PathBuf, Vec<u8>)>> = Mutex::new(None);

// One test: memory is counted for the whole process.
#[test]
fn damaged_input_is_an_error_and_costs_no_more_than_it_is_long() {
    let setting = |name| std::env::var(name).ok();
    let number = |name| setting(name).map(|text| text.parse().unwrap_or_else(|_| panic!("{name}: {text}")));
    let runs = number("FUZZ_RUNS").unwrap_or(RUNS as u64) as usize;
    let seed = number("FUZZ_SEED").unwrap_or(0);
    let only = setting("FUZZ_TARGET");
    let chosen: Vec<_> =
        TARGETS.iter().filter(|target| only.as_ref().is_none_or(|only| only == target.name)).collect();
    assert!(!chosen.is_empty(), "FUZZ_TARGET: no target is called {only:?}");
    std::thread::spawn(watch);
    for target in chosen {
        let begin = Instant::now();
        let inputs = inputs(target);
        inputs.iter().for_each(|bytes| run(target, bytes));
        let mut mutator = Mutator { random: Random::new(seed, &["fuzz", target.name]), inputs };
        for _ in 0..runs {
            run(target, &mutator.next());
        }
        let (known, seconds) = (mutator.inputs.len(), begin.elapsed().as_secs_f64());
        eprintln!("{}: {known} known inputs and {runs} mutations in {seconds:.1} s", target.name);
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz")
}

/// The seeds, and what earlier runs found worth keeping.
fn inputs(target: &Target) -> Vec<Vec<u8>> {
    let mut inputs = (target.seeds)();
    let corpus = folder().join(format!("corpus/{}.tar.gz", target.name));
    let Ok(corpus) = std::fs::File::open(&corpus) else { return inputs };
    let mut corpus = tar::Archive::new(flate2::read::GzDecoder::new(corpus));
    for entry in corpus.entries().expect("an archive") {
        let mut bytes = Vec::new();
        entry.and_then(|mut entry| entry.read_to_end(&mut bytes)).expect("an entry");
        inputs.push(bytes);
    }
    inputs
}

/// Checks one input; one that fails is kept.
fn run(target: &Target, bytes: &[u8]) {
    let path = folder().join(format!("failures-{}-{:08x}", target.name, crc32fast::hash(bytes)));
    *RUNNING.lock().unwrap() = Some((Instant::now(), path.clone(), bytes.to_vec()));
    let result = catch_unwind(AssertUnwindSafe(|| targets::check(target, bytes)));
    *RUNNING.lock().unwrap() = None;
    if result.is_err() {
        let _ = std::fs::write(&path, bytes);
        panic!("{} fails on the {} bytes kept in {}", target.name, bytes.len(), path.display());
    }
}

/// Ends the process if a target does not come back.
fn watch() {
    loop {
        std::thread::sleep(Duration::from_secs(1));
        if let Some((since, path, bytes)) = &*RUNNING.lock().unwrap()
            && since.elapsed() > PATIENCE
        {
            let _ = std::fs::write(path, bytes);
            eprintln!("no end after {PATIENCE:?} on the bytes kept in {}", path.display());
            std::process::abort();
        }
    }
}

/// Makes inputs that are almost right.
struct Mutator {
    random: Random,
    inputs: Vec<Vec<u8>>,
}

/// Numbers at which code changes its mind.
const NUMBERS: [u64; 12] =
    [0, 1, 2, 7, 255, 256, 32_767, 65_536, 0x7fff_ffff, 0xffff_ffff, 1 << 63, u64::MAX];

impl Mutator {
    fn next(&mut self) -> Vec<u8> {
        let mut bytes = self.pick();
        for _ in 0..=self.random.below(3) {
            self.mutate(&mut bytes);
        }
        bytes.truncate(MAX_LENGTH);
        bytes
    }

    fn pick(&mut self) -> Vec<u8> {
        let i = self.random.below(self.inputs.len());
        self.inputs[i].clone()
    }

    /// A place to change: headers are mostly at the beginning.
    fn place(&mut self, len: usize) -> usize {
        let near = if self.random.chance(0.5) { len.min(64) } else { len };
        self.random.below(near.max(1))
    }

    fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.place(len);
        let end = start + 1 + self.random.below(32.min(len - start).max(1));
        start..end.min(len)
    }

    fn mutate(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            return *bytes = self.pick();
        }
        let place = self.place(bytes.len());
        let byte = self.random.below(256) as u8;
        match self.random.below(10) {
            0 => bytes[place] ^= 1 << self.random.below(8),
            1 => bytes[place] = byte,
            2 => bytes.insert(place, byte),
            3 => bytes.truncate(place),
            4 => drop(bytes.drain(self.range(bytes.len()))),
            5 => {
                let block = bytes[self.range(bytes.len())].to_vec();
                bytes.splice(place..place, block);
            }
            6 => {
                // The end of another input.
                let other = self.pick();
                let from = self.place(other.len()).min(other.len());
                bytes.truncate(place);
                bytes.extend(&other[from..]);
            }
            7 => {
                // A number of 2, 4 or 8 bytes, either way round.
                let number = NUMBERS[self.random.below(NUMBERS.len())];
                let width = [2, 4, 8][self.random.below(3)];
                let mut digits = number.to_le_bytes()[..width].to_vec();
                if self.random.chance(0.5) {
                    digits.reverse();
                }
                let end = (place + width).min(bytes.len());
                bytes[place..end].copy_from_slice(&digits[..end - place]);
            }
            8 => {
                // A number written out, in the place of one if there is one.
                let number = NUMBERS[self.random.below(NUMBERS.len())].to_string();
                let start = bytes[place..].iter().position(u8::is_ascii_digit).map_or(place, |i| place + i);
                let length = bytes[start..].iter().take_while(|byte| byte.is_ascii_digit()).count();
                bytes.splice(start..start + length, number.bytes());
            }
            _ => bytes.extend(std::iter::repeat_n(byte, self.random.below(600))),
        }
    }
}
