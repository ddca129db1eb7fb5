//! Opens a file and unpacks it: gzip and zstd are known by their first bytes, not by the file's name.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A file, unpacked.
pub struct Opened {
    /// Its lines.
    pub reader: Box<dyn BufRead + Send>,
    /// How many bytes of the file itself were read so far, for progress.
    pub read: Arc<AtomicU64>,
}

/// Counts what is read through it.
struct Counted<R> {
    inner: R,
    read: Arc<AtomicU64>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.read.fetch_add(n as u64, Ordering::Relaxed);
        Ok(n)
    }
}

const BUFFER: usize = 256 << 10;

/// Opens a file; `-` is standard input.
///
/// # Errors
/// The system's.
pub fn open(path: &Path) -> std::io::Result<Opened> {
    let raw: Box<dyn Read + Send> = if path == Path::new("-") {
        Box::new(std::io::stdin())
    } else {
        Box::new(File::open(path)?)
    };
    let read = Arc::new(AtomicU64::new(0));
    let counted = Counted { inner: raw, read: Arc::clone(&read) };
    let mut packed = BufReader::with_capacity(BUFFER, counted);
    let start = packed.fill_buf()?;
    let reader: Box<dyn BufRead + Send> = if start.starts_with(&[0x1f, 0x8b]) {
        Box::new(BufReader::with_capacity(BUFFER, flate2::bufread::MultiGzDecoder::new(packed)))
    } else if start.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Box::new(BufReader::with_capacity(BUFFER, zstd::stream::Decoder::with_buffer(packed)?))
    } else {
        Box::new(packed)
    };
    Ok(Opened { reader, read })
}
