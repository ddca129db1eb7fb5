//! Notes, checkpoints, keys, leaves, tile paths and proof bundles of any bytes: refused or read, never
//! a panic; what is read is written back as it was.
#![no_main]

use daybook_engine::merkle::bundle::Bundle;
use daybook_engine::merkle::log::Signed;
use daybook_engine::merkle::tile::Tile;
use daybook_engine::merkle::{Checkpoint, Leaf, Note, Signer, Verifier};
use libfuzzer_sys::fuzz_target;

const KEY: &str = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";

fuzz_target!(|input: &[u8]| {
    if let Ok(leaf) = Leaf::decode(input) {
        assert_eq!(leaf.encode().as_slice(), input);
        let _ = leaf.end();
    }
    if let Ok(signed) = Signed::decode(input) {
        assert_eq!(signed.encode().as_bytes(), input);
    }
    if let Ok(bundle) = Bundle::parse(input) {
        let _ = bundle.check(None);
    }
    let Ok(text) = std::str::from_utf8(input) else { return };
    let key = Verifier::parse(KEY).expect("a key");
    if let Ok(note) = Note::parse(text) {
        let _ = note.verify(std::slice::from_ref(&key));
        let _ = Checkpoint::parse(note.text);
    }
    let _ = (Checkpoint::peek(text), Checkpoint::open(text, &key), Signer::parse(text));
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert!(text.starts_with(&checkpoint.to_text()));
    }
    if let Ok(key) = Verifier::parse(text) {
        assert_eq!(Verifier::parse(&key.to_string()), Ok(key));
    }
    if let Ok(tile) = Tile::parse(text) {
        assert_eq!(tile.path(), text);
        let _ = tile.is_in(u64::MAX);
    }
});
