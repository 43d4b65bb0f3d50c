//! The replay memory in files: blocks of moments, compressed, each written once.
//!
//! A checkpoint names the blocks that hold the memory. Frames never change once they are stored, so a later checkpoint writes
//! only the blocks that are new. Blocks that have left the memory are removed after the checkpoint that no longer names them.
//!
//! A block begins with 8 bytes `cnnplay1` and the checksum of its contents (CRC-32, 4 bytes, little-endian). The contents follow,
//! compressed by deflate: the frames, then the actions, the rewards (4 bytes each, little-endian), and the flags.

use super::{BESIDE, CUT, FIRST, OVER, Replay, Ring};
use crate::PlayError;
use cnn_nn::NnError;
use cnn_tensor::files::write_atomically;
use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use serde::{Deserialize, Serialize};
use std::collections::HashSet;
use std::io::{Read, Write};
use std::path::Path;

/// The moments of a full block.
const BLOCK: u64 = 256;

const MAGIC: &[u8; 8] = b"cnnplay1";

/// The files of a memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplayState {
    /// For each actor the number of its moments so far, and the blocks of those in memory, in order.
    rings: Vec<(u64, Vec<Block>)>,
}

/// The moments `start..end` of an actor, in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Block {
    start: u64,
    end: u64,
    /// The checksum of the uncompressed contents.
    crc32: u32,
}

impl Block {
    fn name(&self, actor: usize) -> String {
        format!("{actor}-{}-{}.frames", self.start, self.end)
    }
}

impl Replay {
    /// Writes the memory to `folder`, which exists. Blocks of `before`, the state of the checkpoint before, are not written again.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn save(&self, folder: &Path, before: &ReplayState) -> Result<ReplayState, PlayError> {
        let mut rings = Vec::with_capacity(self.rings.len());
        for (actor, ring) in self.rings.iter().enumerate() {
            let known = before.rings.get(actor).map_or(&[][..], |(_, blocks)| blocks);
            rings.push((ring.next, self.save_ring(folder, actor, ring, known)?));
        }
        Ok(ReplayState { rings })
    }

    fn save_ring(
        &self,
        folder: &Path,
        actor: usize,
        ring: &Ring,
        known: &[Block],
    ) -> Result<Vec<Block>, PlayError> {
        let (oldest, mut blocks, mut at) = (ring.oldest(), Vec::new(), ring.oldest());
        while at < ring.next {
            let end = ((at / BLOCK + 1) * BLOCK).min(ring.next);
            let covers = |block: &&Block| block.start <= at && block.end == end && block.end > oldest;
            let block = match known.iter().find(covers) {
                Some(block) => block.clone(),
                None => {
                    let contents = ring.contents(at, end, self.pixels);
                    let block = Block { start: at, end, crc32: crc32fast::hash(&contents) };
                    let bytes = compressed(&contents, block.crc32);
                    write_atomically(&folder.join(block.name(actor)), &bytes).map_err(NnError::from)?;
                    block
                }
            };
            blocks.push(block);
            at = end;
        }
        Ok(blocks)
    }

    /// Removes the files in `folder` that `state` does not name. A file that cannot be removed stays.
    pub fn remove_others(folder: &Path, state: &ReplayState) {
        let blocks = state.rings.iter().enumerate();
        let names: HashSet<String> = blocks
            .flat_map(|(actor, (_, blocks))| blocks.iter().map(move |block| block.name(actor)))
            .collect();
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".frames") && !names.contains(&*name) {
                let _ = std::fs::remove_file(entry.path());
            }
        }
    }

    /// Fills an empty memory from the files that [`Replay::save`] wrote. `actions` is the number of actions.
    ///
    /// # Errors
    /// A file is missing or damaged, or the state is not of a memory of this size.
    pub fn load(mut self, folder: &Path, state: &ReplayState, actions: usize) -> Result<Self, PlayError> {
        let misfit =
            |got: String| PlayError::setting("the saved replay memory", "one of the run's settings", got);
        if state.rings.len() != self.rings.len() {
            return Err(misfit(format!("one of {} games", state.rings.len())));
        }
        let pixels = self.pixels;
        for (actor, (ring, (next, blocks))) in self.rings.iter_mut().zip(&state.rings).enumerate() {
            let oldest = next.saturating_sub(ring.capacity as u64);
            // The first block may begin before the memory does.
            let mut at = blocks.first().map_or(oldest, |block| block.start.min(oldest));
            ring.next = oldest;
            if oldest > 0 {
                // It has been full, and the oldest moment may be anywhere.
                ring.frames.resize(ring.capacity * pixels, 0);
                ring.actions.resize(ring.capacity, 0);
                ring.rewards.resize(ring.capacity, 0.0);
                ring.flags.resize(ring.capacity, CUT);
            }
            for block in blocks {
                let sound = block.start == at && (1..=BLOCK).contains(&block.end.saturating_sub(block.start));
                if !sound || block.end > *next {
                    return Err(misfit(format!("frames {}..{} after {at}", block.start, block.end)));
                }
                let path = folder.join(block.name(actor));
                let contents = read(&path, block, pixels)?;
                ring.take(&contents, block, oldest, pixels, actions)
                    .ok_or_else(|| PlayError::file(&path, "expected moments of a game, got other numbers"))?;
                at = block.end;
            }
            if ring.next != *next || at != *next {
                return Err(misfit(format!("frames up to {at} of {next}")));
            }
        }
        Ok(self)
    }
}

impl Ring {
    /// The moments `start..end` as bytes.
    fn contents(&self, start: u64, end: u64, pixels: usize) -> Vec<u8> {
        let mut contents = Vec::with_capacity((end - start) as usize * (pixels + BESIDE));
        (start..end).for_each(|number| contents.extend_from_slice(self.frame(number, pixels)));
        contents.extend((start..end).map(|number| self.actions[self.slot(number)]));
        contents.extend((start..end).flat_map(|number| self.rewards[self.slot(number)].to_le_bytes()));
        contents.extend((start..end).map(|number| self.flag(number)));
        contents
    }

    /// Adds those moments of a block that are not older than the memory; `None` if one makes no sense.
    fn take(
        &mut self,
        contents: &[u8],
        block: &Block,
        oldest: u64,
        pixels: usize,
        actions: usize,
    ) -> Option<()> {
        let n = (block.end - block.start) as usize;
        let (frames, rest) = contents.split_at_checked(n * pixels)?;
        let (taken, rest) = rest.split_at_checked(n)?;
        let (rewards, flags) = rest.split_at_checked(4 * n)?;
        for (i, number) in (block.start..block.end).enumerate().filter(|(_, number)| *number >= oldest) {
            let reward = f32::from_le_bytes(rewards.as_chunks().0.get(i).copied()?);
            let (action, flag) = (taken[i], *flags.get(i)?);
            let sound = usize::from(action) < actions && reward.is_finite() && flag <= FIRST | OVER | CUT;
            if !sound || self.next != number {
                return None;
            }
            self.put(&frames[i * pixels..][..pixels], action, reward, flag);
        }
        Some(())
    }
}

fn compressed(contents: &[u8], crc32: u32) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend(crc32.to_le_bytes());
    let mut encoder = DeflateEncoder::new(bytes, Compression::fast());
    // Writing to memory cannot fail.
    encoder.write_all(contents).and_then(|()| encoder.finish()).unwrap_or_default()
}

/// The contents of the file of a block; no more memory is taken than the block needs, whatever the file says.
fn read(path: &Path, block: &Block, pixels: usize) -> Result<Vec<u8>, PlayError> {
    let io = |source| NnError::Io { path: path.into(), action: "read", source };
    let fault = |fault: &str| PlayError::file(path, fault);
    let bytes = std::fs::read(path).map_err(io)?;
    let rest = bytes.strip_prefix(MAGIC).and_then(|rest| rest.split_first_chunk());
    let (crc32, deflated) =
        rest.ok_or_else(|| fault("expected a block of replay memory, which begins with cnnplay1"))?;
    let size = (block.end - block.start) as usize * (pixels + BESIDE);
    let mut contents = Vec::new();
    let limited = DeflateDecoder::new(deflated).take(size as u64 + 1).read_to_end(&mut contents);
    if limited.is_err() || contents.len() != size {
        let got = format!(
            "expected {size} bytes, compressed, got {} and a fault: the file is damaged",
            contents.len()
        );
        return Err(fault(&got));
    }
    let seen = crc32fast::hash(&contents);
    if [u32::from_le_bytes(*crc32), block.crc32] != [seen; 2] {
        return Err(fault(
            "expected the contents that the checkpoint names, got others: the file is damaged",
        ));
    }
    Ok(contents)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::{Draw, End, Moment};

    const PIXELS: usize = 5;

    fn grow(replay: &mut Replay, from: u32, steps: u32) {
        for i in from..from + steps {
            for actor in 0..2 {
                let frame = [i as u8, (i >> 8) as u8, actor as u8, 7, (i * i) as u8];
                let end = if i % 50 == 49 { End::Over } else { End::Goes };
                let (first, action, reward) = (i % 50 == 0, (i % 3) as u8, i as f32 / 4.0);
                replay.push(actor, Moment { frame: &frame, first, action, reward, end });
            }
        }
    }

    fn files(folder: &Path) -> Vec<String> {
        let mut names: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn a_memory_comes_back_from_its_files_and_blocks_are_written_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut replay = Replay::of_frames(1400, 2, PIXELS).unwrap();
        let mut state = ReplayState::default();
        let mut at = 0;
        for steps in [100, 156, 3, 200, 0, 800, 77, 2000] {
            grow(&mut replay, at, steps);
            at += steps;
            let written =
                |name: &String| std::fs::metadata(folder.path().join(name)).unwrap().modified().unwrap();
            let before: Vec<_> =
                files(folder.path()).into_iter().map(|name| (written(&name), name)).collect();
            state = replay.save(folder.path(), &state).unwrap();
            Replay::remove_others(folder.path(), &state);
            let after = files(folder.path());
            for (time, name) in before {
                assert!(!after.contains(&name) || written(&name) == time, "{name} was written again");
            }
            assert!(after.len() <= 2 * (700 / BLOCK as usize + 2), "{after:?}");

            let empty = Replay::of_frames(1400, 2, PIXELS).unwrap();
            let again = empty.load(folder.path(), &state, 3).unwrap();
            assert_eq!(again.len(), replay.len());
            if at > 10 {
                let draw = Draw { count: 64, steps: 2, discount: 0.9 };
                assert_eq!(again.sample(draw, 1, 2).unwrap(), replay.sample(draw, 1, 2).unwrap());
            }
            for (a, b) in again.rings.iter().zip(&replay.rings) {
                assert_eq!((a.next, &a.frames, &a.flags), (b.next, &b.frames, &b.flags));
            }
        }
    }

    #[test]
    fn damaged_and_foreign_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut replay = Replay::of_frames(600, 2, PIXELS).unwrap();
        grow(&mut replay, 0, 290);
        let state = replay.save(folder.path(), &ReplayState::default()).unwrap();
        let load = |state: &ReplayState, actions: usize| {
            let empty = Replay::of_frames(600, 2, PIXELS).unwrap();
            empty.load(folder.path(), state, actions).map(drop).map_err(|fault| fault.to_string())
        };
        load(&state, 3).unwrap();
        assert!(load(&state, 2).unwrap_err().contains("expected moments of a game"));
        let mut short = state.clone();
        short.rings.pop();
        assert!(load(&short, 3).unwrap_err().ends_with("got one of 1 games"));
        let mut gap = state.clone();
        gap.rings[1].1.remove(0);
        assert!(load(&gap, 3).unwrap_err().contains("got frames 256..290 after 0"));
        for (next, end) in [(u64::MAX, 290), (290, u64::MAX), (289, 290)] {
            let mut wrong = state.clone();
            (wrong.rings[0].0, wrong.rings[0].1[1].end) = (next, end);
            assert!(load(&wrong, 3).is_err(), "{next} {end}");
        }
        let name = folder.path().join("0-256-290.frames");
        let sound = std::fs::read(&name).unwrap();
        for at in 0..sound.len() {
            let mut bytes = sound.clone();
            bytes[at] ^= 0x10;
            std::fs::write(&name, bytes).unwrap();
            // A flipped bit may leave the contents as they are.
            if let Err(message) = load(&state, 3) {
                assert!(message.starts_with(&name.display().to_string()), "{message}");
            }
        }
        std::fs::write(&name, &sound[..sound.len() / 2]).unwrap();
        assert!(load(&state, 3).unwrap_err().contains("bytes, compressed, got"));
        std::fs::remove_file(&name).unwrap();
        assert!(load(&state, 3).unwrap_err().contains("cannot read"));
    }
}
