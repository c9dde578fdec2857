//! The web UI through HTTP and a browser: who sees what, who does what, live updates, and hostile texts in
//! every field that Git and the cluster can fill. I/O: processes, network.

#[path = "ui/access.rs"]
mod access;
#[path = "ui/acting.rs"]
mod acting;
#[path = "ui/browser.rs"]
mod browser;
#[path = "ui/kit.rs"]
mod kit;
#[path = "ui/reading.rs"]
mod reading;
#[path = "ui/visitor.rs"]
mod visitor;
