//! How a product is added to the matrix that it is written to.

/// The numbers that a product is added to.
#[derive(Clone, Copy, Debug)]
pub enum Onto<'a> {
    /// The old numbers times this factor. With 0 they are not read.
    Scaled(f32),
    /// A number for each row, such as a bias. The old numbers are not read.
    Rows(&'a [f32]),
}

/// `alpha * a * b + onto`, for a tile of `a * b`.
#[derive(Clone, Copy)]
pub(super) struct Update<'a> {
    pub alpha: f32,
    pub onto: Onto<'a>,
}

impl Update<'_> {
    /// The update for further terms of the same sums: they are added to the numbers written so far.
    pub fn further(self) -> Self {
        Self { onto: Onto::Scaled(1.0), ..self }
    }
}
