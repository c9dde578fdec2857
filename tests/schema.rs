//! The renderer's table of what a strategic merge merges is that of the API server that the agent is made for.
//!
//! I/O: processes, network.

use holdfast_tests::schema;

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_that_of_the_api_server() -> anyhow::Result<()> {
    let written = std::fs::read_to_string(schema::path())?;
    assert!(
        written == schema::table(&schema::openapi().await?)?,
        "diff/kustomize/src/schema/table.txt is stale; run: cargo run -p holdfast-tests --bin schema > table.txt && \
         mv table.txt diff/kustomize/src/schema/table.txt"
    );
    Ok(())
}
