//! Batches made ahead by threads of their own.

use cnn_nn::{Batch, NnError};
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread::{self, JoinHandle};

/// Batches that wait with each worker, besides the one that it makes. This bounds the memory.
const WAITING: usize = 1;

/// A thread, and the batches that it made.
struct Worker<T> {
    batches: Receiver<Result<Batch<T>, NnError>>,
    thread: JoinHandle<()>,
}

/// The batches of a range that `make` makes, in order. Worker `w` of `n` makes batches `w`, `w + n`, `w + 2 n` and so on, so that
/// asking one worker after the other gives them in order.
///
/// Dropping the iterator ends the workers: each finishes its batch and finds the channel closed.
pub(crate) fn ahead<T: Send + 'static>(
    workers: usize,
    batches: Range<usize>,
    make: impl Fn(usize) -> Result<Batch<T>, NnError> + Send + Sync + 'static,
) -> impl Iterator<Item = Result<Batch<T>, NnError>> {
    let make = Arc::new(make);
    let count = workers.min(batches.len());
    let mut workers: Vec<Option<Worker<T>>> = (0..count)
        .map(|worker| {
            let (sender, receiver) = sync_channel(WAITING);
            let make = Arc::clone(&make);
            let own = (batches.start + worker..batches.end).step_by(count);
            let work = move || {
                for batch in own {
                    if sender.send(make(batch)).is_err() {
                        return;
                    }
                }
            };
            Some(Worker { batches: receiver, thread: thread::spawn(work) })
        })
        .collect();
    (0..batches.len()).map_while(move |i| {
        let slot = &mut workers[i % count];
        match slot.as_ref()?.batches.recv() {
            Ok(batch) => Some(batch),
            // The worker ended before its time: it panicked, and the thread that waits for it panics too.
            Err(_) => match slot.take()?.thread.join() {
                Err(panic) => std::panic::resume_unwind(panic),
                Ok(()) => None,
            },
        }
    })
}
