//! daybook's storage: an append-only log of sessions' events with the indexes that make it quick to
//! read. No HTTP, no Arrow, no query language: those stand above.

pub mod backup;
mod batch;
mod beside;
pub mod block;
pub mod catalog;
pub mod cpu;
pub mod crypt;
pub mod disk;
mod engine;
mod error;
pub mod event;
pub mod journal;
pub mod merkle;
pub mod repair;
pub mod retention;
pub mod review;
pub mod screen;
mod sealed;
pub mod segment;
pub mod session;
mod session_set;
pub mod text;
pub mod together;
pub mod verify;
pub mod view;

pub use batch::{Ack, Batch, OWN_SEQ_MIN, OWN_SESSION, OwnSession, Rejection, Sender, is_own};
pub use beside::Beside;
pub use engine::{
    Act, Coverage, Engine, FORMAT_VERSION, Left, Options, Rekeyed, Repaired, StageSeconds, Stats,
};
pub use error::Error;
