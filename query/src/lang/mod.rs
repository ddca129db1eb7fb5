//! The query language.
//!
//! | module | what is there |
//! |---|---|
//! | [`ast`] | the typed tree of a query, which prints as its text |
//! | [`parse()`] | text to tree, with its limits |
//! | [`error`] | what is wrong with a text, where, and what would work |
//! | [`number`] | the numbers that are compared |

pub mod ast;
pub mod error;
mod field;
mod lexer;
pub mod number;
pub mod parse;
mod regex;

pub use ast::{Expr, Query, SessionTerm, Term, Text};
pub use error::ParseError;
pub use parse::parse;
