//! The query language.
//!
//! | module | what is there |
//! |---|---|
//! | [`ast`] | the typed tree of a query, which prints as its text |
//! | [`parse()`] | text to tree, with its limits |
//! | [`error`] | what is wrong with a text, where, and what would work |
//! | [`number`] | the numbers that are compared |
//! | [`matcher`] | a query asked of events, exactly and in cheaper ways |

pub mod ast;
pub mod error;
mod field;
mod filter;
mod lexer;
mod literal;
pub mod matcher;
pub mod number;
pub mod parse;
mod regex;

pub use ast::{Expr, Query, SessionTerm, Term, Text};
pub use error::ParseError;
pub use matcher::{Matcher, SessionCondition, Tri};
pub use parse::{DEPTH_MAX, NODES_MAX, QUERY_BYTES_MAX, REGEXES_MAX, parse};
