//! git without a cluster: how servers answer, what is read, and commits that are pushed: what they hold, that they are never
//! forced, what is said when a server does not want them, and who signed those that are read.
//! I/O: processes, network, disk.

#[path = "push/content.rs"]
mod content;
#[path = "push/forge.rs"]
mod forge;
#[path = "push/hosted.rs"]
mod hosted;
#[path = "push/left_out.rs"]
mod left_out;
#[path = "push/onto.rs"]
mod onto;
#[path = "push/race.rs"]
mod race;
#[path = "push/refused.rs"]
mod refused;
#[path = "push/signed.rs"]
mod signed;
#[path = "push/verified.rs"]
mod verified;
#[path = "push/workshop.rs"]
mod workshop;
