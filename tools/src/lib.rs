//! daybook's tools: what the `daybook` binary is made of, and what tests and measurements share with
//! it.

pub mod demo;
