//! `cnn fetch` without the feature `fetch`: for programs that let another one download.

pub use crate::fetch_args::Args;

use crate::fault::Fault;

pub fn run(args: Args) -> Result<(), Fault> {
    let name = args.dataset;
    Err(Fault::usage(format!(
        "fetch: this program was built without downloads; `cnn fetch {name}`, of a program with them, does it"
    )))
}
