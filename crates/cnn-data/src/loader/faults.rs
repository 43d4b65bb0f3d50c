//! Examples that cannot be read.

use crate::DataError;
use std::collections::BTreeMap;
use std::fmt::{self, Debug};
use std::sync::{Arc, Mutex, PoisonError};

/// Hears of a faulty example: a line that names it.
type Report = Arc<dyn Fn(&str) + Send + Sync>;

/// What a loader does about an example that cannot be read or decoded.
#[derive(Clone, Default)]
pub enum OnFault {
    /// It stops with the fault.
    #[default]
    Fail,
    /// It leaves the example out of its batch, and tells `report` the first time.
    Skip(Report),
}

impl OnFault {
    /// Leaves faulty examples out; `report` hears of each of them once, by name.
    pub fn skip(report: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self::Skip(Arc::new(report))
    }
}

impl Debug for OnFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if matches!(self, Self::Fail) { "Fail" } else { "Skip" })
    }
}

/// The faults that one loader, with all its workers, has met.
#[derive(Debug, Default)]
pub(super) struct Faults {
    on_fault: OnFault,
    met: Mutex<BTreeMap<usize, String>>,
}

impl Faults {
    pub(super) fn new(on_fault: OnFault) -> Self {
        Self { on_fault, met: Mutex::default() }
    }

    /// What `read` gives for an example; `None` if that is a fault to be passed over.
    pub(super) fn pass<T>(
        &self,
        example: usize,
        read: impl FnOnce() -> Result<T, DataError>,
    ) -> Result<Option<T>, DataError> {
        let fault = match (read(), &self.on_fault) {
            (Ok(value), _) => return Ok(Some(value)),
            (Err(fault), OnFault::Fail) => return Err(fault),
            (Err(fault), OnFault::Skip(report)) => (fault.to_string(), report),
        };
        let (line, report) = fault;
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        if met.insert(example, line.clone()).is_none() {
            drop(met);
            report(&line);
        }
        Ok(None)
    }

    pub(super) fn lines(&self) -> Vec<String> {
        self.met.lock().unwrap_or_else(PoisonError::into_inner).values().cloned().collect()
    }
}
