//! Examples that cannot be read.

use crate::{DataError, OnFault};
use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

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

    /// The result of `read` for an example; `None` for a fault to be passed over.
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
