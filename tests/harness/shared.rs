//! One control plane, one forge and one agent for all tests of a binary. Tests keep apart by their namespaces.
//!
//! Statics are not dropped: the watchdog ends everything when the binary ends. I/O: processes.

use std::future::Future;
use std::sync::LazyLock;

use tokio::runtime::Runtime;
use tokio::sync::OnceCell;

use crate::Env;
use crate::agent::Agent;

/// What the tests of one binary share.
pub struct Shared {
    pub env: Env,
    pub agent: Agent,
}

/// What goes on beside the tests lives as long as the binary, so it cannot be on the runtime of one test.
static RUNTIME: LazyLock<Runtime> =
    LazyLock::new(|| Runtime::new().expect("a runtime needs nothing but threads"));
static SHARED: OnceCell<Shared> = OnceCell::const_new();

/// Runs one test on what all share; the first one starts it, with these arguments of the agent.
pub fn run<F, Fut>(arguments: &'static [&'static str], test: F) -> anyhow::Result<()>
where
    F: FnOnce(&'static Shared) -> Fut,
    Fut: Future<Output = anyhow::Result<()>>,
{
    RUNTIME.block_on(async {
        let shared = SHARED
            .get_or_try_init(|| async {
                let env = Env::start().await?;
                let agent = env.agent(arguments).await?;
                anyhow::Ok(Shared { env, agent })
            })
            .await?;
        test(shared).await
    })
}
