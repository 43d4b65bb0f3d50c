//! The last frames of a game, as a network sees them.

/// The frames that a network sees at a time.
pub const STACK: usize = 4;

/// The last [`STACK`] frames, the oldest first. At the start of a game all of them are the first one.
#[derive(Clone, Debug, PartialEq)]
pub struct Stack {
    frames: Vec<u8>,
}

impl Stack {
    /// The stack at the start of a game.
    pub fn new(first: &[u8]) -> Self {
        Self { frames: first.repeat(STACK) }
    }

    /// A stack of frames that lie one after the other.
    pub(crate) fn of(frames: Vec<u8>) -> Self {
        Self { frames }
    }

    /// Begins a new game.
    pub fn reset(&mut self, first: &[u8]) {
        for frame in self.frames.chunks_mut(first.len().max(1)) {
            frame.copy_from_slice(first);
        }
    }

    /// Adds the newest frame and drops the oldest.
    pub fn push(&mut self, frame: &[u8]) {
        self.frames.copy_within(frame.len().., 0);
        let newest = self.frames.len() - frame.len();
        self.frames[newest..].copy_from_slice(frame);
    }

    /// All frames, the oldest first.
    pub fn frames(&self) -> &[u8] {
        &self.frames
    }

    /// The newest frame.
    pub fn newest(&self) -> &[u8] {
        &self.frames[self.frames.len() / STACK * (STACK - 1)..]
    }

    /// Writes the stack as a network's input: numbers from 0 to 1.
    pub fn write(&self, out: &mut [f32]) {
        to_unit(&self.frames, out);
    }
}

/// Gray values as numbers from 0 to 1.
pub(crate) fn to_unit(pixels: &[u8], out: &mut [f32]) {
    out.iter_mut().zip(pixels).for_each(|(out, &pixel)| *out = f32::from(pixel) * (1.0 / 255.0));
}
