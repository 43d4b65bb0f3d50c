//! Values that are known when a network is imported: weights, and the arithmetic on shapes.

use crate::elements::{self, Numbers};
use crate::external::Folder;
use crate::proto;
use cnn_tensor::text::one_line;
use cnn_tensor::{Shape, Tensor};
use std::rc::Rc;

/// A whole number that may depend on the number of images: `batches * N + rest`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Int {
    pub batches: i64,
    pub rest: i64,
}

impl Int {
    /// The number of images.
    pub const BATCH: Self = Self { batches: 1, rest: 0 };

    /// The number, if it does not depend on the number of images.
    pub fn known(self) -> Option<i64> {
        (self.batches == 0).then_some(self.rest)
    }
}

impl From<i64> for Int {
    fn from(rest: i64) -> Self {
        Self { batches: 0, rest }
    }
}

/// An array in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array<T> {
    pub dims: Vec<usize>,
    pub values: Vec<T>,
}

/// A value that is known.
#[derive(Clone, Debug, PartialEq)]
pub enum Constant {
    Floats(Rc<Array<f32>>),
    /// Whole numbers of any width, and booleans as 0 and 1.
    Ints(Rc<Array<Int>>),
}

impl Constant {
    pub fn floats(dims: Vec<usize>, values: Vec<f32>) -> Self {
        Self::Floats(Rc::new(Array { dims, values }))
    }

    pub fn ints(dims: Vec<usize>, values: Vec<Int>) -> Self {
        Self::Ints(Rc::new(Array { dims, values }))
    }

    /// A tensor of the file.
    pub fn read(tensor: &proto::Tensor, folder: &Folder) -> Result<Self, String> {
        let named = |fault| format!("tensor {}: {fault}", one_line(&tensor.name));
        let (dims, numbers) = elements::read(tensor, folder).map_err(named)?;
        Ok(match numbers {
            Numbers::Floats(values) => Self::floats(dims, values),
            Numbers::Ints(values) => Self::ints(dims, values.into_iter().map(Int::from).collect()),
        })
    }

    pub fn dims(&self) -> &[usize] {
        match self {
            Self::Floats(array) => &array.dims,
            Self::Ints(array) => &array.dims,
        }
    }

    pub fn numel(&self) -> usize {
        self.dims().iter().product()
    }

    /// The numbers as floats.
    pub fn to_floats(&self) -> Result<Rc<Array<f32>>, String> {
        match self {
            Self::Floats(array) => Ok(array.clone()),
            Self::Ints(array) => {
                let value = |int: &Int| exact(int.known().ok_or_else(of_the_batch)?);
                let values = array.values.iter().map(value).collect::<Result<_, _>>()?;
                Ok(Rc::new(Array { dims: array.dims.clone(), values }))
            }
        }
    }

    /// The numbers as a tensor of this shape, which has as many.
    pub fn tensor(&self, shape: &[usize]) -> Result<Tensor, String> {
        let shape = Shape::new(shape).map_err(|e| e.to_string())?;
        Tensor::from_vec(shape, self.to_floats()?.values.clone()).map_err(|e| e.to_string())
    }

    /// The whole numbers, some of which may depend on the number of images.
    pub fn as_ints(&self) -> Result<&Array<Int>, String> {
        match self {
            Self::Ints(array) => Ok(array),
            Self::Floats(_) => Err("expected whole numbers, got floats".into()),
        }
    }

    /// The whole numbers.
    pub fn known_ints(&self) -> Result<Vec<i64>, String> {
        self.as_ints()?.values.iter().map(|int| int.known().ok_or_else(of_the_batch)).collect()
    }

    /// The only number.
    pub fn float(&self) -> Result<f32, String> {
        match self.to_floats()?.values[..] {
            [value] => Ok(value),
            ref values => Err(format!("expected one number, got {}", values.len())),
        }
    }

    /// The only whole number.
    pub fn int(&self) -> Result<i64, String> {
        match self.known_ints()?[..] {
            [value] => Ok(value),
            ref values => Err(format!("expected one number, got {}", values.len())),
        }
    }
}

/// A whole number as a float, if a float can hold it.
fn exact(int: i64) -> Result<f32, String> {
    let float = int as f32;
    match float as i128 == i128::from(int) {
        true => Ok(float),
        false => Err(format!("expected whole numbers that a float can hold, got {int}")),
    }
}

pub fn of_the_batch() -> String {
    "expected a number that does not depend on the number of images".into()
}
