//! Faults while the engine runs.
