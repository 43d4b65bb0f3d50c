//! The work that can be measured, by name.

mod data;
mod nets;
mod operations;

use cnn_cli::fault::Fault;
use cnn_tensor::{Random, Shape, Tensor};
use std::fmt;
use std::sync::Arc;
use tempfile::TempDir;

/// From images per batch and threads to work with its data at hand.
type Prepare = Box<dyn Fn(usize, usize) -> Result<Prepared, Fault> + Send + Sync>;

/// A piece of work, at any batch size.
pub struct Work {
    /// A peer knows it by the same name.
    pub name: String,
    /// Images per batch unless the user says otherwise; none where the work is not on images.
    batches: Vec<usize>,
    prepare: Prepare,
}

impl Work {
    fn new(
        name: impl Into<String>,
        batches: &[usize],
        prepare: impl Fn(usize, usize) -> Result<Prepared, Fault> + Send + Sync + 'static,
    ) -> Self {
        Self { name: name.into(), batches: batches.into(), prepare: Box::new(prepare) }
    }
}

/// All of it.
fn works() -> Vec<Work> {
    nets::works().into_iter().chain(operations::works()).chain(data::works()).collect()
}

/// Work with all its data at hand, to be repeated.
pub struct Prepared {
    /// The work of one run.
    pub tally: Tally,
    /// The files that it works on, for a peer to work on too; removed with it.
    pub files: Option<TempDir>,
    pub run: Box<dyn FnMut() -> Result<(), Fault> + Send>,
}

impl Prepared {
    pub fn new(tally: Tally, run: impl FnMut() -> Result<(), Fault> + Send + 'static) -> Self {
        Self { tally, files: None, run: Box::new(run) }
    }
}

/// The amount of work in one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tally {
    /// Multiply-adds, to be held against the peak.
    Macs(u64),
    /// Bytes that must be read and written at least once, to be held against the bandwidth of the memory.
    Bytes(u64),
    /// Batches that are made: the work is repeated so many times.
    Images { repeats: usize },
}

impl Tally {
    /// How often one run does the work.
    pub fn repeats(self) -> usize {
        match self {
            Self::Macs(_) | Self::Bytes(_) => 1,
            Self::Images { repeats } => repeats,
        }
    }
}

/// The largest batch size; a mistyped one must not fill the memory.
const LARGEST_BATCH: usize = 1 << 16;

/// A piece of work at one batch size.
#[derive(Clone)]
pub struct Case {
    pub work: Arc<Work>,
    pub batch: Option<usize>,
}

impl Case {
    pub fn prepare(&self, threads: usize) -> Result<Prepared, Fault> {
        (self.work.prepare)(self.batch.unwrap_or(1), threads)
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.work.name)?;
        self.batch.map_or(Ok(()), |batch| write!(f, ", batch {batch}"))
    }
}

/// All work whose name contains `filter`, at the given batch sizes, or at its own where none are given.
pub fn select(filter: &str, batches: &[usize]) -> Result<Vec<Case>, Fault> {
    if let Some(got) = batches.iter().find(|batch| !(1..=LARGEST_BATCH).contains(batch)) {
        return Err(Fault::usage(format!("--batch-size: expected 1 to {LARGEST_BATCH}, got {got}")));
    }
    let works = works();
    let names: Vec<String> = works.iter().map(|work| work.name.clone()).collect();
    let cases_of = |work: Work| -> Vec<Case> {
        let work = Arc::new(work);
        let case = |batch| Case { work: Arc::clone(&work), batch };
        match if batches.is_empty() { &work.batches[..] } else { batches } {
            _ if work.batches.is_empty() => vec![case(None)],
            batches => batches.iter().map(|&batch| case(Some(batch))).collect(),
        }
    };
    let cases: Vec<Case> =
        works.into_iter().filter(|work| work.name.contains(filter)).flat_map(cases_of).collect();
    if cases.is_empty() {
        let names = names.join(", ");
        return Err(Fault::usage(format!("{filter}: expected part of the name of a row: {names}")));
    }
    Ok(cases)
}

/// Numbers as varied as real ones, the same in every run.
fn random(shape: impl Into<Shape>) -> Tensor {
    let mut tensor = Tensor::zeros(shape);
    Random::new(0, &["bench"]).fill_normal(1.0, tensor.data_mut());
    tensor
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn selected(filter: &str, batches: &[usize]) -> Vec<String> {
        select(filter, batches).unwrap().iter().map(Case::to_string).collect()
    }

    #[test]
    fn rows_are_selected_by_part_of_their_name() {
        let lenet = [
            "lenet training, batch 64",
            "lenet training, batch 256",
            "lenet inference, batch 1",
            "lenet inference, batch 256",
        ];
        assert_eq!(selected("lenet", &[]), lenet);
        assert_eq!(selected("p train", &[]), ["mlp training, batch 128"]);
        let rows: usize = works().iter().map(|work| work.batches.len().max(1)).sum();
        assert_eq!(selected("", &[]).len(), rows);
    }

    #[test]
    fn every_name_is_there_once() {
        let names: Vec<String> = works().into_iter().map(|work| work.name).collect();
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), names.len(), "{names:?}");
    }

    #[test]
    fn batch_sizes_replace_those_of_rows_that_have_some() {
        assert_eq!(selected("mlp", &[2, 5]), ["mlp training, batch 2", "mlp training, batch 5"]);
        assert_eq!(selected("gemm 5", &[2, 5]), ["gemm 512x512x512"]);
        assert!(select("mlp", &[LARGEST_BATCH]).is_ok() && select("mlp", &[LARGEST_BATCH + 1]).is_err());
    }

    /// The names of works between the quotes of a peer's program.
    fn names_in(program: &str) -> Vec<String> {
        let text = std::fs::read_to_string(crate::root().join("xtask/peers").join(program)).unwrap();
        let works = [" training", " inference"];
        let quoted = text.split('"').filter(|quoted| works.iter().any(|end| quoted.ends_with(end)));
        quoted.map(String::from).collect()
    }

    #[test]
    fn peers_know_nets_by_our_names() {
        let ours: Vec<String> = works().into_iter().map(|work| work.name).collect();
        let training = ["lenet training", "mlp training"];
        let inference = ["lenet inference"];
        let alexnet = ["alexnet training", "alexnet inference"];
        for (program, expected) in [
            ("pytorch.py", [&training[..], &inference, &alexnet, &["airbench94 training"]].concat()),
            ("on_tensorflow.py", [&training[..], &inference, &alexnet].concat()),
            ("onnx_nets.py", [&inference[..], &alexnet[1..]].concat()),
            ("burn/src/main.rs", [&training[..], &inference, &alexnet].concat()),
            ("candle/src/main.rs", [&training[..], &inference].concat()),
        ] {
            let names = names_in(program);
            assert!(names.iter().all(|name| ours.contains(name)), "{program}: {names:?}");
            let missing: Vec<&&str> =
                expected.iter().filter(|name| !names.iter().any(|n| n == **name)).collect();
            assert!(missing.is_empty() && names.len() == expected.len(), "{program}: {missing:?}, {names:?}");
        }
    }

    #[test]
    fn matrixmultiply_knows_every_matrix_product() {
        let program = crate::root().join("xtask/peers/matrixmultiply/src/main.rs");
        let program = std::fs::read_to_string(program).unwrap();
        let products: Vec<String> =
            works().into_iter().map(|work| work.name).filter(|name| name.starts_with("gemm ")).collect();
        assert_eq!(program.matches("\"gemm ").count(), products.len());
        assert!(products.iter().all(|name| program.contains(&format!("\"{name}\""))), "{products:?}");
    }

    #[test]
    fn pytorch_knows_every_operation_and_every_data_set_that_is_not_our_own_loaders_alone() {
        let root = crate::root().join("xtask/peers");
        let script = std::fs::read_to_string(root.join("pytorch.py")).unwrap();
        let operations = std::fs::read_to_string(root.join("operations.json")).unwrap();
        let operations: Vec<serde_json::Value> = serde_json::from_str(&operations).unwrap();
        let kinds = operations.iter().map(|operation| operation["op"].as_str().unwrap());
        for name in kinds.chain(["jpeg batches", "jpeg batches, tensors"]) {
            assert!(script.contains(&format!("    \"{name}\": ")), "{name}");
        }
    }
}
