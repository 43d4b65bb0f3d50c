//! Arguments for tests of commands.

use clap::{Args, Command};

/// The arguments of a command that `words` say.
pub fn parse<A: Args>(words: &[&str]) -> Result<A, clap::Error> {
    let command = A::augment_args(Command::new("cnn").no_binary_name(true));
    A::from_arg_matches(&command.try_get_matches_from(words)?)
}
