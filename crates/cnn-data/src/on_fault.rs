//! The choice between stopping at a faulty example and leaving it out.

use std::fmt::{self, Debug};
use std::sync::Arc;

/// Hears a line that names a faulty example.
type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// The treatment of an example that cannot be read or decoded.
#[derive(Clone, Default)]
pub enum OnFault {
    /// Stop with the fault.
    #[default]
    Fail,
    /// Leave the example out, and tell `report` the first time.
    Skip(Report),
}

impl OnFault {
    /// Leave faulty examples out, and tell `report` of each of them once, by name.
    pub fn skip(report: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self::Skip(Arc::new(report))
    }
}

impl Debug for OnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Fail) { "Fail" } else { "Skip" })
    }
}
