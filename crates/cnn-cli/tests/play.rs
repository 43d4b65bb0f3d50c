//! Learning to play and playing: runs that are resumed, games that fail, and what is said where a command makes no sense.

mod common;

use common::{cnn, refusal, stdout};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

fn command(arguments: &[&dyn AsRef<OsStr>]) -> Command {
    cnn(arguments.iter().map(|argument| argument.as_ref()))
}

/// A short run of Catch: its memory is small, so it learns after 96 steps.
fn train(out: &Path, more: &[&str]) -> Command {
    let mut command = cnn(["train-dqn", "catch", "--memory", "96", "--actors", "2", "--seed", "5"]);
    command.args(["--games", "2", "--out"]).arg(out).args(more);
    command
}

fn read(out: &Path, file: &str) -> Vec<u8> {
    std::fs::read(out.join(file)).unwrap()
}

#[test]
fn a_run_learns_plays_and_goes_on_to_the_same_weights() {
    let folder = tempfile::tempdir().unwrap();
    let [whole, parts, picture] = ["whole", "parts", "play/catch.png"].map(|name| folder.path().join(name));
    let report: Value = serde_json::from_str(&stdout(train(&whole, &["--steps", "130", "--json"]))).unwrap();
    assert_eq!((&report["steps"], &report["updates"], &report["games"]), (&130.into(), &8.into(), &6.into()));
    for player in ["evaluation", "random"] {
        let [scores, mean] = ["scores", "mean"].map(|name| &report[player][name]);
        assert!(scores.as_array().unwrap().len() == 2 && mean.as_f64().unwrap().abs() <= 1.0, "{report}");
    }
    assert!(report["times"]["learn"].as_f64().unwrap() > 0.0);

    stdout(train(&parts, &["--steps", "108", "--games", "0"]));
    let message = refusal(train(&parts, &["--steps", "130"]));
    assert!(message.contains("holds a run; --resume goes on with it, --overwrite replaces it"), "{message}");
    let message = refusal(train(&parts, &["--resume", "--double"]));
    assert!(
        message
            .ends_with("was started with another --double: off; leave that option out, or start a new run"),
        "{message}"
    );
    let words = stdout(train(&parts, &["--resume", "--steps", "130", "--threads", "1"]));
    assert!(words.starts_with("130 steps, 6 games, 8 updates in "), "{words}");
    for file in ["model.safetensors", "games.csv", "scores.png"] {
        assert!(read(&parts, file) == read(&whole, file), "{file}");
    }
    assert!(String::from_utf8(read(&whole, "games.csv")).unwrap().starts_with("at_step,score,steps\n38,"));

    let weights = whole.join("model.safetensors");
    let play = |more: &[&dyn AsRef<OsStr>]| {
        let all =
            [&[&"play" as &dyn AsRef<OsStr>, &"catch", &"--weights", &weights, &"--out", &picture], more];
        command(&all.concat())
    };
    let report: Value = serde_json::from_str(&stdout(play(&[&"--json", &"--games", &"3"]))).unwrap();
    assert_eq!(
        (&report["games"], &report["steps"], &report["player"]),
        (&3.into(), &19.into(), &"DQN (2013)".into())
    );
    let animated = std::fs::read(&picture).unwrap();
    assert!(animated.windows(4).any(|chunk| chunk == b"acTL"));
    assert!(stdout(play(&[&"--frames", &"4"])).starts_with("Catch: score "));
    let mut random = cnn(["play", "pong", "--random", "--frames", "2", "--out"]);
    random.arg(&picture);
    assert!(stdout(random).starts_with("Pong: score -"));

    let mut other = command(&[&"play", &"pong", &"--weights", &weights]);
    let message = refusal(std::mem::replace(&mut other, command(&[&"play"])));
    assert!(message.ends_with(
        "expected a network for the actions of pong (stay, up, down), got one for left, stay, right"
    ));
    // A damaged checkpoint is told by name.
    let checkpoint = parts.join("checkpoint.safetensors");
    let mut bytes = std::fs::read(&checkpoint).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&checkpoint, bytes).unwrap();
    let message = refusal(train(&parts, &["--resume"]));
    assert!(
        message.starts_with(&checkpoint.display().to_string()) && message.ends_with("the file is damaged"),
        "{message}"
    );
}

#[test]
fn commands_that_make_no_sense_are_refused_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let message = String::from_utf8(cnn(["train-dqn", "pnog"]).output().unwrap().stderr).unwrap();
    assert!(message.contains(
        "expected one of catch, pong, breakout, or ale:NAME for an Atari game, got pnog; is \"pong\" meant?"
    ));
    let message = refusal(train(&out, &["--resume"]));
    assert!(message.contains("checkpoint.safetensors of an earlier run, found none"), "{message}");
    for (options, expected) in [
        (&["--memory", "9"][..], "at least 8 frames for each game"),
        (&["--actors", "0"], "the number of actors must be from 1 to 64, got 0"),
        (&["--lr", "nan"], "the learning rate must be above 0"),
        (&["--epsilon", "2"], "--epsilon: expected 0 to 1, got 2"),
        (&["--timeout", "0"], "--timeout: expected seconds, above 0, got 0"),
        (&["--returns", "0"], "from 1 to 64, got 0"),
    ] {
        let message = refusal(train(&out, options));
        assert!(message.contains(expected), "{options:?}: {message}");
    }
    let message = refusal(command(&[&"play", &"catch", &"--random", &"--games", &"0"]));
    assert_eq!(message, "--games: expected at least 1, got 0");
    let mut absent = cnn(["train-dqn", "ale:pong", "--python", "no-such-python", "--actors", "1", "--out"]);
    absent.arg(&out);
    let output = absent.output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(
        words.contains("error: ale:pong: the game's process cannot be started (no-such-python): "),
        "{words}"
    );
    assert_eq!(output.status.code(), Some(1));
}

/// A program that takes the place of Python: it answers `steps` requests, then does `then`.
#[cfg(unix)]
fn fake(folder: &Path, name: &str, steps: usize, then: &str) -> std::path::PathBuf {
    use std::os::unix::fs::PermissionsExt;
    let script = format!(
        "#!/bin/sh\necho '{{\"protocol\":1,\"actions\":[\"NOOP\",\"UP\"]}}'\ni=0\n\
         while [ $(dd bs=1 count=1 2>/dev/null | wc -c) = 1 ]; do\n\
         i=$((i+1)); if [ $i -gt {steps} ]; then {then}; fi\n\
         head -c 7064 /dev/zero\ndone\n"
    );
    let path = folder.join(name);
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_run_whose_game_dies_or_hangs_after_half_a_frame_is_saved_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("run");
    let run = |python: &Path, more: &[&str]| {
        let mut command =
            cnn(["train-dqn", "ale:pong", "--memory", "20", "--actors", "1", "--games", "0", "--out"]);
        command.arg(&out).arg("--python").arg(python).args(more);
        command
    };
    // The last line: before it stands what was started.
    let failure = |mut command: Command| {
        let output = command.output().unwrap();
        assert_eq!(output.status.code(), Some(1));
        let words = String::from_utf8(output.stderr).unwrap();
        words.trim_end().rsplit('\n').next().unwrap().to_string()
    };
    let saved = |steps: usize| {
        format!("; the run is saved in {} after {steps} steps, add --resume to go on", out.display())
    };
    let dies = fake(folder.path(), "dies", 12, "echo 'out of quarters' >&2; exit 3");
    let died = "error: ale:pong: the game's process ended (exit status: 3); its last words: out of quarters";
    assert_eq!(failure(run(&dies, &[])), died.to_string() + &saved(11));
    // It hangs then, as one does that sends nothing.
    let half = fake(folder.path(), "half", 6, "head -c 3000 /dev/zero; sleep 100");
    let got = "error: ale:pong: the game's process hangs: expected 7064 bytes within 2 s, got 3000";
    assert_eq!(failure(run(&half, &["--resume", "--timeout", "2"])), got.to_string() + &saved(16));
    let lives = fake(folder.path(), "lives", 1000, "exit");
    let words = stdout(run(&lives, &["--resume", "--steps", "28"]));
    assert!(words.starts_with("28 steps, 0 games, 2 updates in "), "{words}");
}
