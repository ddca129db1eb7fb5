//! Any bytes as an encrypted file, and any change of one: refused or read, never a panic, and what was
//! changed is never read.
#![no_main]

use daybook_engine::crypt::Keyring;
use daybook_engine::disk::{Disk, EncryptedDisk, Open, RealDisk, read_exact_at};
use libfuzzer_sys::fuzz_target;
use std::path::Path;
use std::sync::Arc;

const KEY: &str = "7:q83vASNFZ4mrze8BI0VniavN7wEjRWeJq83vASNFZ4k=";

fuzz_target!(|input: &[u8]| {
    let Some((&[how, a, b, c], rest)) = input.split_first_chunk::<4>() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("index.bin");
    let keys = Arc::new(Keyring::parse(KEY).expect("a key"));
    let layer = EncryptedDisk::new(Arc::new(RealDisk), keys, 1 << 20);
    let disk: &dyn Disk = &layer;
    if how & 1 == 0 {
        // As it is, with and without the magic.
        let start = if how & 2 == 0 { &b"DAYBKENC"[..] } else { b"" };
        std::fs::write(&path, [start, rest].concat()).expect("written");
        use_it(disk, &path);
        return;
    }
    // A file that was written in pieces, with one byte changed.
    let at = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let plain: Vec<u8> = rest.iter().copied().cycle().take(rest.len() * usize::from(how)).collect();
    let file = disk.open(&path, Open::CreateNew).expect("created");
    let mut written = 0;
    for piece in plain.chunks(usize::from(how) * 100) {
        written += file.write_at(piece, written).expect("written") as u64;
    }
    file.sync().expect("synced");
    assert_eq!(disk.read(&path).expect("read"), plain);
    let mut stored = std::fs::read(&path).expect("stored");
    let at = at % stored.len();
    if let Some(byte) = stored.get_mut(at) {
        *byte ^= how;
    }
    std::fs::write(&path, &stored).expect("changed");
    assert!(disk.read(&path).is_err());
    use_it(disk, &path);
});

fn use_it(disk: &dyn Disk, path: &Path) {
    let _ = disk.stat(path);
    let _ = disk.map(path);
    let _ = disk.key_of(path);
    if let Ok(file) = disk.open_read(path) {
        let len = file.len().expect("a length");
        let mut some = [0; 100];
        let _ = read_exact_at(&*file, &mut some, len.saturating_sub(100));
        let _ = file.read_at(&mut some, len / 2);
    }
}
