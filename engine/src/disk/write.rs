//! Writing a file from its start to its end.

use super::{DiskFile, write_all_at};
use std::io::{self, Write};
use std::sync::Arc;

/// Writes go to the file in pieces of about this size.
const PIECE_BYTES: usize = 128 << 10;

/// Writes a file from its start to its end; nothing is durable before [`FileWriter::finish`].
#[derive(Debug)]
pub struct FileWriter {
    file: Arc<dyn DiskFile>,
    at: u64,
    buffer: Vec<u8>,
}

impl FileWriter {
    /// Writes from the file's start on.
    #[must_use]
    pub fn new(file: Arc<dyn DiskFile>) -> FileWriter {
        FileWriter { file, at: 0, buffer: Vec::new() }
    }

    /// Writes what is left and makes the file durable.
    ///
    /// # Errors
    /// The system's.
    pub fn finish(&mut self) -> io::Result<()> {
        self.flush()?;
        self.file.sync()
    }
}

impl Write for FileWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.buffer.is_empty() && bytes.len() >= PIECE_BYTES {
            write_all_at(&*self.file, bytes, self.at)?;
            self.at += bytes.len() as u64;
            return Ok(bytes.len());
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= PIECE_BYTES {
            self.flush()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        if !self.buffer.is_empty() {
            write_all_at(&*self.file, &self.buffer, self.at)?;
            self.at += self.buffer.len() as u64;
            self.buffer.clear();
        }
        Ok(())
    }
}
