//! The drilled server joins its cluster for a moment, which proves that a node from this backup joins by IST.
//!
//! # What the cluster notices
//!
//! A member more, which has no weight (`pc.weight=0`): it neither gives quorum nor takes any. It never slows the others down (`gcs.fc_limit` beyond
//! reach), takes no clients (a socket in the scratch folder), writes nothing, and is in a segment of its own (`gmcast.segment`): nobody is given
//! a donor of another segment while there is a node in his own (`group_find_node_by_state` in `gcs/src/gcs_group.cpp`). One member is its donor,
//! for as long as it takes to read write sets from its gcache.
//!
//! # Why it never takes an SST
//!
//! Members are asked before the backup is restored, before the server is started to join, and a last time when it is in the group and about to ask
//! for a donor: Galera starts the joiner's script of state transfers before that ([`script`]), and ours waits for the answer. Where IST is possible
//! no more, or by a hair only, it fails, and the server ends without having asked anybody. It asks one donor by name ([`look`]), and a donor that has lost
//! the write sets in that moment sends nothing: this program refuses a state transfer to a drill ([`crate::sst`]).
//!
//! # Why it holds nobody up
//!
//! Galera delivers a write set when each member has acknowledged it. So the server has the priority that this program was started with
//! ([`crate::priority::KeptPriority`]), and is not started at all where that is a low one ([`held_back`]).
//!
//! # Why it leaves in good order
//!
//! A member that dies holds the others up until they take it for dead (`evs.suspect_timeout`, 5 s). So the server has a guard that asks it to
//! end before it is killed, also where this program is killed ([`crate::guard`]).

mod approach;
mod heard;
mod look;
mod member;
mod request;
mod script;
mod settle;
mod standing;

use std::sync::Arc;
use std::time::Instant;

pub use request::JoinRequest;
pub use standing::held_back;

use super::error::DrillError;
use super::findings::{DrillFindings, millis};
use super::home::ServerHome;
use super::scratch::ScratchFolder;
use super::server::DrillServer;
use super::watch::DrillWatch;
use crate::model::{DrillStep, DrilledJoin, WsrepGtid};
use crate::restore::Installed;
use approach::{JoinLimits, approach};
use heard::JoinLog;
pub(super) use look::look;
use look::look_again;
use member::MemberArguments;
use script::JoinerScript;

/// Joins, waits until the server is Synced, and leaves.
pub(super) fn join(
    wanted: &JoinRequest,
    gtid: &WsrepGtid,
    installed: &Installed,
    scratch: &ScratchFolder,
    home: &Arc<ServerHome>,
    watch: &DrillWatch,
    findings: &mut DrillFindings,
) -> Result<(), DrillError> {
    let before = look(wanted, gtid, installed)?;
    let arguments = MemberArguments::new(wanted, &before)?;
    let script = JoinerScript::write(scratch, gtid)?;
    let path = script.path_variable(&installed.program);
    let mut server =
        DrillServer::start_guest(home, &installed.program, &arguments.words, &path, &wanted.priority, watch)?;
    let began = Instant::now();
    let may_ask = || look_again(wanted, gtid, &before);
    let mut heard = JoinLog::new(&arguments.name);
    let joined = approach(&server, &mut heard, &script, JoinLimits::new(wanted.timeout), &may_ask);
    let ms = millis(began);
    let left = server.stop();
    drop(server);
    findings.notes.extend(settle::settle(&before, wanted));
    joined.map_err(|why| verdict(&heard, &why))?;
    let writesets = heard.writesets;
    let position = heard.position.unwrap_or_else(|| gtid.position());
    findings.join = Some(DrilledJoin { ms, writesets, position });
    if writesets == 0 {
        findings
            .notes
            .push("nothing was written in the cluster since the backup: it joined without IST".into());
    }
    if let (Err(why), None) = (left, watch.given_up()) {
        findings.notes.push(format!("when it left the cluster, {why}"));
    }
    Ok(())
}

/// Write sets that do not fit to the rows speak against the backup; whatever else keeps a server from joining does not.
fn verdict(heard: &JoinLog, why: &str) -> DrillError {
    if heard.contradiction.is_some() {
        return DrillError::failed(
            DrillStep::Join,
            format!("write sets of the cluster could not be applied to the rows of the backup: {why}"),
        );
    }
    DrillError::Undone(format!("the server did not join the cluster: {why}"))
}
