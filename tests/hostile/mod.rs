//! What a hostile tenant makes: trees, servers and repositories.

pub mod repositories;
pub mod servers;
pub mod trees;
