//! The members of a cluster: where they are, and what they say of themselves.
//!
//! No member of a Galera cluster tells the state of another one: a node's status speaks of that node. So
//! every member is asked by SQL: the local one over its socket, others over TCP at the addresses that the group
//! knows (`mysql.wsrep_cluster_members`, `wsrep_incoming_addresses`). One that does not answer is kept as
//! silent, with the reason: what is not known is said, never guessed.

mod access;
mod address;
mod coordinates;
mod donor_name;
mod guest;
mod ist;
mod ist_words;
mod node_report;
mod survey;

pub use access::Access;
pub use address::{ClusterAddress, GROUP_PORT};
pub use coordinates::Coordinates;
pub use donor_name::{TransferAnswer, taken_for, transfer_answer};
pub use guest::{
    address_for_guests, address_of_members, group_address, guest_address, guest_options, shared_options,
    speaks_tls,
};
pub use ist::IstOutlook;
pub use ist_words::ist_sentence;
pub use node_report::{NodeReport, NodeState};
pub use survey::{Silent, Standby, Survey};
