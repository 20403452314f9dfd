//! A backup, restored into the data directory of a stopped node that holds another state of the same files: an older one, a newer one, that of
//! a server that has crashed, or a damaged one. What comes of it is what a restore into an empty directory gives, but only what
//! differs is read from the repository and written.
//!
//! # Why nothing starts on half of it
//!
//! Everything is compared before anything is changed (`compare`, by digests alone). Then the system tablespace goes under the hidden name that every
//! restore gives it, and the text that mysqld refuses appears in its place by one rename, which is made durable. `grastate.dat` goes next, and only
//! then is a file touched. The last step is that of every restore: all is synced, and the system tablespace is renamed over the text. What lies
//! between can be repeated: it is compared anew, and a file whose writing was lost in a crash of the machine differs.
//!
//! # Why nothing else is destroyed
//!
//! The directory must be of the history of the backup (`lineage`); no server may have it, by its process or by its locks, which are held
//! meanwhile (`server_locks`). A file that is reached by another name as well is replaced and not written into; no link is followed. What the
//! backup has not goes if it is a server's, and stays if it is not (`extras`). Outside of the data directory only the files of the
//! backup are touched.

mod access;
mod archive_check;
mod attempts;
mod carry_out;
mod compare;
mod differences;
mod elsewhere;
mod extras;
mod foreign_engines;
mod hold_meanwhile;
mod lineage;
mod local_file;
mod mounts;
mod newer_logs;
mod node_looks;
mod node_places;
mod plan;
mod read_pieces;
mod removal;
mod replace;
mod report;
mod room;
mod server_files;
mod server_locks;
mod stash;

pub use self::node_places::DeltaNode;
pub use self::plan::{DeltaPlan, plan_delta};
pub use self::report::DeltaReport;
