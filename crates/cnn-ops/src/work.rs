//! How work is cut for the threads: by the shape of the problem, never by their number.

/// Elements that make a piece of work worth handing to a thread, by measurement.
///
/// In this crate's own tests a few dozen are enough, so that property tests, whose shapes are tiny, cut their work
/// like large shapes do.
pub(crate) const fn worth_a_thread(elements: usize) -> usize {
    if cfg!(test) { 32 } else { elements }
}
