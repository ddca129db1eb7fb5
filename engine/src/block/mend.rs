//! Putting right one byte by a CRC-32.
//!
//! A checksum that does not match still says something: if only one byte is wrong, the difference of the
//! two checksums names its place and its value. It is followed backwards through the bytes, one step
//! a byte, so that this takes no longer than the checksum itself. Among a few thousand bytes the answer
//! is as good as certain; nothing is written because of it alone.

/// CRC-32 (IEEE, reflected), one byte at a time.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut at = 0;
    while at < 256 {
        let mut crc = at as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 };
            bit += 1;
        }
        table[at] = crc;
        at += 1;
    }
    table
};

/// For the highest byte of an entry of the table, which entry that is: each has its own.
const BY_HIGHEST: [u8; 256] = {
    let mut by_highest = [0; 256];
    let mut at = 0;
    while at < 256 {
        by_highest[(TABLE[at] >> 24) as usize] = at as u8;
        at += 1;
    }
    by_highest
};

fn entry(at: u8) -> u32 {
    TABLE.get(usize::from(at)).copied().unwrap_or_default()
}

fn by_highest(value: u32) -> u8 {
    BY_HIGHEST.get((value >> 24) as usize).copied().unwrap_or_default()
}

/// Which byte is wrong, if one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// This one of the bytes, which has to be combined (xor) with the value.
    Byte(usize, u8),
    /// One of the checksum's own; the bytes are right.
    Checksum,
}

/// Which byte is wrong where the CRC-32 of `bytes` is not `stored`; `None` if more than one is.
#[must_use]
pub fn wrong_byte(bytes: &[u8], stored: u32) -> Option<Wrong> {
    let mut difference = crc32fast::hash(bytes) ^ stored;
    if difference.to_le_bytes().iter().filter(|byte| **byte != 0).count() == 1 {
        return Some(Wrong::Checksum);
    }
    for at in (0..bytes.len()).rev() {
        // The difference that a wrong byte makes right after itself is an entry of the table.
        let value = by_highest(difference);
        if entry(value) == difference {
            return Some(Wrong::Byte(at, value));
        }
        difference = ((difference ^ entry(value)) << 8) | u32::from(value);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_wrong_byte_is_found_and_two_are_not_taken_for_one() {
        let right: Vec<u8> = (0..200u32).map(|n| (n * 7 % 251) as u8).collect();
        let stored = crc32fast::hash(&right);
        for at in 0..right.len() {
            for value in [1, 0x80, 0xff] {
                let mut bytes = right.clone();
                bytes[at] ^= value;
                assert_eq!(wrong_byte(&bytes, stored), Some(Wrong::Byte(at, value)));
                bytes[(at + 50) % 200] ^= 0x21;
                assert_eq!(wrong_byte(&bytes, stored), None);
            }
        }
        assert_eq!(wrong_byte(&right, stored ^ 0x4000), Some(Wrong::Checksum));
    }
}
