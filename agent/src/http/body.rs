//! Reads the body of a response, up to a limit. I/O: HTTP.

use reqwest::Response;

use super::Failure;

/// Maximum memory that is reserved for a body because of its `Content-Length`.
const RESERVED: usize = 1024 * 1024;

/// Returns the complete body. A body that is longer than the limit is an error as soon as that is known.
pub async fn read(mut response: Response, limit: u64) -> Result<Vec<u8>, Failure> {
    let length = response.content_length().unwrap_or(0);
    if length > limit {
        return Err(Failure::TooLarge { limit });
    }
    let mut body = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(RESERVED));
    while let Some(chunk) = response.chunk().await.map_err(|error| Failure::of(&error))? {
        if (body.len() + chunk.len()) as u64 > limit {
            return Err(Failure::TooLarge { limit });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

/// Returns the next piece of a body; `None` at its end.
pub async fn piece(response: &mut Response) -> Result<Option<Vec<u8>>, Failure> {
    let piece = response.chunk().await.map_err(|error| Failure::of(&error))?;
    Ok(piece.map(Into::into))
}
