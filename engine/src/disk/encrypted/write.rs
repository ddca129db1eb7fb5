//! An encrypted file that is being written.

use super::format::{CHUNK_LEN, Header, Shape, open, position, seal};
use super::read::copy;
use super::write_once;
use crate::crypt::Cipher;
use crate::disk::{DiskFile, write_all_at};
use parking_lot::Mutex;
use std::io;
use std::sync::Arc;

/// An encrypted file that is being written, from its start to its end.
///
/// A chunk is sealed when bytes behind it come; what is behind the last of them waits in memory until
/// the file is synced, or until nobody has it open. Then it is whole, and no longer written to: a
/// chunk that is sealed twice would use its nonce twice, and that gives away what was in both.
#[derive(Debug)]
pub(super) struct Unsealed {
    file: Arc<dyn DiskFile>,
    header: Header,
    cipher: Cipher,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// Chunks that are sealed; none of them is the last.
    chunks: u64,
    /// What is behind them, at most a chunk.
    rest: Vec<u8>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Writing,
    Whole,
    /// A write failed: what is in the file is not known.
    Failed,
}

impl State {
    fn len(&self) -> u64 {
        self.chunks * CHUNK_LEN as u64 + self.rest.len() as u64
    }
}

impl Unsealed {
    pub fn new(file: Arc<dyn DiskFile>, header: Header, cipher: Cipher) -> Unsealed {
        let state = State { chunks: 0, rest: Vec::new(), stage: Stage::Writing };
        Unsealed { file, header, cipher, state: Mutex::new(state) }
    }

    /// Is it still to become whole?
    pub fn is_writing(&self) -> bool {
        self.state.lock().stage == Stage::Writing
    }

    fn append(&self, state: &mut State, mut bytes: &[u8]) -> io::Result<()> {
        let at = state.chunks;
        let mut out = self.start(state);
        while !bytes.is_empty() {
            if state.rest.len() == CHUNK_LEN {
                seal(&self.cipher, state.chunks, false, &state.rest, &mut out);
                state.chunks += 1;
                state.rest.clear();
            }
            let (now, later) = bytes.split_at(bytes.len().min(CHUNK_LEN - state.rest.len()));
            state.rest.extend_from_slice(now);
            bytes = later;
        }
        if state.chunks == at { Ok(()) } else { self.write(at, &out) }
    }

    /// Seals the last chunk.
    fn finish(&self, state: &mut State) -> io::Result<()> {
        match state.stage {
            Stage::Whole => return Ok(()),
            Stage::Failed => return Err(failed()),
            Stage::Writing => {}
        }
        // Whatever comes of it: this chunk must not be sealed again.
        state.stage = Stage::Failed;
        let mut out = self.start(state);
        seal(&self.cipher, state.chunks, true, &state.rest, &mut out);
        self.write(state.chunks, &out)?;
        state.stage = Stage::Whole;
        Ok(())
    }

    /// What stands before the next chunk: the header, if it is the first.
    fn start(&self, state: &State) -> Vec<u8> {
        if state.chunks == 0 { self.header.encode().to_vec() } else { Vec::new() }
    }

    fn write(&self, chunk: u64, bytes: &[u8]) -> io::Result<()> {
        write_all_at(&*self.file, bytes, if chunk == 0 { 0 } else { position(chunk) })
    }

    /// All of it.
    pub fn read_all(&self) -> io::Result<Vec<u8>> {
        let mut all = vec![0; usize::try_from(self.len()?).unwrap_or(usize::MAX)];
        crate::disk::read_exact_at(self, &mut all, 0)?;
        Ok(all)
    }
}

impl DiskFile for Unsealed {
    fn read_at(&self, buffer: &mut [u8], at: u64) -> io::Result<usize> {
        let state = self.state.lock();
        let (chunk, within) = (at / CHUNK_LEN as u64, (at % CHUNK_LEN as u64) as usize);
        if chunk >= state.chunks {
            let from = usize::try_from(at - state.chunks * CHUNK_LEN as u64).unwrap_or(usize::MAX);
            return Ok(copy(state.rest.get(from..).unwrap_or_default(), buffer));
        }
        // One more than there are, for none of them is the last.
        let shape = Shape { chunks: state.chunks + 1, plain_len: state.chunks * CHUNK_LEN as u64 };
        let bytes = open(&*self.file, &self.cipher, shape, chunk)?;
        Ok(copy(bytes.get(within..).unwrap_or_default(), buffer))
    }

    fn write_at(&self, bytes: &[u8], at: u64) -> io::Result<usize> {
        let mut state = self.state.lock();
        match state.stage {
            Stage::Writing if at == state.len() => {}
            Stage::Failed => return Err(failed()),
            _ => return Err(write_once()),
        }
        self.append(&mut state, bytes).inspect_err(|_| state.stage = Stage::Failed)?;
        Ok(bytes.len())
    }

    fn sync(&self) -> io::Result<()> {
        self.finish(&mut self.state.lock())?;
        self.file.sync()
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        if len == self.state.lock().len() { Ok(()) } else { Err(write_once()) }
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.state.lock().len())
    }
}

impl Drop for Unsealed {
    fn drop(&mut self) {
        // A file that nobody synced may lack its end after a crash; one that nobody has open must not.
        let state = self.state.get_mut();
        if state.stage != Stage::Writing {
            return;
        }
        let mut state =
            std::mem::replace(state, State { chunks: 0, rest: Vec::new(), stage: Stage::Failed });
        if let Err(error) = self.finish(&mut state) {
            tracing::warn!(%error, "the end of an encrypted file could not be written");
        }
    }
}

fn failed() -> io::Error {
    io::Error::other("an earlier write of this encrypted file failed; write it anew")
}
