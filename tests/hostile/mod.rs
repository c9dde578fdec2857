//! What a hostile tenant makes: trees, servers and repositories.

pub mod decoy;
pub mod repositories;
pub mod servers;
pub mod trees;
