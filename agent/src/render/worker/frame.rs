//! Messages between the agent and a worker: four bytes with a length, and so many bytes of JSON.
//!
//! What is longer than the reader allows is refused before there is room made for it. I/O: the pipes that it is given.

use std::io::{Error, ErrorKind, Read, Result};

use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncReadExt as _};

/// The bytes of a message.
pub fn encode(message: &impl Serialize) -> Result<Vec<u8>> {
    let mut bytes = vec![0; 4];
    serde_json::to_writer(&mut bytes, message)?;
    let length = u32::try_from(bytes.len() - 4).map_err(|_| too_long(bytes.len()))?;
    bytes[..4].copy_from_slice(&length.to_le_bytes());
    Ok(bytes)
}

/// Reads a message where it may block; `None` at the end of the pipe.
pub fn read<T: DeserializeOwned>(pipe: &mut impl Read, limit: usize) -> Result<Option<T>> {
    let mut length = [0; 4];
    match pipe.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = check(length, limit)?;
    let mut bytes = Vec::new();
    pipe.take(length).read_to_end(&mut bytes)?;
    Ok(Some(serde_json::from_slice(&bytes)?))
}

/// Receives the bytes of a message; `None` at the end of the pipe.
pub async fn receive(pipe: &mut (impl AsyncRead + Unpin), limit: usize) -> Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match pipe.read_exact(&mut length).await {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = check(length, limit)?;
    let mut bytes = Vec::new();
    pipe.take(length).read_to_end(&mut bytes).await?;
    Ok(Some(bytes))
}

fn check(length: [u8; 4], limit: usize) -> Result<u64> {
    let length = u32::from_le_bytes(length);
    let fits = usize::try_from(length).is_ok_and(|length| length <= limit);
    if fits { Ok(length.into()) } else { Err(too_long(length)) }
}

fn too_long(length: impl std::fmt::Display) -> Error {
    Error::new(ErrorKind::FileTooLarge, format!("a message of {length} bytes is too long"))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_sent_is_received() {
        let bytes = [encode(&"one").unwrap(), encode(&2).unwrap()].concat();
        let mut pipe = bytes.as_slice();
        assert_eq!(read::<String>(&mut pipe, 100).unwrap().as_deref(), Some("one"));
        assert_eq!(receive(&mut pipe, 100).await.unwrap(), Some(b"2".to_vec()));
        assert_eq!(receive(&mut pipe, 100).await.unwrap(), None);
        assert_eq!(read::<String>(&mut pipe, 100).unwrap(), None);
    }

    #[tokio::test]
    async fn a_length_alone_makes_no_room() {
        let long = u32::MAX.to_le_bytes();
        assert_eq!(read::<String>(&mut long.as_slice(), 100).unwrap_err().kind(), ErrorKind::FileTooLarge);
        assert!(receive(&mut long.as_slice(), 100).await.is_err());
        // A pipe that ends early gives what is no message.
        let half = [&100_u32.to_le_bytes()[..], b"\"half"].concat();
        assert!(read::<String>(&mut half.as_slice(), 100).is_err());
    }
}
