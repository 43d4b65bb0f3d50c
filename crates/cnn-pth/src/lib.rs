//! The tensors in the files that PyTorch's `torch.save` writes, `.pth` and `.pt`.
//!
//! Such a file is a pickle, a program for a small stack machine that can call any function of Python. [`read`] runs the few
//! instructions that tensors need, calls nothing, and refuses every other function by its name.
//!
//! Both forms are read: the ZIP archive of PyTorch 1.6 and later, and the older sequence of pickles. A checkpoint in which the
//! weights lie under `state_dict`, `model`, `model_state_dict` or a similar key is searched for them.
//!
//! | file | |
//! |---|---|
//! | `archive.rs` | the ZIP form: where the pickle and the elements lie |
//! | `legacy.rs` | the older form |
//! | `pickle.rs` | the stack machine |
//! | `call.rs` | the functions that are known, and what stands for their results |
//! | `state.rs` | from the value that was pickled to tensors by name |
//!
//! ```no_run
//! let file = std::fs::read("resnet18-f37072fd.pth")?;
//! for (name, tensor) in cnn_pth::read(&file)?.tensors {
//!     println!("{name}: {:?} of {}", tensor.shape, tensor.element.name());
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Memory stays within a small multiple of the file's length, whatever the file claims.
#![forbid(unsafe_code)]

mod archive;
mod call;
mod legacy;
mod pickle;
mod state;

use std::collections::BTreeMap;

/// The contents of a file.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Contents {
    /// The tensors by name.
    pub tensors: BTreeMap<String, Tensor>,
    /// The entries beside them that are no tensors, such as a number of epochs.
    pub others: Vec<String>,
    /// The keys under which the tensors lay, from the outside: `["model"]` in some checkpoints, none in a plain `state_dict`.
    pub path: Vec<String>,
}

/// A tensor.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// The type of the elements.
    pub element: Element,
    /// The extents.
    pub shape: Vec<usize>,
    /// The elements, little-endian, in row-major order whatever their order in the file.
    pub bytes: Vec<u8>,
}

/// The type of a tensor's elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Element {
    F64,
    F32,
    F16,
    BF16,
    I64,
    I32,
    I16,
    I8,
    U8,
    Bool,
}

impl Element {
    /// PyTorch's name of the type.
    pub fn name(self) -> &'static str {
        match self {
            Self::F64 => "float64",
            Self::F32 => "float32",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I64 => "int64",
            Self::I32 => "int32",
            Self::I16 => "int16",
            Self::I8 => "int8",
            Self::U8 => "uint8",
            Self::Bool => "bool",
        }
    }

    /// The number of bytes of an element.
    pub fn bytes(self) -> usize {
        match self {
            Self::F64 | Self::I64 => 8,
            Self::F32 | Self::I32 => 4,
            Self::F16 | Self::BF16 | Self::I16 => 2,
            Self::I8 | Self::U8 | Self::Bool => 1,
        }
    }
}

/// A file that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PthError {
    /// The archive around the pickle is damaged, or is another one's.
    #[error("{}", plain(.0))]
    Archive(String),
    /// The pickle is damaged, or more than tensors.
    #[error("at byte {offset} of {part}: expected {expected}, got {}", plain(.got))]
    Pickle {
        /// Which pickle: `data.pkl`, or that of a legacy file.
        part: &'static str,
        /// The place in it of the instruction at fault.
        offset: usize,
        /// The rule.
        expected: &'static str,
        /// What is there.
        got: String,
    },
    /// A tensor that does not fit its elements.
    #[error("tensor {}: {}", plain(.name), plain(.fault))]
    Tensor {
        /// Its name.
        name: String,
        /// The expectation, and what is there.
        fault: String,
    },
    /// What was pickled holds no tensors by name.
    #[error("expected a state_dict, tensors by name, got {}", plain(.0))]
    NoTensors(String),
}

/// The text with control characters escaped: names come from the file.
fn plain(text: &str) -> String {
    let escape = |c: char| if c.is_control() { c.escape_debug().to_string() } else { c.into() };
    text.chars().map(escape).collect()
}

/// Reads the file with these contents.
///
/// # Errors
/// It is not a file of PyTorch's, or damaged; it pickles something else than tensors, numbers, texts and lists of those, which is
/// named; or it holds no tensors by name.
pub fn read(file: &[u8]) -> Result<Contents, PthError> {
    if file.starts_with(b"PK\x03\x04") { archive::read(file) } else { legacy::read(file) }
}
