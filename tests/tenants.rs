//! Two tenants of one cluster, and what a hostile one can do to the other: nothing. On real parts, with the agent running as
//! its own ServiceAccount and each tenant with the ClusterRole `admin` in its own namespace only. I/O: processes, network.

#[path = "tenants/approvals.rs"]
mod approvals;
#[path = "tenants/cache.rs"]
mod cache;
#[path = "tenants/claims.rs"]
mod claims;
#[path = "tenants/guard.rs"]
mod guard;
#[path = "hostile/mod.rs"]
mod hostile;
#[path = "tenants/identity.rs"]
mod identity;
#[path = "tenants/isolation.rs"]
mod isolation;
#[path = "tenants/marks.rs"]
mod marks;
#[path = "tenants/render.rs"]
mod render;
#[path = "tenants/stage.rs"]
mod stage;
#[path = "tenants/trees.rs"]
mod trees;
#[path = "tenants/values.rs"]
mod values;
