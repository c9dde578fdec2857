//! Holdfast keeps a Kubernetes cluster in sync with Git. The modules are in the order of the pipeline.

pub mod api;
pub mod calls;
pub mod disk;
pub mod error;
pub mod http;
pub mod identity;
pub mod policy;
pub mod progress;
pub mod secret_data;
pub mod subject;
pub mod sync_ref;
pub mod trust;
pub mod wildcard;

pub mod forge;
pub mod registry;

pub mod cluster;
pub mod gate;
pub mod reconcile;
pub mod render;
pub mod report;
pub mod source;

pub mod image;
pub mod import;
pub mod review;

pub mod cli;
pub mod controller;
pub mod leader;
pub mod local;
pub mod metrics;
pub mod rooms;
pub mod server;
pub mod shares;
pub mod telemetry;
pub mod ui;

/// The version of the program.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
