//! `cnn inspect model.onnx`: what a network in an ONNX file is made of, and which of it cannot be computed here.

use crate::fault::{Fault, print};
use cnn_nn::{Input, Summary};
use cnn_onnx::{Described, Onnx, OnnxError, Port, Report};
use cnn_tensor::text::{cell, one_line};
use cnn_train::onnx;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// The output of `--json`.
#[derive(Serialize)]
struct Contents {
    file: PathBuf,
    bytes: u64,
    opset: i64,
    producer: String,
    inputs: Vec<Value>,
    outputs: Vec<Value>,
    metadata: Vec<String>,
    /// The model's own description, if this library wrote the file.
    described: Option<Model>,
    /// Other files with tensors, as the model names them.
    needs: BTreeSet<String>,
    /// Of nodes: those that can be computed here, those that depend on others, and the others.
    fine: usize,
    behind: usize,
    unsupported: Vec<Node>,
    /// The layers, if all nodes can be computed.
    layers: Option<Summary>,
    /// Why the nodes could not be looked at.
    fault: Option<String>,
}

#[derive(Serialize)]
struct Value {
    name: String,
    /// `null` where the file leaves an extent open.
    dims: Vec<Option<usize>>,
}

#[derive(Serialize)]
struct Model {
    name: String,
    classes: usize,
    input: Input,
}

#[derive(Serialize)]
struct Node {
    node: String,
    operator: String,
    reason: String,
}

/// The extents of images that the command line states: `NAME=C,H,W`.
pub fn extents(text: &str) -> Result<(String, Vec<usize>), String> {
    let expected = || format!("expected NAME=C,H,W, the extents of an image of an input, got {text}");
    let (name, dims) = text.rsplit_once('=').ok_or_else(expected)?;
    let dims = dims.split(',').map(|dim| dim.trim().parse()).collect::<Result<_, _>>();
    dims.map(|dims| (name.to_string(), dims)).map_err(|_| expected())
}

/// Prints what is in the file.
pub fn run(
    path: &Path,
    size: Option<usize>,
    shapes: &[(String, Vec<usize>)],
    json: bool,
) -> Result<(), Fault> {
    let file = onnx::open(path)?;
    let images = images(&file, size, shapes)?;
    let seen = look(&file, &images).map_err(|error| onnx::fault(path, error));
    let described = Described::of(&file).map_err(|error| onnx::fault(path, error))?;
    let (report, layers, fault) = match seen {
        Ok((report, layers)) => (report, layers, None),
        Err(fault) => (Report::default(), None, Some(fault)),
    };
    let value = |port: &Port| Value { name: port.name.clone(), dims: port.dims.clone() };
    let node = |node: &cnn_onnx::Unsupported| Node {
        node: node.node.clone(),
        operator: node.operator.clone(),
        reason: node.reason.clone(),
    };
    let contents = Contents {
        file: path.into(),
        bytes: path.metadata()?.len(),
        opset: file.opset,
        producer: file.producer.clone(),
        inputs: file.inputs.iter().map(value).collect(),
        outputs: file.outputs.iter().map(value).collect(),
        metadata: file.metadata.keys().cloned().collect(),
        described: described.map(|described| Model {
            name: described.name,
            classes: described.classes.len(),
            input: described.input,
        }),
        needs: file.external_files(),
        fine: report.fine,
        behind: report.behind,
        unsupported: report.unsupported.iter().map(node).collect(),
        layers,
        fault: fault.as_ref().map(|fault| fault.message.clone()),
    };
    if json {
        print(serde_json::to_string(&contents)?);
    } else {
        print(contents.in_words(&file));
    }
    match fault {
        Some(fault) => Err(fault),
        None if report.unsupported.is_empty() => Ok(()),
        None => {
            let message = format!("{}: {}", path.display(), onnx::in_short(&report));
            Err(Fault { status: 1, message })
        }
    }
}

/// Which nodes can be computed, and the layers if all can.
fn look(file: &Onnx, images: &BTreeMap<String, Vec<usize>>) -> Result<(Report, Option<Summary>), OnnxError> {
    match file.import(images) {
        Ok(imported) => {
            let layers = imported.build()?.summary();
            Ok((imported.report, Some(layers)))
        }
        Err(OnnxError::Unsupported(report)) => Ok((*report, None)),
        Err(fault) => Err(fault),
    }
}

/// The extents of an image of each input for which the command line states some: `size` where an input of images leaves height or
/// width open.
fn images(
    file: &Onnx,
    size: Option<usize>,
    shapes: &[(String, Vec<usize>)],
) -> Result<BTreeMap<String, Vec<usize>>, Fault> {
    let mut images: BTreeMap<String, Vec<usize>> = shapes.iter().cloned().collect();
    let Some(size) = size else { return Ok(images) };
    let of_images = |port: &&Port| port.dims.len() == 4 && port.dims[1..].contains(&None);
    let mut open = file.inputs.iter().filter(of_images).peekable();
    if open.peek().is_none() {
        return Err(Fault::usage("--size: expected an input of images whose height or width is open"));
    }
    for Port { name, dims } in open {
        let image = dims[1..].iter().map(|dim| dim.unwrap_or(size)).collect();
        images.entry(name.clone()).or_insert(image);
    }
    Ok(images)
}

impl Contents {
    fn in_words(&self, file: &Onnx) -> String {
        let producer = if self.producer.is_empty() { "a program without a name" } else { &self.producer };
        let mut lines = vec![format!(
            "{}: ONNX, opset {}, {} bytes, written by {}",
            one_line(self.file.display()),
            self.opset,
            self.bytes,
            one_line(producer)
        )];
        let mut list = |what: &str, items: Vec<String>| {
            if !items.is_empty() {
                lines.push(format!("{what:10}{}", items.join(", ")));
            }
        };
        let shown = |ports: &[Port]| ports.iter().map(ToString::to_string).collect();
        list("inputs", shown(&file.inputs));
        list("outputs", shown(&file.outputs));
        list("metadata", self.metadata.iter().map(one_line).collect());
        if let Some(Model { name, classes, input }) = &self.described {
            let [c, h, w] = input.shape;
            let about = format!("{}, for images of {c} x {h} x {w} and {classes} classes", one_line(name));
            list("model", vec![about]);
        }
        list("needs", self.needs.iter().map(one_line).collect());
        if self.fault.is_some() {
            return lines.join("\n");
        }
        let all = self.fine + self.behind + self.unsupported.len();
        match self.unsupported.len() {
            0 => list("nodes", vec![format!("{all}, all supported")]),
            bad => {
                let about = format!(
                    "{all}: {} fine, {bad} not supported, {} that depend on those",
                    self.fine, self.behind
                );
                list("nodes", vec![about]);
            }
        }
        lines.extend(self.unsupported.iter().map(|Node { node, operator, reason }| {
            format!("  {} {}: {}", one_line(operator), cell(node, 60), one_line(reason))
        }));
        lines.extend(self.layers.iter().map(|layers| format!("\n{layers}")));
        lines.join("\n").trim_end().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn extents_are_named() {
        assert_eq!(extents("x=3,224, 224"), Ok(("x".into(), vec![3, 224, 224])));
        assert_eq!(extents("a=b=7"), Ok(("a=b".into(), vec![7])));
        for wrong in ["3,224,224", "x=", "x=3,,4", "x=-1"] {
            assert!(extents(wrong).unwrap_err().ends_with(&format!("got {wrong}")));
        }
    }
}
