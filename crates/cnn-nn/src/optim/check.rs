//! Checks of options.

use crate::NnError;

/// An error unless `holds`: `what` breaks `rule`.
pub(super) fn require(
    holds: bool,
    what: &'static str,
    rule: &'static str,
    value: f64,
) -> Result<(), NnError> {
    if holds { Ok(()) } else { Err(NnError::Setting { what, rule, got: value.to_string() }) }
}

pub(super) fn fraction(what: &'static str, value: f64) -> Result<(), NnError> {
    require((0.0..1.0).contains(&value), what, "from 0 to below 1", value)
}

pub(super) fn not_negative(what: &'static str, value: f64) -> Result<(), NnError> {
    // As a float, too, since steps compute in floats.
    require(value >= 0.0 && (value as f32).is_finite(), what, "finite and at least 0", value)
}

/// Checks a number that is added to a denominator.
pub(super) fn divisor(what: &'static str, value: f64) -> Result<(), NnError> {
    require(value as f32 > 0.0 && (value as f32).is_finite(), what, "a float above 0", value)
}
