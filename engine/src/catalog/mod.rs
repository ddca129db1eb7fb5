//! placeholder
pub mod filter;
