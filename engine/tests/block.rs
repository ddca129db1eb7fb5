//! Blocks: what goes in comes out, and no byte can change unseen.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, reason = "tests")]

use daybook_engine::block::{
    BLOCK_HEADER_LEN, BlockBuilder, BlockHeader, FILE_HEADER_LEN, FileHeader, FileKind, Record,
    Records, is_plain,
};
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
        json,
    }
}

fn build(all: &[Owned], salt: u32) -> (BlockHeader, Vec<u8>) {
    let mut builder = BlockBuilder::default();
    all.iter().for_each(|one| builder.push(&record(one), is_plain(&one.5)));
    let mut out = Vec::new();
    let mut compressor = zstd::bulk::Compressor::new(1).unwrap();
    let (header, _) = builder.finish(9, salt, None, &mut compressor, &mut out).unwrap();
    (header, out)
}

proptest! {
    #[test]
    fn a_block_gives_back_its_records(all in records(), salt in any::<u32>()) {
        let (header, out) = build(&all, salt);
        let head: &[u8; BLOCK_HEADER_LEN] = out.first_chunk().unwrap();
        prop_assert_eq!(&BlockHeader::decode(head, salt).unwrap(), &header);
        let payload = header.open_payload(salt, &out[BLOCK_HEADER_LEN..], None).unwrap();
        let back: Vec<Record<'_>> = Records::new(&payload).map(Result::unwrap).collect();
        prop_assert_eq!(back, all.iter().map(record).collect::<Vec<_>>());
        prop_assert_eq!(header.flags.plain, all.iter().all(|one| is_plain(&one.5)));
        prop_assert_eq!(header.min_time.0, all.iter().map(|one| one.2).min().unwrap());
        prop_assert_eq!(header.max_time.0, all.iter().map(|one| one.2).max().unwrap());
        // A file with another salt does not take it.
        prop_assert!(BlockHeader::decode(head, salt.wrapping_add(1)).is_err());
    }

    #[test]
    fn a_changed_byte_is_seen(all in records(), at in any::<prop::sample::Index>(), flip in 1u8..) {
        let (_, mut out) = build(&all, 5);
        let at = at.index(out.len());
        out[at] ^= flip;
        let opened = BlockHeader::decode(out.first_chunk().unwrap(), 5)
            .and_then(|header| header.open_payload(5, &out[BLOCK_HEADER_LEN..], None));
        prop_assert!(opened.is_err());
    }

    #[test]
    fn any_bytes_are_records_or_a_reason(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        for record in Records::new(&bytes) {
            if record.is_err() { break; }
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
