//! The clocks of a profile. A graph reports when a node begins and ends, and a recorder, if there is one, stores the times.
//!
//! Without a recorder, a probe only reads a flag of the thread. A recorder belongs to a thread. Where the pieces of a batch run
//! on several threads, each piece has its own recorder, and they are added up afterwards.

use cnn_tensor::{MemoryUse, parallel};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

/// The kind of work that a layer does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pass {
    /// The forward pass, of training or evaluation.
    Forward,
    /// The backward pass.
    Backward,
    /// The backward pass without the input's gradient.
    BackwardFirst,
    /// A part of a step other than a layer.
    Rest,
}

// The path of a node never begins with a dot.

/// The name of the loss.
pub(crate) const LOSS: &str = ".loss";
/// The name of setting gradients to zero, and of adding up those of the pieces of a batch.
pub(crate) const GRADIENTS: &str = ".gradients";
/// The name of the optimizer's step.
pub(crate) const OPTIMIZER: &str = ".optimizer";
/// The name of handing pieces to threads, and waiting for the last.
pub(crate) const THREADS: &str = ".threads";

/// The cost of the passes of one part of a step.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Cost {
    pub seconds: f64,
    /// Bytes allocated for buffers on this thread, recycled or not.
    pub taken: u64,
}

impl Cost {
    fn add(&mut self, other: Self) {
        self.seconds += other.seconds;
        self.taken += other.taken;
    }
}

/// The measurements of a node of the network, by its path, or of another part of a step.
#[derive(Debug, Default)]
pub(crate) struct Node {
    pub name: String,
    pub forward: Cost,
    pub backward: Cost,
    pub rest: Cost,
    /// Whether the backward pass left out the input's gradient.
    pub first: bool,
}

/// A pass in progress.
#[derive(Debug)]
struct Open {
    node: usize,
    pass: Pass,
    since: Instant,
    taken: u64,
    /// The cost of the passes inside it.
    inside: Cost,
}

/// The recorded costs. The first node, which has no name, is the step itself, with everything that belongs to no other part.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub nodes: Vec<Node>,
    known: HashMap<String, usize>,
    open: Vec<Open>,
    /// The recorders of the pieces of a batch, kept so that their memory is reused.
    pieces: Vec<Recorder>,
}

impl Recorder {
    pub fn new() -> Self {
        let (nodes, known) = (vec![Node::default()], HashMap::from([(String::new(), 0)]));
        Self { nodes, known, open: Vec::new(), pieces: Vec::new() }
    }

    fn clear(&mut self) {
        self.open.clear();
        for node in &mut self.nodes {
            (node.forward, node.backward, node.rest) = Default::default();
        }
    }

    /// The index of the node of that name, which is added if it is new.
    fn node(&mut self, name: &str) -> usize {
        if let Some(&node) = self.known.get(name) {
            return node;
        }
        let node = self.nodes.len();
        self.nodes.push(Node { name: name.into(), ..Node::default() });
        self.known.insert(name.into(), node);
        node
    }

    /// Whether a pass may begin. A network inside a layer or a loss counts as part of that.
    fn is_between(&self) -> bool {
        self.open.last().is_none_or(|open| open.node == 0 || self.nodes[open.node].name == THREADS)
    }

    fn enter(&mut self, name: &str, pass: Pass) {
        let node = self.node(name);
        self.open_node(node, pass);
    }

    fn open_node(&mut self, node: usize, pass: Pass) {
        let taken = MemoryUse::of_this_thread().taken;
        self.open.push(Open { node, pass, since: Instant::now(), taken, inside: Cost::default() });
    }

    fn leave(&mut self) {
        let Some(Open { node, pass, since, taken, inside }) = self.open.pop() else { return };
        let taken = MemoryUse::of_this_thread().taken - taken;
        let whole = Cost { seconds: since.elapsed().as_secs_f64(), taken };
        if let Some(outer) = self.open.last_mut() {
            outer.inside.add(whole);
        }
        let node = &mut self.nodes[node];
        let own =
            Cost { seconds: whole.seconds - inside.seconds, taken: whole.taken.saturating_sub(inside.taken) };
        match pass {
            Pass::Forward => node.forward.add(own),
            Pass::Backward | Pass::BackwardFirst => node.backward.add(own),
            Pass::Rest => node.rest.add(own),
        }
        node.first |= pass == Pass::BackwardFirst;
    }

    /// Adds the costs of the pieces of a batch, divided by the number of threads, and subtracts the time from the open pass.
    fn add_pieces(&mut self, pieces: &[Recorder], threads: usize) {
        let mut total = Cost::default();
        for piece in pieces {
            for node in &piece.nodes {
                let here = self.node(&node.name);
                let shared = |cost: Cost| Cost { seconds: cost.seconds / threads as f64, ..cost };
                let [forward, backward, rest] = [node.forward, node.backward, node.rest].map(shared);
                let sum = &mut self.nodes[here];
                sum.forward.add(forward);
                sum.backward.add(backward);
                sum.rest.add(rest);
                sum.first |= node.first;
                [forward, backward, rest].into_iter().for_each(|cost| total.add(cost));
            }
        }
        if let Some(open) = self.open.last_mut() {
            open.inside.seconds += total.seconds;
            // Each thread counts the bytes that it allocates. The count is only complete if this thread did all the work.
            open.inside.taken += if threads == 1 { total.taken } else { 0 };
        }
    }
}

thread_local! {
    /// Whether the thread has a recorder.
    static RECORDING: Cell<bool> = const { Cell::new(false) };
    static RECORDER: RefCell<Option<Recorder>> = const { RefCell::new(None) };
}

fn with_recorder(f: impl FnOnce(&mut Recorder)) {
    RECORDER.with_borrow_mut(|recorder| {
        if let Some(recorder) = recorder {
            f(recorder);
        }
    });
}

/// Runs `f`, a pass of the part `name` of a step. Inside another pass it counts as part of that pass.
#[inline]
pub(crate) fn pass<R>(name: &str, pass: Pass, f: impl FnOnce() -> R) -> R {
    if !RECORDING.get() {
        return f();
    }
    let mut begun = false;
    with_recorder(|recorder| {
        begun = recorder.is_between();
        if begun {
            recorder.enter(name, pass);
        }
    });
    if !begun {
        return f();
    }
    let result = f();
    with_recorder(Recorder::leave);
    result
}

/// Runs `f` and replaces the contents of `recorder` by its costs.
pub(crate) fn record<R>(recorder: &mut Recorder, f: impl FnOnce() -> R) -> R {
    /// Restores the previous recorder, even if `f` panics.
    struct Restore<'a> {
        outer: Option<Recorder>,
        recorder: &'a mut Recorder,
    }
    impl Drop for Restore<'_> {
        fn drop(&mut self) {
            RECORDING.set(self.outer.is_some());
            let own = RECORDER.replace(self.outer.take());
            *self.recorder = own.unwrap_or_else(Recorder::new);
        }
    }
    let mut own = std::mem::replace(recorder, Recorder::new());
    own.clear();
    own.open_node(0, Pass::Rest);
    let outer = RECORDER.replace(Some(own));
    let _restore = Restore { outer, recorder };
    RECORDING.set(true);
    let result = f();
    with_recorder(Recorder::leave);
    result
}

/// The recorders of the pieces of a batch, if the batch has one.
pub(crate) struct Probes(Vec<Mutex<Recorder>>);

impl Probes {
    /// Runs piece `i` with its recorder.
    pub fn piece<R>(&self, i: usize, f: impl FnOnce() -> R) -> R {
        let Some(recorder) = self.0.get(i) else { return f() };
        record(&mut recorder.lock().unwrap_or_else(PoisonError::into_inner), f)
    }
}

/// Runs `f`, which hands `pieces` pieces to the threads and calls [`Probes::piece`] for each.
pub(crate) fn on_threads<R>(pieces: usize, f: impl FnOnce(&Probes) -> R) -> R {
    if !RECORDING.get() {
        return f(&Probes(Vec::new()));
    }
    let mut recorders = Vec::new();
    with_recorder(|recorder| {
        recorders = std::mem::take(&mut recorder.pieces);
        recorder.enter(THREADS, Pass::Rest);
    });
    recorders.resize_with(pieces, Recorder::new);
    let probes = Probes(recorders.into_iter().map(Mutex::new).collect());
    let result = f(&probes);
    let unlocked = |piece: Mutex<Recorder>| piece.into_inner().unwrap_or_else(PoisonError::into_inner);
    let recorders: Vec<Recorder> = probes.0.into_iter().map(unlocked).collect();
    with_recorder(|recorder| {
        recorder.add_pieces(&recorders, parallel::threads().min(pieces));
        recorder.leave();
        recorder.pieces = recorders;
    });
    result
}
