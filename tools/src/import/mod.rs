//! Files to batches of lines, whatever they are packed in.
//!
//! | module | what is there |
//! |---|---|
//! | `open` | a file, unpacked by what its first bytes say |
//! | `walk` | files and the logs in directories |
//! | `chunks` | batches of whole lines, each knowing where it came from |

mod chunks;
mod open;
mod walk;

pub use chunks::{CHUNK_BYTES, Chunk, Chunks};
pub use open::{Opened, open};
pub use walk::{Input, inputs};
