//! `CNN_SIMD` chooses the level of a process. Each test runs this program again, with the variable set.
#![forbid(unsafe_code)]

use cnn_tensor::simd::Level;
use std::process::{Command, Output};

/// Runs the ignored test `name` of this program with `CNN_SIMD` set to `word`.
fn run(name: &str, word: &str) -> Output {
    let program = std::env::current_exe().unwrap();
    let arguments = ["--exact", name, "--ignored", "--nocapture"];
    Command::new(program).args(arguments).env("CNN_SIMD", word).output().unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
#[ignore = "run by the other tests"]
fn tell_level() {
    match Level::from_env() {
        Ok(level) => {
            assert_eq!(Level::current(), level);
            eprintln!("level {}", level.name());
        }
        Err(error) => eprintln!("error {error}"),
    }
}

#[test]
#[ignore = "run by the other tests"]
fn use_level() {
    cnn_tensor::vector::scale(2.0, &mut [1.0]);
}

#[test]
fn each_name_chooses_its_level_and_no_name_the_best() {
    for level in Level::all() {
        assert!(errors(&run("tell_level", level.name())).contains(&format!("level {}", level.name())));
    }
    let best = Level::all().last().unwrap().name();
    assert!(errors(&run("tell_level", "")).contains(&format!("level {best}")));
}

#[test]
fn another_word_is_an_error_that_names_the_choices() {
    for word in ["axv2", "AVX2", "0", "avx2 "] {
        let told = errors(&run("tell_level", word));
        assert!(told.contains("error CNN_SIMD: expected scalar"), "{told}");
        assert!(told.contains(&format!("got {word:?}")), "{told}");
    }
    let unchecked = run("use_level", "axv2");
    assert!(!unchecked.status.success(), "a program that does not check does not run at another level");
    assert!(errors(&unchecked).contains(r#"got "axv2""#), "{}", errors(&unchecked));
}
