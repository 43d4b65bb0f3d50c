//! `cnn fetch` without the feature `fetch`: its arguments, for a program that has it.

use crate::fault::Fault;
use std::ffi::OsString;

/// Download a published data set, and check its files.
#[derive(clap::Args)]
#[command(disable_help_flag = true)]
pub struct Args {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME")]
    rest: Vec<OsString>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let rest = args.rest.iter().map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ");
    Err(Fault::usage(format!(
        "fetch: this program was built without downloads; use one with them: cnn fetch {rest}"
    )))
}
