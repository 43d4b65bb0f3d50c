//! `cargo xtask ci`: what continuous integration runs, for a person.

use crate::root;
use cnn_cli::fault::{Fault, note};
use std::process::Command;

/// The commands of `.ci/run`, in its order; a test holds the two together.
const STEPS: [&str; 4] = [
    "cargo test --workspace",
    "cargo fmt --all --check",
    "cargo clippy --workspace --all-targets --all-features -- --deny warnings",
    "RUSTDOCFLAGS=--deny=warnings cargo doc --workspace --all-features --no-deps",
];

pub fn run() -> Result<(), Fault> {
    for step in STEPS {
        note(format!("+ {step}"));
        let mut words = step.split(' ').peekable();
        let variable = words.next_if(|word| word.contains('=')).and_then(|word| word.split_once('='));
        let mut command = Command::new(words.next().expect("a step names a program"));
        command.args(words).envs(variable).current_dir(root());
        if !command.status()?.success() {
            return Err(Fault { status: 1, message: format!("failed: {step}") });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_script_runs_the_same_steps() {
        let script = std::fs::read_to_string(crate::root().join(".ci/run")).unwrap();
        let steps: Vec<&str> = script.lines().filter_map(|line| line.strip_prefix("run ")).collect();
        assert_eq!(steps, super::STEPS);
    }
}
