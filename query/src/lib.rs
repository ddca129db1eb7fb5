//! What events mean: the query language, plans over the engine, timelines, columns and exports.

pub mod columnar;
