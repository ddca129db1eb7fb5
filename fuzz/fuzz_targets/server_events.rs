//! Server-sent events, as a client of a tail reads them: any bytes, and the same in pieces.
#![no_main]

use daybook_tools::client::EventReader;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((size, bytes)) = data.split_first() else { return };
    let whole = EventReader::default().feed(bytes);
    let mut reader = EventReader::default();
    let pieces = bytes.chunks(usize::from(*size).max(1));
    let of_pieces: Vec<_> = pieces.flat_map(|piece| reader.feed(piece)).collect();
    assert_eq!(whole, of_pieces);
});
