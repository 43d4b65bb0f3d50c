//! `cargo xtask bench`: how fast the library is, alone or beside a peer that does the same work in turns with it.

mod data;
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
use works::{Case, Tally};

/// Measure speed, alone or beside PyTorch.
///
/// Each row is one piece of work, repeated for about 0.3 seconds a round after a warm-up. The table shows the median
/// time of one repetition, the quartiles between which half of the rounds lie, images and floating-point operations per
/// second, and the share of the peak: what the same threads reach by fused multiply-adds on registers alone, measured in
/// turns with the work. A multiply-add counts as two operations. Batches of a data set are no arithmetic, and have images
/// per second alone; on several threads, as many workers make them.
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
  mnist batches     60,000 images in memory, shuffled and normalised; batches of 64
  cifar10 batches   50,000 images in memory, shifted by up to 4 pixels, flipped; batches of 512
  jpeg batches      photos of 500x375 from files: decoded, a random part at 224x224, flipped; batches of 32. The peer
                    is torchvision with Pillow; with \"jpeg batches, tensors\" its decoder and transforms of tensors

Examples:
  cargo xtask bench                                    everything, on one thread and on all cores
  cargo xtask bench lenet --threads 1                  LeNet-5 on one thread
  cargo xtask bench training --batch-size 32,128       other batch sizes
  CNN_SIMD=avx2 cargo xtask bench conv                 as on a CPU without AVX-512

  python3 -m venv .venv && .venv/bin/pip install torch torchvision
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
    let work = pool.run(|| case.prepare(threads))?;
    let files = work.files.as_ref().map(|folder| folder.path().to_path_buf());
    let gflop = |tally| match tally {
        Tally::Macs(macs) => Some(2e-9 * macs as f64),
        Tally::Images { .. } => None,
    };
    let gflop_of_work = gflop(work.tally);
    let peak = gflop_of_work.map(|_| fma_peak(threads));
    let gflop_of_peak = peak.as_ref().and_then(|peak| gflop(peak.tally));
    let mut ours = Ours::new(pool, work);
    let mut peak = peak.map(|peak| Ours::new(pool, peak));
    let peer_lacks = peer.as_ref().and_then(|peer| peer.lacks(case));
    let mut theirs = peer.filter(|peer| peer.knows(case)).map(|peer| Theirs::new(peer, case, threads, files));

    let mut contestants: Vec<&mut dyn Contestant> = vec![&mut ours];
    contestants.extend(peak.as_mut().map(|peak| peak as &mut dyn Contestant));
    contestants.extend(theirs.as_mut().map(|theirs| theirs as &mut dyn Contestant));
    let mut spreads = in_turns(&mut contestants, rounds)?.into_iter();
    let seconds = spreads.next().expect("ours took part");
    let at_peak = peak.and_then(|_| spreads.next());
    let compared = theirs.zip(spreads.next()).map(|(theirs, of_peer)| Comparison {
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
        gflops: gflop_of_work.map(|gflop| gflop / seconds.median),
        peak_gflops: gflop_of_peak.zip(at_peak).map(|(gflop, seconds)| gflop / seconds.median),
        peer: compared,
        peer_lacks,
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
            assert!(!matches!(work.tally, Tally::Macs(0) | Tally::Images { repeats: 0 }), "{case}");
            pool.run(|| (work.run)().and_then(|()| (work.run)())).unwrap();
        }
        let case = &works::select("mlp", &[3]).unwrap()[0];
        let row = measure(case, (2, &pool), None, 1).unwrap();
        assert_eq!((row.batch, row.threads, row.peer.is_none()), (Some(3), 2, true));
        let images = row.images_per_second.unwrap() * row.seconds.median;
        assert!((images - 3.0).abs() < 1e-9, "{images}");
        let gflop = row.gflops.unwrap() * row.seconds.median;
        let Tally::Macs(macs) = case.prepare(2).unwrap().tally else { panic!("arithmetic") };
        assert!((gflop - 2e-9 * macs as f64).abs() < 1e-12, "{gflop}");
        assert!(row.peak_gflops.unwrap() > 0.0);

        let case = &works::select("mnist batches", &[60_000]).unwrap()[0];
        let row = measure(case, (2, &pool), None, 1).unwrap();
        assert_eq!((row.gflops, row.peak_gflops), (None, None));
        let images = row.images_per_second.unwrap() * row.seconds.median;
        assert!((images - 60_000.0).abs() < 1e-3, "{images}");
    }
}
