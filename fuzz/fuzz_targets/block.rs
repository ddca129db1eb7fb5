//! A block of any bytes: refused or read, never a panic, and what is read encodes to itself.
#![no_main]

use daybook_engine::block::{BLOCK_HEADER_LEN, BlockBuilder, BlockHeader, Flags, Record, Records};
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
    let _: Vec<Record<'_>> = Records::new(&raw).map_while(Result::ok).collect();
});

fn zstd(level: i32) -> zstd::bulk::Compressor<'static> {
    zstd::bulk::Compressor::new(level).expect("a compressor")
}
