//! A run that is stopped or killed, and resumed. Signals are Unix's.
#![cfg(unix)]

mod common;

use common::{cnn, refusal, short_run, stdout};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

fn weights(out: &Path) -> Vec<u8> {
    std::fs::read(out.join("model.safetensors")).unwrap()
}

/// Starts the short run, waits until its checkpoint exists, and ends it by `signal`.
fn interrupt(out: &Path, signal: &str) -> std::process::ExitStatus {
    let mut run = short_run(out, &["--epochs", "8"]).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while !out.join("checkpoint.safetensors").exists() {
        assert!(start.elapsed() < Duration::from_secs(120), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    std::thread::sleep(Duration::from_millis(37));
    let pid = run.id().to_string();
    assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
    run.wait().unwrap()
}

#[test]
fn a_run_that_was_interrupted_or_killed_ends_in_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let unbroken = folder.path().join("unbroken");
    stdout(short_run(&unbroken, &["--epochs", "8"]));
    for (signal, status) in [("-INT", Some(130)), ("-KILL", None)] {
        let out = folder.path().join(signal);
        assert_eq!(interrupt(&out, signal).code(), status, "{signal}");

        let message = refusal(short_run(&out, &["--epochs", "8"]));
        assert!(message.contains("holds a run that was interrupted in epoch"), "{message}");
        let message = refusal(short_run(&out, &["--epochs", "8", "--resume", "--batch-size", "32"]));
        assert!(message.contains("was started with batch_size 50 instead of 32"), "{message}");

        let mut resume = cnn(["train-lenet", "--resume", "--threads", "3", "--out"]);
        resume.arg(&out);
        stdout(resume);
        assert!(weights(&out) == weights(&unbroken), "{signal}");
        let lines = |out: &Path| {
            let metrics = std::fs::read_to_string(out.join("metrics.csv")).unwrap();
            metrics.lines().map(|line| line.rsplit_once(',').unwrap().0.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(lines(&out), lines(&unbroken), "{signal}");
    }
}
