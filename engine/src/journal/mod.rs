//! The journal: the append-only file that receives events in the order of their arrival. What an
//! acknowledgement promises is here.
//!
//! A journal is a file of blocks ([`crate::block`]) named by the offset of its first event; its
//! offsets are dense. One writer appends to it, group by group, with one `fdatasync` a group. It is
//! closed when it is full or old, and sealed into a segment in the background.
//!
//! | module | what is there |
//! |---|---|
//! | [`mod@file`] | creating, replaying and mending the file |
//! | [`part`] | the journal as readers see it: columns in memory, lines by `pread` |
//! | `order` | a session's events by `seq`, shared with readers |
//! | [`seen`] | which `(session, seq)` have been stored: exactly once |
//! | `queue`, `admit` | what waits to be written; what becomes of each event |
//! | `writer` | the one thread that writes |

pub(crate) mod admit;
pub mod file;
mod in_hand;
pub(crate) mod order;
pub mod part;
pub(crate) mod queue;
pub mod seen;
pub(crate) mod writer;
