//! libFuzzer's side: one program for all targets, which the environment variable FUZZ_TARGET picks from.
#![no_main]

#[path = "../targets.rs"]
mod targets;

use libfuzzer_sys::fuzz_target;
use std::sync::OnceLock;
use targets::Target;

static TARGET: OnceLock<&Target> = OnceLock::new();

/// Picks the target, and writes its seeds to the folder FUZZ_SEEDS for libFuzzer to begin with.
fn init() {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let names = targets::TARGETS.iter().map(|target| target.name).collect::<Vec<_>>().join(", ");
    let Some(target) = targets::TARGETS.iter().find(|target| target.name == name) else {
        panic!("FUZZ_TARGET: expected one of {names}, got {name:?}");
    };
    if let Ok(folder) = std::env::var("FUZZ_SEEDS") {
        for (i, seed) in (target.seeds)().into_iter().enumerate() {
            std::fs::write(format!("{folder}/seed-{i}"), seed).expect("the seeds can be written");
        }
    }
    TARGET.get_or_init(|| target);
}

fuzz_target!(init: init(), |bytes: &[u8]| {
    if let Some(target) = TARGET.get() {
        targets::check(target, bytes);
    }
});
