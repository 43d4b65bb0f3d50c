//! Tests: the documents name files and commands that exist.

use crate::{Cli, root};
use clap::CommandFactory;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// The Markdown files of these folders, and the READMEs of the crates.
fn documents() -> Vec<PathBuf> {
    let mut files = Vec::new();
    for folder in ["", "docs", "docs/pictures", "datasets", "fuzz", "xtask/peers"] {
        files
            .extend(entries(&root().join(folder)).filter(|path| path.extension().is_some_and(|e| e == "md")));
    }
    files.extend(entries(&root().join("crates")).map(|path| path.join("README.md")).filter(|p| p.exists()));
    files
}

fn entries(folder: &Path) -> impl Iterator<Item = PathBuf> {
    std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path())
}

/// The targets of links and images, `](target)`.
fn links(text: &str) -> Vec<&str> {
    text.split("](").skip(1).filter_map(|rest| rest.split_once(')').map(|(target, _)| target)).collect()
}

/// The lines of blocks of code, or those outside, with lines joined that end in a backslash.
fn lines(text: &str, in_blocks: bool) -> Vec<String> {
    let (mut lines, mut in_block) = (Vec::new(), false);
    for line in text.replace("\\\n", " ").lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
        } else if in_block == in_blocks {
            lines.push(line.trim().trim_start_matches("$ ").to_string());
        }
    }
    lines
}

/// The words between backticks, outside blocks of code.
fn quoted(text: &str) -> Vec<String> {
    lines(text, false).join(" ").split('`').skip(1).step_by(2).map(String::from).collect()
}

/// Files that are built, downloaded or written, and so are not in the repository.
const MADE: [&str; 5] =
    ["fuzz/found", "fuzz/failures", "fuzz/target", "datasets/fashion-mnist", "datasets/cifar"];

/// Links to files that do not exist, and quoted paths from the repository's folder that do not.
fn missing_paths(document: &Path, text: &str) -> Vec<String> {
    let folder = document.parent().expect("a document lies in a folder");
    let mut missing = Vec::new();
    for link in links(text) {
        let path = link.split('#').next().unwrap_or_default();
        if !path.is_empty() && !path.contains("://") && !folder.join(path).exists() {
            missing.push(format!("{}: link to {path}", document.display()));
        }
    }
    const FOLDERS: [&str; 7] = ["crates/", "xtask/", "docs/", "datasets/", "fuzz/", ".ci/", ".github/"];
    for path in quoted(text) {
        let plain = path.chars().all(|c| c.is_ascii_alphanumeric() || "/._-".contains(c));
        let named = FOLDERS.iter().any(|folder| path.starts_with(folder));
        let made = MADE.iter().any(|made| path.starts_with(made));
        if plain && named && !made && !root().join(&path).exists() {
            missing.push(format!("{}: path {path}", document.display()));
        }
    }
    missing
}

/// The help of a subcommand of xtask; `None` if there is no such subcommand.
fn help(words: &[&str]) -> Option<String> {
    let mut all = Cli::command();
    all.build();
    let command = words.iter().try_fold(&mut all, |command, word| command.find_subcommand_mut(word));
    command.map(|command| command.render_long_help().to_string())
}

/// The arguments of `cargo xtask` or `cnn` in a line of a shell.
fn arguments(line: &str) -> Option<&str> {
    let line = line.split(" #").next().unwrap_or_default();
    let rest = line.split_once("cargo xtask ").map(|(_, rest)| rest).or_else(|| line.strip_prefix("cnn "))?;
    (!rest.starts_with(' ')).then_some(rest) // columns of a drawing
}

/// The subcommand and the options of a line that do not exist.
fn unknown(line: &str, helps: &mut HashMap<String, Option<String>>) -> Vec<String> {
    let Some(arguments) = arguments(line) else { return Vec::new() };
    let ends = ["|", ">", "&&", ";"];
    let mut words: Vec<&str> = arguments.split_whitespace().take_while(|word| !ends.contains(word)).collect();
    if !words.first().is_some_and(|word| word.starts_with(|c: char| c.is_ascii_lowercase())) {
        return Vec::new(); // `COMMAND`, `...`
    }
    let named = if words[0] == "demo" && words.len() > 1 { 2 } else { 1 };
    let options = words.split_off(named);
    let command = words.join(" ");
    let Some(help) = helps.entry(command.clone()).or_insert_with(|| help(&words)) else {
        return vec![format!("command {command}")];
    };
    let of_option = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let options = options.into_iter().filter(|word| word.starts_with("--"));
    options
        .map(|option| option.split(|c| !of_option(c)).next().unwrap_or_default())
        .filter(|option| !help.split(|c| !of_option(c)).any(|word| word == *option))
        .map(|option| format!("option {option} of {command}"))
        .collect()
}

#[test]
fn paths_and_links_exist() {
    let texts = documents().into_iter().map(|path| (std::fs::read_to_string(&path).unwrap(), path));
    let missing: Vec<String> = texts.flat_map(|(text, path)| missing_paths(&path, &text)).collect();
    assert!(missing.is_empty(), "{}", missing.join("\n"));
}

#[test]
fn commands_and_their_options_exist() {
    let (mut wrong, mut helps) = (Vec::new(), HashMap::new());
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for line in quoted(&text).into_iter().chain(lines(&text, true)) {
            let unknown = unknown(&line, &mut helps);
            wrong
                .extend(unknown.into_iter().map(|what| format!("{}: {what}, in {line}", document.display())));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(helps.len() >= 12, "commands found: {:?}", helps.keys());
}

#[test]
fn a_wrong_path_command_or_option_is_found() {
    let text = "[a](docs/results.md) [b](docs/nothing.md) `crates/cnn-nn` `crates/cnn-zz` `runs/x`";
    let missing = missing_paths(&root().join("README.md"), text);
    assert_eq!(missing.len(), 2, "{missing:?}");
    let mut helps = HashMap::new();
    let mut unknown = |line| unknown(line, &mut helps);
    assert!(unknown("cargo xtask train-lenet --epochs 3").is_empty());
    assert_eq!(unknown("cargo xtask train-lenet --epoch 3"), ["option --epoch of train-lenet"]);
    assert_eq!(unknown("cnn trane --model x"), ["command trane"]);
    assert_eq!(unknown("cargo xtask demo mlb"), ["command demo mlb"]);
}
