//! Shared by the tests that compare with PyTorch's numbers: the generator, the fixtures, the comparison.
//!
//! `xtask/peers/fixture.py` is the other side.

use cnn_nn::checkpoint;
use cnn_tensor::simd::{Level, with_level};
use cnn_tensor::{Shape, Tensor};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;

/// Error allowed, relative to the largest magnitude in the tensor.
pub const TOLERANCE: f64 = 1e-5;

/// Knuth's 64-bit linear congruential generator.
pub struct Numbers(pub u64);

impl Numbers {
    /// A whole number from -2^23 to 2^23 - 1: the upper 24 bits.
    pub fn whole(&mut self) -> i32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as i32 - (1 << 23)
    }

    /// Fills `out` with numbers within `bound`.
    pub fn fill(&mut self, bound: f32, out: &mut [f32]) {
        out.fill_with(|| self.whole() as f32 / (1 << 23) as f32 * bound);
    }

    /// A tensor within `bound`.
    pub fn tensor(&mut self, shape: impl Into<Shape>, bound: f32) -> Tensor {
        let mut tensor = Tensor::zeros(shape);
        self.fill(bound, tensor.data_mut());
        tensor
    }
}

/// A file of cases: the description of each, and what PyTorch has for it, one number after the other.
pub struct Fixture<Case> {
    name: &'static str,
    cases: Vec<Case>,
    tensors: BTreeMap<String, Tensor>,
}

/// The metadata of a file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct About<Case> {
    #[serde(rename = "made_by")]
    _made_by: String,
    cases: Vec<Case>,
}

impl<Case: DeserializeOwned> Fixture<Case> {
    /// The file `fixtures/NAME.safetensors`, which `xtask/peers/NAME.py` wrote.
    pub fn load(name: &'static str) -> Self {
        let file = format!("{}/tests/fixtures/{name}.safetensors", env!("CARGO_MANIFEST_DIR"));
        let stale = |fault: String| -> ! { panic!("{file}: {fault}\n{}", renewal(name)) };
        let saved = checkpoint::load(file.as_ref()).unwrap_or_else(|fault| stale(fault.to_string()));
        let about = saved.description.unwrap_or_default();
        let about = serde_json::from_str::<About<Case>>(&about);
        let About { cases, .. } = about.unwrap_or_else(|fault| stale(format!("its description: {fault}")));
        if cases.len() != saved.tensors.len() {
            stale(format!("{} cases, but {} tensors", cases.len(), saved.tensors.len()));
        }
        Self { name, cases, tensors: saved.tensors }
    }
}

/// How to renew a fixture.
fn renewal(name: &str) -> String {
    format!(
        "If the library is right and the fixture is older than a change of its layers or cases, renew it:\n    \
         pip install torch safetensors\n    \
         python xtask/peers/{name}.py crates/cnn-nn/tests/fixtures/{name}.safetensors"
    )
}

impl<Case> Fixture<Case> {
    /// The cases, with PyTorch's numbers.
    pub fn cases(&self) -> impl Iterator<Item = (&Case, &[f32])> {
        // The tensors' names are the cases' numbers, of as many digits each, so that their order is the cases'.
        self.cases.iter().zip(self.tensors.values().map(Tensor::data))
    }
}

/// The computed results of one case: values by name, in the order of the fixture.
pub type Computed = Vec<(String, Vec<f32>)>;

/// Compares the computed results with PyTorch's; an error says where they differ.
fn compare(got: &Computed, want: &[f32]) -> Result<(), String> {
    let total: usize = got.iter().map(|(_, values)| values.len()).sum();
    if total != want.len() {
        return Err(format!("{total} numbers, PyTorch has {}", want.len()));
    }
    let mut rest = want;
    for (name, got) in got {
        let (want, after) = rest.split_at(got.len());
        rest = after;
        let largest = want.iter().fold(0.0f64, |largest, &v| largest.max(f64::from(v).abs()));
        for (i, (&got, &want)) in got.iter().zip(want).enumerate() {
            let error = (f64::from(got) - f64::from(want)).abs() / largest;
            // A NaN is wrong too, and so is a tensor of zeros, which would test nothing.
            if error.is_nan() || error > TOLERANCE {
                return Err(format!("{name}[{i}]: {got}, PyTorch {want}, error {error:.1e}"));
            }
        }
    }
    Ok(())
}

/// Asserts that `compute` gives PyTorch's results for every case, at every SIMD level. `Err` is the reason why it gives none.
#[track_caller]
pub fn assert_same<Case>(
    fixture: &Fixture<Case>,
    name: impl Fn(&Case) -> String,
    compute: impl Fn(&Case) -> Result<Computed, String>,
) {
    let mut faults = Vec::new();
    for &level in Level::all() {
        for (case, want) in fixture.cases() {
            if let Err(fault) = with_level(level, || compute(case)).and_then(|got| compare(&got, want)) {
                faults.push(format!("{} at {}: {fault}", name(case), level.name()));
            }
        }
    }
    let (count, renewal) = (fixture.cases.len(), renewal(fixture.name));
    assert!(count > 0, "a fixture without cases\n{renewal}");
    assert!(faults.is_empty(), "{} faults in {count} cases:\n{}\n{renewal}", faults.len(), faults.join("\n"));
}
