//! One line for an error, as the program `cnn` prints it.

use std::error::Error;
use std::fmt;

/// An error that ends an example. When `main` returns it, Rust prints `Error: ` and the line.
pub struct Failure(Box<dyn Error>);

impl<E: Into<Box<dyn Error>>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

/// Rust prints the error of `main` by `Debug`: here, the message for people.
impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
