//! `cnn run`: a model's outputs for given tensors.

mod difference;
mod files;
mod network;

use crate::fault::{Fault, note, print};
use crate::npy;
use crate::save::save;
use crate::threads::threads;
use cnn_tensor::Tensor;
use cnn_tensor::text::one_line;
use difference::{Difference, Tolerance};
use files::{Given, Set};
use network::Network;
use serde::Serialize;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Run a model on given tensors, and write its outputs or compare them with expected ones.
///
/// The model is an ONNX file or one that this library wrote. Tensors are .npy files of any type of number, or ONNX's TensorProto, .pb.
/// Their shapes also give the extents that an ONNX file leaves open. Without --input, the folders test_data_set_0, test_data_set_1
/// and so on beside the model are taken, with input_K.pb and output_K.pb for its inputs and outputs in order.
///
/// An output differs if |got - expected| > ATOL + RTOL * |expected| for any element; two NaN are equal. Then the command ends with
/// status 1.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cnn run resnet18.onnx --input photo.npy --output answers
  cnn run model.onnx --input image=a.npy --input mask=b.npy --expect scores=c.npy
  cnn run path/to/folder-with-test-data --json")]
pub struct Args {
    /// The model, or a folder with model.onnx.
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Tensors for the model's inputs; NAME= may be left out where there is one.
    #[arg(long, value_name = "NAME=FILE", num_args = 1..)]
    input: Vec<Given>,
    /// The folder to write the outputs into, each as NAME.npy.
    #[arg(long, value_name = "DIR")]
    output: Option<PathBuf>,
    /// Tensors that outputs are to equal; NAME= may be left out where there is one.
    #[arg(long, value_name = "NAME=FILE", num_args = 1.., requires = "input")]
    expect: Vec<Given>,
    /// The difference allowed, relative to the expected value.
    #[arg(long, value_name = "SHARE", default_value_t = 1e-3)]
    rtol: f64,
    /// The difference allowed whatever the expected value.
    #[arg(long, value_name = "NUMBER", default_value_t = 1e-5)]
    atol: f64,
    /// Threads [default: all cores].
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Print one JSON object on stdout.
    #[arg(long)]
    json: bool,
}

/// The output of `--json`.
#[derive(Serialize)]
struct Report {
    model: PathBuf,
    sets: Vec<OfSet>,
    /// Whether all outputs that were compared are equal; `None` if none was.
    equal: Option<bool>,
}

/// The outputs for one set of inputs.
#[derive(Serialize)]
struct OfSet {
    /// The folder, if the set is one.
    set: Option<String>,
    seconds: f64,
    outputs: Vec<OfOutput>,
}

#[derive(Serialize)]
struct OfOutput {
    name: String,
    shape: Vec<usize>,
    /// The file that was written.
    file: Option<PathBuf>,
    difference: Option<Difference>,
    /// The smallest and the largest number.
    range: [f32; 2],
}

pub fn run(args: Args) -> Result<(), Fault> {
    let (_, pool) = threads(args.threads)?;
    let tolerance = Tolerance::new(args.rtol, args.atol)?;
    let file = if args.model.is_dir() { args.model.join("model.onnx") } else { args.model.clone() };
    let mut network = Network::open(&file)?;
    let sets = match args.input.is_empty() {
        false => vec![Set::named(&network, &args.input, &args.expect)?],
        true => Set::beside(&network, &file)?,
    };
    let several = sets.len() > 1;
    let mut report = Report { model: file, sets: Vec::new(), equal: None };
    for set in sets {
        let (start, inputs) = (Instant::now(), set.inputs()?);
        let outputs = pool.run(|| network.infer(inputs))?;
        let seconds = start.elapsed().as_secs_f64();
        let folder = args.output.as_ref().map(|folder| match &set.name {
            Some(name) if several => folder.join(name),
            _ => folder.clone(),
        });
        let mut names = HashSet::new();
        let mut done = OfSet { set: set.name.clone(), seconds, outputs: Vec::new() };
        for (i, (name, tensor)) in network.outputs().iter().zip(&outputs).enumerate() {
            let difference = match &set.expected[i] {
                Some(expected) => Some(tolerance.compare(tensor, &files::read(expected)?)),
                None => None,
            };
            let write = |folder: &PathBuf| -> Result<PathBuf, Fault> {
                let file = folder.join(file_name(name, &mut names));
                save(&file, &npy::write(tensor))?;
                Ok(file)
            };
            let file = folder.as_ref().map(write).transpose()?;
            let shape = tensor.shape().dims().to_vec();
            let output = OfOutput { name: name.clone(), shape, file, difference, range: range(tensor) };
            if let Some(difference) = &output.difference {
                report.equal = Some(report.equal != Some(false) && difference.equal);
            }
            done.outputs.push(output);
        }
        if !args.json {
            print(done.in_words());
        }
        report.sets.push(done);
    }
    if args.json {
        print(serde_json::to_string(&report)?);
    }
    match report.equal {
        Some(false) => {
            let compared =
                || report.sets.iter().flat_map(|set| &set.outputs).filter_map(|o| o.difference.as_ref());
            let differing = compared().filter(|difference| !difference.equal).count();
            let all = compared().count();
            Err(Fault {
                status: 1,
                message: format!("{differing} of {all} outputs differ from the expected ones"),
            })
        }
        None if !args.json && args.output.is_none() => {
            note("nothing was written or compared: see --output and --expect");
            Ok(())
        }
        _ => Ok(()),
    }
}

/// A name for an output's file that none has yet. Names of outputs may have slashes.
fn file_name(output: &str, taken: &mut HashSet<String>) -> String {
    let plain = |c: char| if c.is_alphanumeric() || "-_.".contains(c) { c } else { '_' };
    let stem: String = output.chars().take(100).map(plain).collect();
    let stem = match stem.trim_start_matches(['_', '.']) {
        "" => "output",
        stem => stem,
    };
    let mut name = format!("{stem}.npy");
    let mut number = 1;
    while !taken.insert(name.to_lowercase()) {
        number += 1;
        name = format!("{stem}_{number}.npy");
    }
    name
}

fn range(tensor: &Tensor) -> [f32; 2] {
    let values = tensor.data().iter();
    values.fold([f32::INFINITY, f32::NEG_INFINITY], |[min, max], &v| [min.min(v), max.max(v)])
}

impl OfSet {
    fn in_words(&self) -> String {
        let mut lines: Vec<String> = self.set.iter().map(one_line).collect();
        let indent = if self.set.is_some() { "  " } else { "" };
        for OfOutput { name, shape, file, difference, range: [min, max] } in &self.outputs {
            let about = match difference {
                Some(difference) => difference.to_string(),
                None => format!("from {min} to {max}"),
            };
            let written = file.as_ref().map_or(String::new(), |file| format!(", in {}", shown(file)));
            lines.push(format!("{indent}{} {shape:?}: {about}{written}", one_line(name)));
        }
        lines.join("\n")
    }
}

fn shown(path: &Path) -> String {
    one_line(path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_outputs_become_names_of_files() {
        let mut taken = HashSet::new();
        let mut name = |output| file_name(output, &mut taken);
        assert_eq!(name("/layer1/Relu_output_0"), "layer1_Relu_output_0.npy");
        assert_eq!(name("layer1:Relu_output_0"), "layer1_Relu_output_0_2.npy");
        assert_eq!(name("../../etc"), "etc.npy");
        assert_eq!(name("ETC"), "ETC_2.npy");
        assert_eq!(name("..."), "output.npy");
        assert_eq!(name(""), "output_2.npy");
    }
}
