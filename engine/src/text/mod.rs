//! placeholder
pub mod narrow;
pub mod words;
