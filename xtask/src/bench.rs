//! `cargo xtask bench`: how fast the library is, alone or beside a peer that does the same work in turns with it.

mod machine;
mod peak;
mod peer;
mod report;
mod timing;
mod works;

use crate::fault::{Fault, note, print};
use crate::threads::threads;
use cnn_nn::checkpoint::write_atomically;
use cnn_tensor::parallel::{self, Threads};
use machine::Machine;
use peak::fma_peak;
use peer::{Peer, PeerName, Theirs};
use report::{Comparison, Report, Row};
use std::path::PathBuf;
use timing::{Contestant, Ours, in_turns};
use works::Case;

/// Measure speed, alone or beside PyTorch.
///
/// Each row is one piece of work, repeated for about 0.3 seconds a round after a warm-up. The table shows the median
/// time of one repetition, the quartiles between which half of the rounds lie, images and floating-point operations per
/// second, and the share of the peak: what the same threads reach by fused multiply-adds on registers alone, measured in
/// turns with the work. A multiply-add counts as two operations.
///
/// With --against, a peer does the same work on as many threads, round by round in turns, so that a busy machine slows
/// both; the ratio is the peer's median time over ours. The peer's fastest mode counts.
#[derive(clap::Args)]
#[command(after_help = "\
Rows:
  lenet training    one step: forward, loss, backward, SGD with momentum; batches of 64 and 256
  lenet inference   forward; batches of 1 and 256
  mlp training      one step of Dense 200-10; batches of 128
  gemm ...          matrix products
  conv ...          LeNet-5's two convolutions, forward and backward; batches of 64

Examples:
  cargo xtask bench                                    everything, on one thread and on all cores
  cargo xtask bench lenet --threads 1                  LeNet-5 on one thread
  cargo xtask bench training --batch-size 32,128       other batch sizes
  CNN_SIMD=avx2 cargo xtask bench conv                 as on a CPU without AVX-512

  python3 -m venv .venv && .venv/bin/pip install torch
  cargo xtask bench lenet --against pytorch --python .venv/bin/python --json lenet.json")]
pub struct Args {
    /// Measure only the rows whose name contains this.
    filter: Option<String>,
    /// Numbers of threads, each measured by itself [default: 1 and all cores].
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Images per batch, for rows that take images [default: each row's own].
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    batch_size: Vec<usize>,
    /// Measure a peer too.
    #[arg(long, value_enum, value_name = "PEER")]
    against: Option<PeerName>,
    /// The Python that has the peer installed.
    #[arg(long, value_name = "PATH", default_value = "python3", requires = "against")]
    python: PathBuf,
    /// Rounds of about 0.3 seconds that a median is taken of.
    #[arg(long, value_name = "N", default_value_t = 11)]
    rounds: usize,
    /// Write the rows to this file as JSON, too.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub fn run(args: Args) -> Result<(), Fault> {
    let cases = works::select(args.filter.as_deref().unwrap_or_default(), &args.batch_size)?;
    let pools = pools(&args.threads)?;
    if args.rounds == 0 {
        return Err(Fault::usage("--rounds: expected at least 1, got 0"));
    }
    if let Some(folder) = args.json.as_deref().and_then(|file| file.parent())
        && !folder.as_os_str().is_empty()
        && !folder.is_dir()
    {
        return Err(Fault::usage(format!(
            "--json: expected a file in an existing folder, got {}",
            folder.display()
        )));
    }
    let mut peer = args.against.map(|name| Peer::start(name, &args.python)).transpose()?;

    let mut report =
        Report::new(Machine::here(), peer.as_ref().map(|peer| peer.version.clone()), args.rounds);
    let total = pools.len() * cases.len();
    for (threads, pool) in &pools {
        for case in &cases {
            note(format!("{} of {total}: {case}, threads {threads}", report.rows.len() + 1));
            report.rows.push(measure(case, (*threads, pool), peer.as_mut(), args.rounds)?);
        }
    }
    print(&report);
    if let Some(file) = &args.json {
        write_atomically(file, (serde_json::to_string_pretty(&report)? + "\n").as_bytes())?;
    }
    Ok(())
}

/// The pools to measure on, with their numbers of threads.
fn pools(wanted: &[usize]) -> Result<Vec<(usize, Threads)>, Fault> {
    let mut all = vec![1, parallel::available()];
    all.dedup();
    let counts = if wanted.is_empty() { &all } else { wanted };
    counts.iter().map(|&count| threads(Some(count))).collect()
}

/// One row: in turns our rounds, those at the peak, and the peer's if it knows the work.
fn measure(
    case: &Case,
    (threads, pool): (usize, &Threads),
    peer: Option<&mut Peer>,
    rounds: usize,
) -> Result<Row, Fault> {
    let (work, peak) = (case.prepare()?, fma_peak(threads));
    let gflop = |macs: u64| 2e-9 * macs as f64;
    let (gflop_of_work, gflop_of_peak) = (gflop(work.macs), gflop(peak.macs));
    let (mut ours, mut peak) = (Ours::new(pool, work), Ours::new(pool, peak));
    let mut theirs = peer.filter(|peer| peer.knows(case)).map(|peer| Theirs::new(peer, case, threads));

    let mut contestants: Vec<&mut dyn Contestant> = vec![&mut ours, &mut peak];
    contestants.extend(theirs.as_mut().map(|theirs| theirs as &mut dyn Contestant));
    let spreads = in_turns(&mut contestants, rounds)?;
    let (seconds, peak_seconds) = (spreads[0], spreads[1]);
    let compared = theirs.zip(spreads.get(2)).map(|(theirs, &of_peer)| Comparison {
        mode: theirs.mode,
        seconds: of_peer,
        ratio: of_peer.median / seconds.median,
    });
    Ok(Row {
        work: case.work.name,
        batch: case.batch,
        threads,
        seconds,
        images_per_second: case.batch.map(|images| images as f64 / seconds.median),
        gflops: gflop_of_work / seconds.median,
        peak_gflops: gflop_of_peak / peak_seconds.median,
        peer: compared,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn refusal(line: &[&str]) -> Fault {
        run(Cli::try_parse_from([&["bench"], line].concat()).unwrap().args).unwrap_err()
    }

    #[test]
    fn what_cannot_be_measured_is_one_line() {
        for (line, expected) in [
            (&["--threads", "1,0"][..], "--threads: "),
            (&["lenett"], "lenett: expected part of the name of a row: lenet training, lenet inference, "),
            (&["--batch-size", "64,0"], "--batch-size: expected 1 to 65536, got 0"),
            (&["--rounds", "0"], "--rounds: expected at least 1, got 0"),
            (&["--json", "/no/such/folder/file.json"], "--json: expected a file in an existing folder"),
            (&["--against", "pytorch", "--python", "/no/such/python"], "--python /no/such/python: "),
        ] {
            let Fault { status, message } = refusal(line);
            assert!(message.starts_with(expected), "{message}");
            assert_eq!((status, message.lines().count()), (2, 1), "{message}");
        }
    }

    #[test]
    fn every_row_can_be_measured() {
        let (_, pool) = threads(Some(2)).unwrap();
        for case in works::select("", &[3]).unwrap() {
            let mut work = case.prepare().unwrap();
            assert!(work.macs > 0, "{case}");
            pool.run(|| (work.run)().and_then(|()| (work.run)())).unwrap();
        }
        let case = &works::select("mlp", &[3]).unwrap()[0];
        let row = measure(case, (2, &pool), None, 1).unwrap();
        assert_eq!((row.batch, row.threads, row.peer.is_none()), (Some(3), 2, true));
        let (images, gflop) =
            (row.images_per_second.unwrap() * row.seconds.median, row.gflops * row.seconds.median);
        assert!((images - 3.0).abs() < 1e-9, "{images}");
        assert!((gflop - 2e-9 * case.prepare().unwrap().macs as f64).abs() < 1e-12, "{gflop}");
    }
}
