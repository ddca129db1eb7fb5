//! Files to batches of lines, whatever they are packed in.
//!
//! | module | what is there |
//! |---|---|
//! | `open` | a file, unpacked by what its first bytes say |
//! | `chunks` | batches of whole lines, each knowing where it came from |

mod chunks;
mod open;

pub use chunks::{CHUNK_BYTES, Chunk, Chunks};
pub use open::{Opened, open};
