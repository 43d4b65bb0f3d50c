//! `cargo xtask lecture`: runs the commands of docs/lecture.md again, and writes their output and pictures.
//!
//! In the document a command and its output are a block of code:
//!
//! ````text
//! ```console
//! $ cargo xtask demo sizes
//! ...
//! ```
//! ````
//!
//! Data that are not in the repository, and pictures that are copied from where the command leaves them, stand on the block's
//! first line: `console needs datasets/cifar10 copies runs/a.png:docs/pictures/a.png`.

use crate::root;
use cnn_cli::fault::{Fault, note, print};
use cnn_tensor::files::write_atomically;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

/// Run the commands of docs/lecture.md again, and write their output and their pictures: no figure in it is older than this.
///
/// Blocks whose data are not in datasets/ stay as they are, and are listed.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask lecture                 the whole document
  cargo xtask lecture 'demo slide'    the blocks whose command contains this")]
pub struct Args {
    /// Run only the commands that contain this.
    filter: Option<String>,
    /// The document to render.
    #[arg(long, value_name = "FILE", default_value = "docs/lecture.md")]
    document: PathBuf,
}

/// Output of more lines is cut off in the document.
const MOST_LINES: usize = 40;

pub fn run(args: Args) -> Result<(), Fault> {
    let path = root().join(&args.document);
    let text = std::fs::read_to_string(&path)
        .map_err(|e| failure(format!("{}: expected a document: {e}", path.display())))?;
    let mut parts = parts(&text);
    let blocks = parts.iter().enumerate().filter_map(|(i, part)| match part {
        Part::Block(block) => Some((i, block)),
        Part::Line(_) => None,
    });
    let wanted =
        |block: &Block| args.filter.as_ref().is_none_or(|filter| block.command.contains(filter.as_str()));
    let numbers: Vec<usize> = blocks.filter(|(_, block)| wanted(block)).map(|(i, _)| i).collect();
    if numbers.is_empty() {
        let message = format!(
            "{}: expected a block whose command contains the filter, found none",
            args.document.display()
        );
        return Err(Fault::usage(message));
    }
    let (mut rendered, mut left) = (0, Vec::new());
    for i in numbers {
        let Part::Block(block) = &mut parts[i] else { continue };
        if let Some(missing) = block.needs.iter().find(|data| !root().join(data).exists()) {
            left.push(format!("{}: needs {missing}", block.command));
            continue;
        }
        let start = Instant::now();
        block.render()?;
        note(format!("{:6.1} s  {}", start.elapsed().as_secs_f64(), block.command));
        rendered += 1;
        // At once, so that it is kept if a later command fails.
        let text: String = parts.iter().map(Part::text).collect();
        write_atomically(&path, text.as_bytes())?;
    }
    for line in &left {
        note(format!("left as it was: {line}"));
    }
    print(format!(
        "{}: {rendered} commands run again, {} left as they were",
        args.document.display(),
        left.len()
    ));
    Ok(())
}

/// A part of the document.
enum Part<'a> {
    /// A line as it is, with its end.
    Line(&'a str),
    Block(Block<'a>),
}

/// A command and its output.
struct Block<'a> {
    /// The line that opens the block.
    opening: &'a str,
    /// Paths that must be there.
    needs: Vec<&'a str>,
    /// Files that are copied afterwards: from, and to.
    copies: Vec<(&'a str, &'a str)>,
    /// All behind `$ `.
    command: String,
    /// Lines with their ends.
    output: String,
}

impl Block<'_> {
    /// Runs the command again.
    fn render(&mut self) -> Result<(), Fault> {
        self.output = output(&self.command)?;
        for (from, to) in &self.copies {
            let content = std::fs::read(root().join(from))
                .map_err(|e| failure(format!("{from}: expected a file of the command: {e}")))?;
            write_atomically(&root().join(to), &content)?;
        }
        Ok(())
    }
}

impl Part<'_> {
    fn text(&self) -> String {
        match self {
            Self::Line(line) => (*line).into(),
            Self::Block(Block { opening, command, output, .. }) => {
                format!("{opening}$ {command}\n{output}```\n")
            }
        }
    }
}

/// The document's lines, and its blocks of a command with its output.
fn parts(text: &str) -> Vec<Part<'_>> {
    let (mut parts, mut lines) = (Vec::new(), text.split_inclusive('\n').peekable());
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let command = lines
            .peek()
            .and_then(|next| next.strip_prefix("$ "))
            .map(|command| command.trim_end().to_string());
        match (&words[..], command) {
            (["```console", words @ ..], Some(command)) => {
                lines.next();
                let words = words.iter().copied().filter(|word| !["needs", "copies"].contains(word));
                let copies = words.clone().filter_map(|word| word.split_once(':')).collect();
                let needs = words.filter(|word| !word.contains(':')).collect();
                let output = lines.by_ref().take_while(|line| line.trim_end() != "```").collect();
                parts.push(Part::Block(Block { opening: line, needs, copies, command, output }));
            }
            _ => parts.push(Part::Line(line)),
        }
    }
    parts
}

/// What a command `cargo xtask ...` prints on stdout.
fn output(command: &str) -> Result<String, Fault> {
    let words = shlex::split(command).unwrap_or_default();
    let Some(arguments) = words.strip_prefix(&["cargo".to_string(), "xtask".to_string()]) else {
        return Err(failure(format!("expected a command cargo xtask, got {command}")));
    };
    let mut process = Command::new(std::env::current_exe()?);
    process.args(arguments).current_dir(root()).stdin(Stdio::null()).stderr(Stdio::piped());
    let done = process.output()?;
    if !done.status.success() {
        let errors = String::from_utf8_lossy(&done.stderr);
        return Err(failure(format!("{command}: {}", errors.trim_end())));
    }
    Ok(shown(&String::from_utf8_lossy(&done.stdout), &root()))
}

/// Output as the document has it: paths from the repository's folder, a bounded number of lines, and no line that ends the block.
fn shown(output: &str, root: &Path) -> String {
    let output = output.replace(&format!("{}/", root.display()), "").replace("```", "'''");
    let lines: Vec<&str> = output.trim_end().lines().collect();
    let mut text: String = lines.iter().take(MOST_LINES).flat_map(|line| [line.trim_end(), "\n"]).collect();
    if lines.len() > MOST_LINES {
        text.push_str(&format!("... ({} more lines)\n", lines.len() - MOST_LINES));
    }
    text
}

fn failure(message: String) -> Fault {
    Fault { status: 1, message }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_of_blocks_comes_back_as_it_was() {
        let text = "# Title\n\n```console needs datasets/a datasets/b copies c:d\n$ cargo xtask demo sizes --json\nout\n\nput\n```\nafter\n\
                    ```rust\nlet x = 1;\n```\n```console\nno command\n```\n";
        let found = parts(text);
        let blocks: Vec<&Block> = found
            .iter()
            .filter_map(|part| if let Part::Block(block) = part { Some(block) } else { None })
            .collect();
        assert_eq!(blocks.len(), 1);
        assert_eq!(blocks[0].needs, ["datasets/a", "datasets/b"]);
        assert_eq!(blocks[0].copies, [("c", "d")]);
        assert_eq!(
            (blocks[0].command.as_str(), blocks[0].output.as_str()),
            ("cargo xtask demo sizes --json", "out\n\nput\n")
        );
        assert_eq!(found.iter().map(Part::text).collect::<String>(), text);
    }

    #[test]
    fn output_is_bounded_and_names_no_folder_of_this_machine() {
        let root = Path::new("/home/me/cnn");
        assert_eq!(shown("a\nb: /home/me/cnn/runs/x.png  \n\n", root), "a\nb: runs/x.png\n");
        let long = shown(&"line\n".repeat(50), root);
        assert!(long.ends_with("line\n... (10 more lines)\n"));
        assert_eq!(shown("```\n", root), "'''\n");
    }
}
