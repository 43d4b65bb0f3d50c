//! Code that operations share.

pub(crate) mod axes;
pub(crate) mod bias;
pub(crate) mod check;
pub(crate) mod error;
pub(crate) mod exponential;
pub(crate) mod lanes;
pub(crate) mod normalize;
pub mod padding;
pub(crate) mod pairs;
pub(crate) mod pooling;
pub(crate) mod positions;
pub(crate) mod recurrent;
pub(crate) mod side_by_side;
pub(crate) mod sizes;
#[cfg(test)]
pub(crate) mod testing;
pub(crate) mod vectors;
pub(crate) mod work;
