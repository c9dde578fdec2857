//! Prints the renderer's table of what a strategic merge merges, as the API server tells it.
//!
//! I/O: processes, network, stdout.
#![expect(clippy::print_stdout, reason = "the table is what it is for")]

use holdfast_tests::schema;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    print!("{}", schema::table(&schema::openapi().await?)?);
    Ok(())
}
