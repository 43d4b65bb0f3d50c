//! `cargo xtask bench`: how fast the library is, alone or beside peers that do the same work in turns with it.

mod bandwidth;
mod machine;
mod peak;
mod peer;
mod report;
mod timing;
mod works;

use bandwidth::read_and_write;
use cnn_cli::fault::{Fault, note, print};
use cnn_cli::threads::threads;
use cnn_tensor::files::write_atomically;
use cnn_tensor::parallel::{self, Threads};
use machine::Machine;
use peak::fma_peak;
use peer::{Peer, PeerName, Python, Pythons, Theirs};
use report::{Comparison, Lack, Rate, Report, Row, Version};
use std::path::PathBuf;
use timing::{Contestant, Ours, in_turns};
use works::{Case, Prepared, Tally};

/// Measure speed, alone or beside other libraries.
///
/// Each row is one piece of work, repeated for about 0.3 seconds a round after a warm-up. The table shows the median
/// time of one repetition, the quartiles between which half of the rounds lie, images per second, and the rate with the share
/// of its limit, measured in turns with the work on the same threads. For arithmetic these are the floating-point operations of
/// the definition, of which a multiply-add counts as two (Winograd's transforms do with fewer), and fused multiply-adds on
/// registers alone; for what memory limits, bytes that must be read or written, and a pass over an array of 256 MiB (what fits
/// a cache can be faster). Batches of a data set have images
/// per second alone; on several threads, as many workers make them.
///
/// With --against, peers do the same work on as many threads, round by round in turns, so that a busy machine slows
/// all; a ratio is a peer's median time over ours. A peer's fastest mode counts.
#[derive(clap::Args)]
#[command(after_help = "\
Rows:
  lenet training      one step: forward, loss, backward, SGD with momentum; batches of 64 and 256
  lenet inference     forward; batches of 1 and 256
  mlp training        one step of Dense 200-10; batches of 128
  alexnet training    one step at 224x224; batches of 32
  alexnet inference   forward; batches of 1 and 32
  airbench94 training one step; batches of 256
  gemm ...            matrix products
  conv ...            LeNet-5's convolutions (28x28, 10x10), AlexNet's (55x55, 27x27, 13x13) and
                      others, by weights and outputs: forward, gradients, and all together
  linear ..., max pool ..., average pool ..., batch norm ..., relu ..., dropout ...,
  cross-entropy ...   forward and backward
  mnist batches       60,000 images in memory, shuffled and normalised; batches of 64
  cifar10 batches     50,000 images, shifted by up to 4 pixels, flipped; batches of 512
  jpeg batches        photos of 500x375 from files: decoded, a random part at 224x224, flipped;
                      batches of 32. The peer is torchvision with Pillow; with
                      \"jpeg batches, tensors\" its decoder and transforms of tensors

Dataset:
  cargo xtask bench                                    everything, on one thread and on all cores
  cargo xtask bench lenet --threads 1                  LeNet-5 on one thread
  cargo xtask bench training --batch-size 32,128       other batch sizes
  CNN_SIMD=avx2 cargo xtask bench conv                 as on a CPU without AVX-512
  cargo xtask bench lenet --against burn,candle        built by cargo on first use
  cargo xtask bench gemm --against matrixmultiply      likewise

  python3 -m venv .venv && .venv/bin/pip install torch torchvision
  cargo xtask bench lenet --against pytorch --python .venv/bin/python --json lenet.json
  cargo xtask bench lenet --against pytorch,tensorflow \\
      --python .venv/bin/python --python tensorflow=.tf/bin/python")]
pub struct Args {
    /// Measure only the rows whose name contains this.
    filter: Option<String>,
    /// Numbers of threads, each measured by itself [default: 1 and all cores].
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    threads: Vec<usize>,
    /// Images per batch, for rows that take images [default: each row's own].
    #[arg(long, value_name = "N,...", value_delimiter = ',')]
    batch_size: Vec<usize>,
    /// Measure these peers too.
    #[arg(long, value_enum, value_name = "PEER,...", value_delimiter = ',')]
    against: Vec<PeerName>,
    /// The Python that has all peers installed, or a peer's own [default: python3].
    #[arg(long, value_name = "[PEER=]PATH", requires = "against")]
    python: Vec<Python>,
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
    let pythons: Pythons = args.python.into_iter().collect();
    let mut names = Vec::new();
    args.against.into_iter().for_each(|name| {
        if !names.contains(&name) {
            names.push(name)
        }
    });

    let mut report = Report::new(Machine::here(), Vec::new(), args.rounds);
    let total = pools.len() * cases.len();
    cnn_cli::busy::warn();
    for (threads, pool) in &pools {
        let start = |&name| Peer::start(name, &pythons, *threads);
        let mut peers = names.iter().map(start).collect::<Result<Vec<Peer>, Fault>>()?;
        report.peers =
            peers.iter().map(|peer| Version { peer: peer.name, version: peer.version.clone() }).collect();
        for case in &cases {
            note(format!("{} of {total}: {case}, threads {threads}", report.rows.len() + 1));
            report.rows.push(measure(case, (*threads, pool), &mut peers, args.rounds)?);
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

/// The limit of work, as work to be measured.
fn limit(tally: Tally, threads: usize) -> Option<Prepared> {
    match tally {
        Tally::Macs(_) => Some(fma_peak(threads)),
        Tally::Bytes(_) => Some(read_and_write()),
        Tally::Images { .. } => None,
    }
}

/// The work of a run, in thousands of millions, and the unit of that per second.
fn giga(tally: Tally) -> Option<(f64, &'static str)> {
    match tally {
        Tally::Macs(macs) => Some((2e-9 * macs as f64, "GFLOP/s")),
        Tally::Bytes(bytes) => Some((1e-9 * bytes as f64, "GB/s")),
        Tally::Images { .. } => None,
    }
}

/// One row: in turns our rounds, those at the limit, and those of the peers that know the work.
fn measure(
    case: &Case,
    (threads, pool): (usize, &Threads),
    peers: &mut [Peer],
    rounds: usize,
) -> Result<Row, Fault> {
    let work = pool.run(|| case.prepare(threads))?;
    let files = work.files.as_ref().map(|folder| folder.path().to_path_buf());
    let lack = |peer: &Peer| Some(Lack { peer: peer.name, what: peer.lacks(case)? });
    let lacks = peers.iter().filter_map(lack).collect();
    let tally = work.tally;
    let mut ours = Ours::new(pool, work);
    let at_limit = limit(tally, threads);
    let limit_tally = at_limit.as_ref().map(|work| work.tally);
    let mut at_limit = at_limit.map(|work| Ours::new(pool, work));
    let mut theirs: Vec<Theirs> = peers
        .iter_mut()
        .filter(|peer| peer.knows(case))
        .map(|peer| Theirs::new(peer, case, files.clone()))
        .collect();

    let mut contestants: Vec<&mut dyn Contestant> = vec![&mut ours];
    contestants.extend(at_limit.as_mut().map(|work| work as &mut dyn Contestant));
    contestants.extend(theirs.iter_mut().map(|theirs| theirs as &mut dyn Contestant));
    let mut spreads = in_turns(&mut contestants, rounds)?.into_iter();
    let seconds = spreads.next().expect("ours took part");
    let rate = limit_tally.and_then(|of| {
        let (((work, unit), (most, _)), at_limit) = (giga(tally).zip(giga(of))?, spreads.next()?);
        Some(Rate { unit, achieved: work / seconds.median, limit: most / at_limit.median })
    });
    let compared = |(theirs, of_peer): (Theirs, timing::Spread)| Comparison {
        peer: theirs.name(),
        mode: theirs.mode,
        seconds: of_peer,
        ratio: of_peer.median / seconds.median,
    };
    Ok(Row {
        work: case.work.name.clone(),
        batch: case.batch,
        threads,
        seconds,
        images_per_second: case.batch.map(|images| images as f64 / seconds.median),
        rate,
        peers: theirs.into_iter().zip(spreads).map(compared).collect(),
        lacks,
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
            let mut work = case.prepare(2).unwrap();
            let nothing = [Tally::Macs(0), Tally::Bytes(0), Tally::Images { repeats: 0 }];
            assert!(!nothing.contains(&work.tally), "{case}");
            pool.run(|| (work.run)().and_then(|()| (work.run)())).unwrap();
        }
    }

    fn row(name: &str, batch: usize) -> Row {
        let (_, pool) = threads(Some(2)).unwrap();
        let case = &works::select(name, &[batch]).unwrap()[0];
        let row = measure(case, (2, &pool), &mut [], 1).unwrap();
        assert_eq!((row.batch, row.threads, row.peers.len()), (Some(batch), 2, 0));
        let images = row.images_per_second.unwrap() * row.seconds.median;
        assert!((images / batch as f64 - 1.0).abs() < 1e-9, "{images}");
        row
    }

    #[test]
    fn rates_are_work_over_time_beside_their_limit() {
        // Multiply-adds: forward and backward for weights of both layers, and for the input of the second.
        let mlp = 2 * 3 * (2 * 784 * 200 + 3 * 200 * 10);
        for (name, unit, work) in [("mlp training", "GFLOP/s", mlp), ("relu", "GB/s", 4 * 3 * 2 * 193_600)] {
            let (row, work) = (row(name, 3), f64::from(work));
            let rate = row.rate.unwrap();
            assert!((rate.achieved * row.seconds.median / (1e-9 * work) - 1.0).abs() < 1e-9, "{rate:?}");
            assert!(rate.unit == unit && rate.limit > 0.0, "{rate:?}");
        }
        assert!(row("mnist batches", 60_000).rate.is_none());
    }
}
