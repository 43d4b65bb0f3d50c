//! How a product is added to the matrix that it is written to.

/// What a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Onto<'a> {
    /// The old numbers, times a factor; with 0 they are not read.
    Scaled(f32),
    /// A number for each row.
    Rows(&'a [f32]),
}

/// What becomes of a tile of `a * b`: it is scaled and added.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    pub alpha: f32,
    pub onto: Onto<'a>,
}

impl Update<'_> {
    /// The same for further terms of the same sums.
    pub fn further(self) -> Self {
        Self { onto: Onto::Scaled(1.0), ..self }
    }
}
