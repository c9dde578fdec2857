//! The worker itself: reads a render, makes it, writes what it came to, until the pipe ends.
//!
//! I/O: its pipes, disk reads through the trees that it is given.

use std::io::{BufWriter, Error, Result, Write, stdin, stdout};
use std::time::Duration;

use super::confine::{confine, give_time, resident};
use super::frame;
use super::message::{Beside, Done, Received};
use crate::render::RenderError;
use crate::render::ask::Trees;
use crate::render::order::{Attempt, attempt};

/// Bytes of a render's description: the chart that it asks about, and what it was answered.
const LONGEST: usize = 256 * 1024 * 1024;
/// Bytes of one object as JSON. The API server takes fewer.
const LARGEST: usize = 4 * 1024 * 1024;
/// What stands before a manifest, and before the message that ends an answer.
pub const MANIFEST: u8 = b'm';
pub const DONE: u8 = b'd';

/// Serves with so much memory.
pub fn serve(memory: u64, trees: &dyn Trees) -> Result<()> {
    confine(memory)?;
    let mut input = stdin().lock();
    let mut output = BufWriter::new(stdout().lock());
    while let Some(Received { order, given, seconds }) = frame::read(&mut input, LONGEST)? {
        give_time(Duration::from_secs(seconds))?;
        let attempt = attempt(&order, &given, trees);
        answer(&mut output, attempt, memory)?;
        output.flush()?;
    }
    Ok(())
}

fn answer(output: &mut impl Write, attempt: Attempt, memory: u64) -> Result<()> {
    let Attempt { reads, end, missing } = attempt;
    let end = match end {
        Ok(_) if missing.is_some() => Err(RenderError::internal("an answer is missing")),
        Ok((rendered, keep)) => {
            let (beside, manifests) = Beside::of(rendered, keep);
            let mut end = Ok(beside);
            for manifest in manifests {
                let bytes = frame::encode(&manifest)?;
                if bytes.len() > LARGEST {
                    let said = format!(
                        "{}: {} has more than {LARGEST} bytes, which no API server accepts: make it smaller",
                        manifest.origin,
                        manifest.id()
                    );
                    end = Err(RenderError::of(vec![said]));
                    break;
                }
                output.write_all(&[MANIFEST])?;
                output.write_all(&bytes)?;
            }
            end
        }
        Err(error) => Err(error),
    };
    let stays = resident()? < memory / 2;
    let done = frame::encode(&Done { reads, end, missing, stays }).map_err(Error::other)?;
    output.write_all(&[DONE])?;
    output.write_all(&done)
}
