//! Which peers there are, and how their programs are started.

use crate::root;
use clap::ValueEnum;
use cnn_cli::fault::Fault;
use serde::Serialize;
use std::fmt::{self, Display};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::str::FromStr;

/// A peer that has a program in `xtask/peers`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum PeerName {
    /// PyTorch on the CPU: eager and, for inference, torch.jit; in plain or channels_last layout.
    Pytorch,
    /// TensorFlow on the CPU: tf.function, with XLA or without.
    Tensorflow,
    /// onnxruntime's CPU provider; inference alone.
    Onnxruntime,
    /// OpenVINO's CPU plugin in 32 bits; inference alone.
    Openvino,
    /// burn's backend Flex; built by cargo on first use.
    Burn,
    /// candle on the CPU; built by cargo on first use.
    Candle,
    /// The crate matrixmultiply; matrix products alone; built by cargo on first use.
    Matrixmultiply,
}

/// Where the peers that are written in Python find it.
#[derive(Clone, Debug, Default)]
pub struct Pythons(Vec<Python>);

/// A Python, for all peers or for one.
#[derive(Clone, Debug, PartialEq)]
pub struct Python {
    peer: Option<PeerName>,
    path: PathBuf,
}

impl FromStr for Python {
    type Err = String;

    /// `PATH`, or `PEER=PATH`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            // A path may have the sign in it, but then a slash comes first.
            Some((peer, path)) if !peer.contains(['/', '\\']) => {
                Ok(Self { peer: Some(PeerName::from_str(peer, false)?), path: path.into() })
            }
            _ => Ok(Self { peer: None, path: text.into() }),
        }
    }
}

impl FromIterator<Python> for Pythons {
    fn from_iter<I: IntoIterator<Item = Python>>(pythons: I) -> Self {
        Self(pythons.into_iter().collect())
    }
}

impl Pythons {
    /// The peer's own, or else that for all.
    fn of(&self, peer: PeerName) -> &Path {
        let given = |to: Option<PeerName>| self.0.iter().rev().find(|python| python.peer == to);
        given(Some(peer)).or_else(|| given(None)).map_or(Path::new("python3"), |python| &python.path)
    }
}

/// The program to start.
#[derive(Debug)]
pub enum Program {
    /// A script, and what one must install for it.
    Python { peer: PeerName, python: PathBuf, script: &'static str, packages: &'static str },
    /// A program built from the project in this folder of `xtask/peers`.
    Cargo { folder: PathBuf },
}

impl PeerName {
    /// The peer's program, built if it must be.
    pub fn program(self, pythons: &Pythons) -> Result<Program, Fault> {
        let python = |script, packages| {
            Ok(Program::Python { peer: self, python: pythons.of(self).into(), script, packages })
        };
        match self {
            Self::Pytorch => python("pytorch.py", "torch torchvision"),
            Self::Tensorflow => python("on_tensorflow.py", "tensorflow"),
            Self::Onnxruntime => python("on_onnxruntime.py", "onnxruntime onnx"),
            Self::Openvino => python("on_openvino.py", "openvino onnx"),
            Self::Burn => built("burn"),
            Self::Candle => built("candle"),
            Self::Matrixmultiply => built("matrixmultiply"),
        }
    }
}

impl Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = self.to_possible_value().expect("no peer is hidden");
        f.write_str(value.get_name())
    }
}

/// Builds the project in a folder of `xtask/peers`, from there, so that its own configuration of cargo counts.
fn built(name: &str) -> Result<Program, Fault> {
    let folder = peers().join(name);
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let build = Command::new(cargo)
        .args(["build", "--release", "--locked", "--target-dir", "target"])
        .current_dir(&folder)
        .stdout(Stdio::null())
        .status();
    match build {
        Ok(status) if status.success() => Ok(Program::Cargo { folder }),
        Ok(status) => {
            Err(Fault { status: 1, message: format!("{}: cargo build: {status}", folder.display()) })
        }
        Err(error) => Err(Fault { status: 1, message: format!("{}: cargo: {error}", folder.display()) }),
    }
}

fn peers() -> PathBuf {
    root().join("xtask/peers")
}

impl Program {
    /// To be started for so many threads.
    pub fn command(&self, threads: usize) -> Command {
        let mut command = match self {
            Self::Python { python, script, .. } => {
                let mut command = Command::new(python);
                command.arg(peers().join(script));
                command
            }
            Self::Cargo { folder } => {
                let name = folder.file_name().unwrap_or_default().to_string_lossy();
                Command::new(
                    folder.join(format!("target/release/peer-{name}{}", std::env::consts::EXE_SUFFIX)),
                )
            }
        };
        let threads = threads.to_string();
        // Whatever library starts threads of its own accord is told by the variables that it reads.
        for variable in ["RAYON_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MATMUL_NUM_THREADS"] {
            command.env(variable, &threads);
        }
        command.arg(threads);
        command
    }

    /// It could not be started, or is not what it should be.
    pub fn missing(&self, reason: &dyn Display) -> Fault {
        match self {
            Self::Python { peer, python, packages, .. } => Fault::usage(format!(
                "--python {}: {reason}; to get it: python3 -m venv .venv && .venv/bin/pip install {packages}, \
                 then bench with --python {peer}=.venv/bin/python",
                python.display()
            )),
            Self::Cargo { folder } => Fault { status: 1, message: format!("{}: {reason}", folder.display()) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pythons(texts: &[&str]) -> Pythons {
        texts.iter().map(|text| text.parse::<Python>().unwrap()).collect()
    }

    #[test]
    fn a_peer_has_its_own_python_or_that_of_all() {
        let given = pythons(&["a/python", "tensorflow=b/python"]);
        assert_eq!(given.of(PeerName::Pytorch), Path::new("a/python"));
        assert_eq!(given.of(PeerName::Tensorflow), Path::new("b/python"));
        assert_eq!(pythons(&["tensorflow=b"]).of(PeerName::Pytorch), Path::new("python3"));
        assert_eq!(pythons(&["/x=1/python"]).of(PeerName::Pytorch), Path::new("/x=1/python"));
        assert!("torch=python".parse::<Python>().is_err());
    }

    #[test]
    fn every_peer_has_its_program() {
        for (peer, file) in [
            (PeerName::Pytorch, "pytorch.py"),
            (PeerName::Tensorflow, "on_tensorflow.py"),
            (PeerName::Onnxruntime, "on_onnxruntime.py"),
            (PeerName::Openvino, "on_openvino.py"),
            (PeerName::Burn, "burn/src/main.rs"),
            (PeerName::Candle, "candle/src/main.rs"),
            (PeerName::Matrixmultiply, "matrixmultiply/src/main.rs"),
        ] {
            assert!(peers().join(file).is_file(), "{peer}");
            if let Program::Python { script, .. } = match peer {
                PeerName::Burn | PeerName::Candle | PeerName::Matrixmultiply => continue,
                peer => peer.program(&Pythons::default()).unwrap(),
            } {
                assert_eq!(script, file);
            }
        }
    }
}
