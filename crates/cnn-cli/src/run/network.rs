//! A model of any file, as a graph with named inputs and outputs.

use crate::fault::Fault;
use cnn_nn::{Graph, Layer, Model, ModelSpec, checkpoint};
use cnn_onnx::{Imported, Onnx};
use cnn_tensor::Tensor;
use cnn_tensor::sniff::FileKind;
use cnn_tensor::text::one_line;
use cnn_train::onnx;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The network of a model file.
pub struct Network {
    outputs: Vec<String>,
    kind: Kind,
}

enum Kind {
    /// Built for the shapes of the first inputs, and again for others.
    Onnx {
        path: PathBuf,
        file: Box<Onnx>,
        built: Option<Box<Built>>,
    },
    Own(Box<Graph>),
}

/// A network, and the extents of the images that it was built for, by input.
struct Built {
    images: BTreeMap<String, Vec<usize>>,
    net: Graph,
}

impl Network {
    /// Opens a file: ONNX, or a model or graph that this library wrote.
    pub fn open(path: &Path) -> Result<Self, Fault> {
        if onnx::is_onnx(path) || matches!(FileKind::of_file(path), Ok(Some(FileKind::Onnx))) {
            let file = Box::new(onnx::open(path)?);
            let outputs = file.outputs.iter().map(|port| port.name.clone()).collect();
            return Ok(Self { outputs, kind: Kind::Onnx { path: path.into(), file, built: None } });
        }
        let saved = checkpoint::load(path)?;
        if saved.description.is_none() {
            let message = format!(
                "{}: expected a model with its description, as training writes it, or an ONNX file",
                path.display()
            );
            return Err(Fault { status: 1, message });
        }
        let net = match ModelSpec::of_saved(&saved, path) {
            Ok(_) => Model::from_saved(saved, path)?.net,
            Err(of_model) => match Graph::from_saved(saved, path) {
                Ok(net) => net,
                Err(of_graph) if of_model.to_string().contains("Graph::load reads it") => {
                    return Err(of_graph.into());
                }
                Err(_) => return Err(of_model.into()),
            },
        };
        let outputs = net.spec().outputs.iter().map(ToString::to_string).collect();
        Ok(Self { outputs, kind: Kind::Own(Box::new(net)) })
    }

    /// The inputs' names.
    pub fn inputs(&self) -> Vec<String> {
        match &self.kind {
            Kind::Onnx { file, .. } => file.inputs.iter().map(|port| port.name.clone()).collect(),
            Kind::Own(net) => net.spec().inputs.clone(),
        }
    }

    /// The outputs' names.
    pub fn outputs(&self) -> &[String] {
        &self.outputs
    }

    /// The outputs for these inputs, each with images along its first axis.
    pub fn infer(&mut self, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
        let names = self.inputs();
        let (path, file, built) = match &mut self.kind {
            Kind::Own(net) => return outputs_of(net, inputs),
            Kind::Onnx { path, file, built } => (path, file, built),
        };
        let images =
            names.iter().zip(&inputs).map(|(name, tensor)| match tensor.shape().dims().split_first() {
                Some((_, image)) => Ok((name.clone(), image.to_vec())),
                None => {
                    let name = one_line(name);
                    let message =
                        format!("input {name}: expected an axis of images first, got a single number");
                    Err(Fault { status: 1, message })
                }
            });
        let images = images.collect::<Result<BTreeMap<_, _>, _>>()?;
        let net = match built {
            Some(built) if built.images == images => &built.net,
            _ => {
                let import = || -> Result<Graph, cnn_onnx::OnnxError> {
                    let imported: Imported = file.import(&images)?;
                    imported.build()
                };
                let net = import().map_err(|error| onnx::fault(path, error))?;
                &built.insert(Box::new(Built { images, net })).net
            }
        };
        outputs_of(net, inputs)
    }
}

fn outputs_of(net: &Graph, inputs: Vec<Tensor>) -> Result<Vec<Tensor>, Fault> {
    Ok(Layer::infer(net, inputs.into_iter().collect())?.into_iter().collect())
}
