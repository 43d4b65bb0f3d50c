//! How work is cut for the threads: by the shape of the problem, never by their number.

/// Elements that make a piece of work worth handing to a thread, by measurement.
///
/// In this crate's own tests a few dozen are enough, so that property tests, whose shapes are tiny, cut their work
/// like large shapes do.
pub(crate) const fn worth_a_thread(elements: usize) -> usize {
    if cfg!(test) { 32 } else { elements }
}

/// Elements that memory for a step in between may have, where the whole step would need more in proportion to input and
/// output than is reasonable; the step is then done piece by piece.
///
/// In this crate's own tests a few dozen, for the same reason.
pub(crate) const fn at_a_time(elements: usize) -> usize {
    if cfg!(test) { 64 } else { elements }
}
