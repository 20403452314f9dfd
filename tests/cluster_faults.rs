//! Faults of every kind while `backup` has a real donor at work: the donor is always released, and the outcome is always
//! told.
//!
//! What is asserted comes from the server (states by SQL, its error log), from the repository's files, and from what
//! `backup` says: its exit status, its message and its JSON.

#[path = "cluster_faults/following.rs"]
mod following;
#[path = "cluster_faults/isolated.rs"]
mod isolated;
#[path = "cluster_faults/messages.rs"]
mod messages;
#[path = "cluster_faults/page_files.rs"]
mod page_files;
#[path = "cluster_faults/program.rs"]
mod program;
#[path = "cluster_faults/queue.rs"]
mod queue;
#[path = "cluster_faults/server.rs"]
mod server;
#[path = "cluster_faults/stage.rs"]
mod stage;
mod support;
#[path = "cluster_faults/tls.rs"]
mod tls;
