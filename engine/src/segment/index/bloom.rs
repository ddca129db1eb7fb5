//! A Bloom filter over session ids: does a segment certainly not have a session?
//!
//! Ten bits an id, in buckets of 64 bytes; an id sets seven bits of one bucket, so that a question
//! touches one cache line, and one page when the file is cold. One id in seventy that is not there
//! is said to be.

/// The bytes of a bucket.
pub const BUCKET_LEN: usize = 64;
const BITS_PER_ID: usize = 10;
const PROBES: u32 = 7;

/// Fills a filter for these ids.
pub fn build<'a>(ids: impl ExactSizeIterator<Item = &'a str>) -> Vec<u8> {
    let buckets = (ids.len() * BITS_PER_ID).div_ceil(BUCKET_LEN * 8).max(1);
    let mut filter = vec![0; buckets * BUCKET_LEN];
    for id in ids {
        let (start, bits) = place(id, buckets);
        for (byte, mask) in bits {
            if let Some(byte) = filter.get_mut(start + byte) {
                *byte |= mask;
            }
        }
    }
    filter
}

/// May the id be among those that the filter was built for?
pub fn may_have(filter: &[u8], id: &str) -> bool {
    let buckets = filter.len() / BUCKET_LEN;
    let (start, mut bits) = place(id, buckets);
    bits.all(|(byte, mask)| filter.get(start + byte).is_none_or(|byte| byte & mask != 0))
}

/// Where an id's bucket starts, and its bits in it as byte and mask.
fn place(id: &str, buckets: usize) -> (usize, impl Iterator<Item = (usize, u8)>) {
    let hash = hash(id.as_bytes());
    // The upper half picks the bucket by multiplication; seven times nine bits of a second mix of
    // the hash pick bits in it.
    let bucket = ((hash >> 32) * buckets as u64) >> 32;
    let bits = mix(hash ^ 0x9e37_79b9_7f4a_7c15);
    let probes = (0..PROBES).map(move |i| {
        let bit = (bits >> (i * 9)) as usize & (BUCKET_LEN * 8 - 1);
        (bit / 8, 1 << (bit % 8))
    });
    (bucket as usize * BUCKET_LEN, probes)
}

/// FNV-1a, mixed: it is in files, so it must never change.
fn hash(bytes: &[u8]) -> u64 {
    mix(bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    }))
}

/// The finish of splitmix64.
fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_id_is_found_and_few_others_are() {
        let ids: Vec<String> = (0..20_000).map(|i| format!("session-{i}")).collect();
        let filter = build(ids.iter().map(String::as_str));
        assert!(ids.iter().all(|id| may_have(&filter, id)));
        assert_eq!(filter.len(), 25_024);
        let wrong = (0..20_000).filter(|i| may_have(&filter, &format!("other-{i}"))).count();
        assert!(wrong < 400, "{wrong} of 20000");
    }

    #[test]
    fn an_empty_or_damaged_filter_is_no_reason_to_stop() {
        assert!(may_have(&[], "x"));
        assert!(!may_have(&build(std::iter::empty()), "x"));
    }
}
