//! Blocks: what goes in comes out, and no byte can change unseen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use daybook_engine::block::{
    BLOCK_HEADER_LEN, BlockBuilder, BlockHeader, FILE_HEADER_LEN, FileHeader, FileKind, Payload,
    Record, Records, is_plain,
};
use daybook_engine::crypt::{Cipher, Keyring, NoKey};
use daybook_engine::event::{Kind, Micros, Offset, Seq, Verdict};
use proptest::prelude::*;

type Owned = (u64, u32, i64, Kind, Option<Verdict>, Vec<u8>);

fn records() -> impl Strategy<Value = Vec<Owned>> {
    let record = (
        any::<u64>(),
        any::<u32>(),
        any::<i64>(),
        prop::sample::select(Kind::ALL),
        prop::option::of(prop::sample::select(Verdict::ALL)),
        prop::collection::vec(any::<u8>(), 0..300),
    );
    prop::collection::vec(record, 1..40)
}

fn record((offset, seq, time, kind, verdict, json): &Owned) -> Record<'_> {
    Record {
        offset: Offset(*offset),
        previous: offset.checked_sub(1 + u64::from(*seq)).map(Offset),
        seq: Seq(*seq),
        time: Micros(*time),
        kind: *kind,
        verdict: *verdict,
        received: Micros(1_772_000_000_000_000),
        producer: "proxy-1",
        retry: None,
        json,
    }
}

fn keys() -> Keyring {
    Keyring::parse("7:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=").unwrap()
}

fn file(keys: &Keyring) -> (FileHeader, Cipher) {
    let path = std::path::Path::new("x.journal");
    let (header, cipher) = FileHeader::new(FileKind::Journal, Offset(0), path, Some(keys)).unwrap();
    assert_eq!(FileHeader::decode(&header.encode(), FileKind::Journal), Ok(header));
    assert!(header.cipher(Some(keys)).unwrap().is_some());
    (header, cipher.unwrap())
}

/// Puts right checksums into a block.
fn mend(block: &mut [u8], salt: u32) {
    let crc = |bytes: &[u8]| crc32fast::hash(&[&salt.to_le_bytes(), bytes].concat()).to_le_bytes();
    let payload = crc(&block[BLOCK_HEADER_LEN..]);
    block[48..52].copy_from_slice(&payload);
    let header = crc(&block[8..BLOCK_HEADER_LEN]);
    block[4..8].copy_from_slice(&header);
}

fn build(all: &[Owned], salt: u32, cipher: Option<&Cipher>) -> (BlockHeader, Vec<u8>) {
    let mut builder = BlockBuilder::default();
    all.iter().for_each(|one| builder.push(&record(one), is_plain(&one.5)));
    let mut out = Vec::new();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let (header, _) = builder.finish(9, salt, cipher, &mut compressor, &mut out).unwrap();
    (header, out)
}

proptest! {
    #[test]
    fn a_block_gives_back_its_records(all in records(), salt in any::<u32>()) {
        let (header, out) = build(&all, salt, None);
        let head: &[u8; BLOCK_HEADER_LEN] = out.first_chunk().unwrap();
        prop_assert_eq!(&BlockHeader::decode(head, salt).unwrap(), &header);
        let payload = header.open_payload(salt, &out[BLOCK_HEADER_LEN..], None).unwrap();
        let back: Vec<Record<'_>> = Records::new(&payload).map(Result::unwrap).collect();
        prop_assert_eq!(back, all.iter().map(record).collect::<Vec<_>>());
        let payload = Payload::from(payload);
        prop_assert_eq!(payload.starts().map(<[u32]>::len), Ok(all.len()));
        for (place, one) in all.iter().enumerate() {
            prop_assert_eq!(payload.record(place), Ok(record(one)));
        }
        prop_assert!(payload.record(all.len()).is_err());
        prop_assert_eq!(header.flags.plain, all.iter().all(|one| is_plain(&one.5)));
        prop_assert_eq!(header.min_time.0, all.iter().map(|one| one.2).min().unwrap());
        prop_assert_eq!(header.max_time.0, all.iter().map(|one| one.2).max().unwrap());
        // A file with another salt does not take it.
        prop_assert!(BlockHeader::decode(head, salt.wrapping_add(1)).is_err());
    }

    #[test]
    fn a_changed_byte_is_seen(all in records(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (_, mut out) = build(&all, 5, None);
        let at = at.index(out.len());
        out[at] ^= flip;
        let opened = BlockHeader::decode(out.first_chunk().unwrap(), 5)
            .and_then(|header| header.open_payload(5, &out[BLOCK_HEADER_LEN..], None));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn an_encrypted_block_opens_with_its_key_and_as_it_was(
        all in records(),
        at in any::<prop::sample::Index>(),
        flip in 1u8..,
    ) {
        let (header, cipher) = file(&keys());
        let (block, out) = build(&all, header.salt, Some(&cipher));
        let stored = &out[BLOCK_HEADER_LEN..];
        let payload = block.open_payload(header.salt, stored, Some(&cipher)).unwrap();
        let back: Vec<Record<'_>> = Records::new(&payload).map(Result::unwrap).collect();
        prop_assert_eq!(back, all.iter().map(record).collect::<Vec<_>>());
        prop_assert!(all.iter().all(|one| one.5.len() < 8 || memchr::memmem::find(&out, &one.5).is_none()));
        // Without the key it can be seen to be whole, and no more.
        prop_assert_eq!(block.check_payload(header.salt, stored), Ok(()));
        prop_assert!(block.open_payload(header.salt, stored, None).is_err());
        // Another file's key does not open it, although the key of the key file is the same.
        let (other, other_cipher) = file(&keys());
        prop_assert_ne!(other.id, header.id);
        prop_assert!(block.open_payload(header.salt, stored, Some(&other_cipher)).is_err());
        // Whoever changes a byte and mends the checksums after it is found out by the key.
        let mut bad = out.clone();
        let at = at.index(bad.len());
        bad[at] ^= flip;
        mend(&mut bad, header.salt);
        let opened = BlockHeader::decode(bad.first_chunk().unwrap(), header.salt).and_then(|block| {
            block.open_payload(header.salt, &bad[BLOCK_HEADER_LEN..], Some(&cipher))
        });
        let checksums = [4..8, 48..52].iter().any(|mended| mended.contains(&at));
        prop_assert_eq!(opened.is_ok(), checksums);
    }

    #[test]
    fn any_bytes_are_records_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for record in Records::new(&bytes) {
            if record.is_err() { break; }
        }
        // What can be walked through can be found by its place, and the other way round.
        let walked: Result<Vec<Record<'_>>, _> = Records::new(&bytes).collect();
        let payload = Payload::from(bytes.clone());
        if let Ok(walked) = walked {
            let found: Result<Vec<Record<'_>>, _> = (0..walked.len()).map(|at| payload.record(at)).collect();
            prop_assert_eq!(found, Ok(walked));
        }
        if let Some(head) = bytes.first_chunk::<FILE_HEADER_LEN>() {
            prop_assert!(FileHeader::decode(head, FileKind::Journal).is_err());
        }
    }

    /// A plain line shows every printable ASCII character as itself.
    #[test]
    fn a_plain_line_hides_nothing(text in "[ -~]{0,40}", escaped in any::<bool>()) {
        let hidden: String = if escaped {
            text.chars().map(|c| format!("\\u{:04x}", c as u32)).collect()
        } else {
            serde_json::to_string(&text).unwrap().trim_matches('"').to_owned()
        };
        let line = format!("{{\"text\":\"{hidden}\"}}");
        let safe = text.chars().all(|c| c != '"' && c != '\\');
        if is_plain(line.as_bytes()) && safe {
            prop_assert!(line.contains(&text));
        }
    }
}

#[test]
fn a_file_header_is_checked_whole() {
    let header = FileHeader {
        kind: FileKind::Segment,
        salt: 3,
        base: Offset(77),
        created: Micros(5),
        id: [7; 16],
        key: 9,
        check: [4; 8],
    };
    let bytes = header.encode();
    assert_eq!(FileHeader::decode(&bytes, FileKind::Segment), Ok(header));
    assert!(FileHeader::decode(&bytes, FileKind::Journal).is_err());
    for at in 0..bytes.len() {
        let mut bad = bytes;
        bad[at] ^= 1;
        assert!(FileHeader::decode(&bad, FileKind::Segment).is_err(), "byte {at}");
    }
}

#[test]
fn a_file_header_tells_its_key_from_another() {
    let (header, _) = file(&keys());
    let missing = Keyring::parse("8:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=").unwrap();
    let another = Keyring::parse("7:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    assert_eq!(header.cipher(None).unwrap_err(), NoKey::NoKeys(7));
    assert_eq!(header.cipher(Some(&missing)).unwrap_err(), NoKey::Missing(7));
    assert_eq!(header.cipher(Some(&another)).unwrap_err(), NoKey::Another(7));
    // What the header says is bound to the key: another time of its making is another key.
    let moved = FileHeader { created: Micros(header.created.0 - 1), ..header };
    assert_eq!(moved.cipher(Some(&keys())).unwrap_err(), NoKey::Another(7));
}
