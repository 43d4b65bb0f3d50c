//! The scans of a JPEG, copied for the fast decoder.

use super::{END_OF_IMAGE, START_OF_SCAN};

/// Ones, which start no Huffman code (T.81, C.2), as compressed bytes: more than the 47 bits that a decoder can take from them
/// before it must look for another code, and than the 32 that it reads ahead.
///
/// Behind the last bits of a scan or of a restart interval they make a decoder fail that would otherwise go on with zeros
/// and paint the missing pixels. Where all pixels are there, the guard is not read.
const GUARD: &[u8] = b"\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0\xff\0";

/// Counts of the scans that were copied.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Scans {
    pub(super) count: usize,
    /// Whether the end of the image was there.
    pub(super) ended: bool,
}

/// Copies `bytes`, which start with the header of the first scan, up to the end of the image and no further. A guard goes
/// behind the bits of each scan and each restart interval, but for those of the first scans, as many as `unguarded`.
pub(super) fn copy(bytes: &[u8], unguarded: usize, copy: &mut Vec<u8>) -> Scans {
    let mut scans = Scans { count: 0, ended: false };
    let mut copied = 0;
    let mut at = 0;
    // Whether compressed bytes come before the next marker.
    let mut compressed = false;
    while let Some(start) = find_ff(bytes, at) {
        let fill = bytes[start..].iter().take_while(|&&byte| byte == 0xff).count();
        let Some(&marker) = bytes.get(start + fill) else { break };
        at = start + fill + 1;
        // A byte FF of the compressed ones, or a marker without meaning here.
        if matches!(marker, 0 | 1 | 0xd8) {
            continue;
        }
        if compressed && scans.count > unguarded {
            copy.extend(&bytes[copied..start]);
            copy.extend(GUARD);
            copied = start;
        }
        match marker {
            0xd0..=0xd7 => continue,
            END_OF_IMAGE => {
                scans.ended = true;
                break;
            }
            START_OF_SCAN => scans.count += 1,
            _ => {}
        }
        compressed = marker == START_OF_SCAN;
        let Some(length) = bytes.get(at..).and_then(|rest| rest.first_chunk()) else { break };
        at += usize::from(u16::from_be_bytes(*length)).max(2);
    }
    copy.extend(&bytes[copied..at.min(bytes.len())]);
    scans
}

/// The place of the next byte FF. Eight bytes at a time: this goes over every compressed byte.
fn find_ff(bytes: &[u8], from: usize) -> Option<usize> {
    const ONES: u64 = u64::from_le_bytes([1; 8]);
    let rest = bytes.get(from..)?;
    let (words, tail) = rest.as_chunks::<8>();
    for (i, &word) in words.iter().enumerate() {
        // The highest bit of each byte that is 0 in the complement; of later ones, too, perhaps.
        let inverse = !u64::from_le_bytes(word);
        let zeros = inverse.wrapping_sub(ONES) & !inverse & (ONES << 7);
        if zeros != 0 {
            return Some(from + 8 * i + zeros.trailing_zeros() as usize / 8);
        }
    }
    let at = tail.iter().position(|&byte| byte == 0xff)?;
    Some(bytes.len() - tail.len() + at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn copied(bytes: &[u8], unguarded: usize) -> (Vec<u8>, Scans) {
        let mut into = Vec::new();
        let scans = copy(bytes, unguarded, &mut into);
        (into, scans)
    }

    #[test]
    fn guards_stand_behind_compressed_bytes_and_nowhere_else() {
        let scan = |data: &[u8]| [b"\xff\xda\0\x03\x09", data].concat();
        let table = b"\xff\xc4\0\x05\xff\xd9\x01";
        let (first, second) = (scan(b"ab\xff\0c"), scan(&[7; 40]));
        let bytes =
            [&first[..], b"\xff\xff\xd3", b"de", table, &second, b"\xff\xd9", b"more\xff\xda"].concat();
        let (plain, scans) = copied(&bytes, 2);
        assert_eq!(plain, bytes[..bytes.len() - 6]);
        assert_eq!((scans.count, scans.ended), (2, true));
        let want =
            [&first[..], GUARD, b"\xff\xff\xd3", b"de", GUARD, table, &second, GUARD, b"\xff\xd9"].concat();
        assert_eq!(copied(&bytes, 0), (want, scans));
        let want = [&first[..], b"\xff\xff\xd3", b"de", table, &second, GUARD, b"\xff\xd9"].concat();
        assert_eq!(copied(&bytes, 1).0, want);
        for cut in 0..bytes.len() - 6 {
            assert!(!copied(&bytes[..cut], 0).1.ended, "{cut}");
        }
    }

    #[test]
    fn every_ff_is_found() {
        for length in 0..70 {
            for at in 0..length {
                let mut bytes = vec![0xfe; length];
                bytes[at] = 0xff;
                assert_eq!((find_ff(&bytes, 0), find_ff(&bytes, at)), (Some(at), Some(at)));
                assert_eq!(find_ff(&bytes, at + 1), None);
            }
        }
    }
}
