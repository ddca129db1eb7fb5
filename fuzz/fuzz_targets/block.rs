//! A block of any bytes: refused or read, never a panic, and what is read encodes to itself.
#![no_main]

use daybook_engine::block::{
    BLOCK_HEADER_LEN, BlockBuilder, BlockHeader, Flags, Payload, Record, Records,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // As it is: the checksums refuse nearly everything.
    if let Some((head, rest)) = input.split_first_chunk::<BLOCK_HEADER_LEN>()
        && let Ok(header) = BlockHeader::decode(head, 7)
    {
        assert_eq!(&header.encode(7), head);
        let _ = header.open_payload(7, rest, None);
    }
    // Behind the checksums: the records of a payload.
    let _ = Payload::from(input.to_vec()).record(1);
    let mut builder = BlockBuilder::default();
    let mut sound = Vec::new();
    for record in Records::new(input) {
        let Ok(record) = record else { break };
        builder.push(&record, true);
        record.encode(&mut sound);
    }
    assert!(input.starts_with(&sound));
    if builder.is_empty() {
        return;
    }
    let mut out = Vec::new();
    let mut compressor = zstd(1);
    let (header, raw) =
        builder.finish(3, 7, None, &mut compressor, &mut out).expect("within the bound");
    assert_eq!(raw, sound);
    assert_eq!(header.flags, Flags { plain: true });
    let stored = out.get(BLOCK_HEADER_LEN..).unwrap_or_default();
    assert_eq!(header.open_payload(7, stored, None).as_deref(), Ok(sound.as_slice()));
    // By place as one after the other.
    let walked: Vec<Record<'_>> = Records::new(&raw).map_while(Result::ok).collect();
    let payload = Payload::from(raw.clone());
    assert_eq!(payload.starts().map(<[u32]>::len), Ok(walked.len()));
    for (place, record) in walked.iter().enumerate() {
        assert_eq!(payload.record(place).as_ref(), Ok(record));
    }
});

fn zstd(level: i32) -> zstd::bulk::Compressor<'static> {
    zstd::bulk::Compressor::new(level).expect("a compressor")
}
