//! The commands, one a module: each has its `Args` and its `run`.

pub mod backup;
pub mod config;
pub mod export;
pub mod feed;
pub mod hold;
pub mod import;
pub mod inspect;
pub mod keygen;
pub mod load;
pub mod proof;
pub mod push;
pub mod record;
pub mod rekey;
pub mod repair;
pub mod replay;
pub mod retention;
pub mod review;
pub mod search;
pub mod searches;
pub mod serve;
pub mod sessions;
pub mod share_profile;
pub mod show;
pub mod tail;
pub mod token;
pub mod verify;
