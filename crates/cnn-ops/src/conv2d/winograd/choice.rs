//! Where this algorithm is possible, and where it is the faster one.

use super::tiles::{PIECES, Tiles};
use super::{ELEMENTS, IMAGES};
use crate::OpError;
use crate::conv2d::Extents;
use std::sync::OnceLock;

/// The environment variable that turns the algorithm off.
const VARIABLE: &str = "CNN_WINOGRAD";

/// Checks the environment variable `CNN_WINOGRAD`, which is read once by a process: `on`, `off`, or not set, which is `on`.
/// A program that calls this at its start reports a wrong word before any work; without it the first convolution does.
///
/// ```
/// cnn_ops::conv2d::check_environment()?;
/// # Ok::<(), cnn_ops::OpError>(())
/// ```
///
/// # Errors
/// It is another word.
pub fn check_environment() -> Result<(), OpError> {
    setting().as_ref().map(|_| ()).map_err(Clone::clone)
}

/// Whether the environment lets the algorithm be used.
fn setting() -> &'static Result<bool, OpError> {
    static SETTING: OnceLock<Result<bool, OpError>> = OnceLock::new();
    SETTING.get_or_init(|| parse(&std::env::var_os(VARIABLE).unwrap_or_default().to_string_lossy()))
}

/// The setting that a word stands for.
fn parse(word: &str) -> Result<bool, OpError> {
    match word {
        "" | "on" => Ok(true),
        "off" => Ok(false),
        _ => {
            let got = format!("{word:?}");
            Err(OpError::Option {
                op: "conv2d",
                option: VARIABLE,
                rule: "`on` or `off` in the environment",
                got,
            })
        }
    }
}

/// Whether this algorithm is the faster one, and wanted.
pub(in crate::conv2d) fn suits(e: &Extents) -> bool {
    /// Below it, transforms cost more than they save.
    const FEWEST_CHANNELS: usize = 32;
    /// Of one image: below it, transforming the weight costs more.
    const FEWEST_TILES: usize = 16;
    if *setting() != Ok(true) || !is_possible(e) || e.c_in.min(e.c_out) < FEWEST_CHANNELS {
        return false;
    }
    saves_a_third(e, e.taps()) && (e.n >= PIECES || Tiles::new(e).per_image() >= FEWEST_TILES)
}

/// Whether a third of the multiplications of a sum over `taps` is saved. Tiles that reach beyond the plane are computed in
/// vain.
pub(in crate::conv2d) fn saves_a_third(e: &Extents, taps: usize) -> bool {
    let tiles = 3 * ELEMENTS * Tiles::new(e).per_image();
    taps.saturating_mul(2 * e.y_plane()) >= tiles.saturating_mul(e.c_in)
}

/// Whether this algorithm can compute both the output and the gradient of the input.
pub(in crate::conv2d) fn is_possible(e: &Extents) -> bool {
    let o = e.options;
    let whole_lanes = e.c_in.is_multiple_of(IMAGES) && e.c_out.is_multiple_of(IMAGES);
    let plain = o.stride == [1, 1] && o.dilation == [1, 1] && o.groups == 1;
    let padded = e.padding.as_flattened().iter().all(|&side| side < o.kernel[0]);
    matches!(o.kernel, [3, 3] | [5, 5]) && plain && whole_lanes && padded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_environment_says_on_or_off() {
        assert_eq!([parse("on"), parse("off"), parse("")], [Ok(true), Ok(false), Ok(true)]);
        for word in ["Off", "0", "no"] {
            let want = format!("conv2d: CNN_WINOGRAD must be `on` or `off` in the environment, got {word:?}");
            assert_eq!(parse(word).unwrap_err().to_string(), want);
        }
    }
}
