//! daybook's storage: an append-only log of sessions' events with the indexes that make it quick to
//! read. No HTTP, no Arrow, no query language: those stand above.

pub mod block;
pub mod catalog;
mod error;
pub mod event;
pub mod segment;
pub mod session;
pub mod text;
pub mod view;

pub use error::Error;
