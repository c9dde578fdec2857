//! Free ports on loopback. I/O: binds for a moment.

use std::collections::HashSet;
use std::net::TcpListener;
use std::sync::OnceLock;

use parking_lot::Mutex;

/// A port that was free a moment ago and is handed out once in this process.
///
/// From below the range that the system takes for outgoing connections, and begun at a place of this process' own, so
/// that two runs at the same time seldom meet.
pub fn free() -> anyhow::Result<u16> {
    static TAKEN: OnceLock<Mutex<HashSet<u16>>> = OnceLock::new();
    let mut taken = TAKEN.get_or_init(Mutex::default).lock();
    let span = 20_000_u32;
    let start = std::process::id().wrapping_mul(97) % span;
    for step in 0..span {
        let port = u16::try_from(12_000 + (start + step) % span)?;
        if !taken.contains(&port) && TcpListener::bind(("127.0.0.1", port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    anyhow::bail!("no port between 12000 and 32000 is free on loopback")
}
