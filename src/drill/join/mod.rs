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
//! no more, or by a hair only, it fails, and the server ends without having asked anybody. It asks one donor by name ([`look`]), for which Galera could
//! take nobody else ([`crate::cluster::taken_for`]), and leaves where it has. A donor that has lost the write sets in that moment sends nothing: this program
//! refuses a state transfer to a drill ([`crate::sst`]).
//!
//! # Why it holds nobody up
//!
//! Galera delivers a write set when each member has acknowledged it. So the server has the priority that this program was started with
//! ([`crate::priority::KeptPriority`]), and is not started at all where that is a low one ([`held_back`]).
//!
//! # Why it leaves in good order
//!
//! A member that dies holds the others up until they take it for dead (`evs.suspect_timeout`, 5 s). So the server has a guard that asks it to
//! end before it is killed, also where this program is killed, or stopped for long ([`crate::guard`]). It leaves before its disk is full ([`approach`]).
//!
//! # Why it stays where the others are no cluster
//!
//! Members that have lost the Primary component by themselves form one again when all that were in the last one are there, and the server is one of them,
//! whatever its weight. So it leaves when there is one again ([`approach::stay_while_cut_off`]), also where the drill is given up. Nothing can be done about
//! that where the server is killed, or its machine dies, in the same moment: doc/drill.md says what an administrator does then.
//!
//! # Why "joined" means that rows were applied
//!
//! With flow control beyond reach a server calls itself Synced while write sets wait in its queue. So its log is read to its end, and the position
//! at which it has left is held against the end of its IST ([`leaving`]).

mod approach;
mod calm;
mod donor;
mod heard;
mod leaving;
mod library;
mod look;
mod member;
mod request;
mod script;
mod settle;
mod standing;
#[cfg(test)]
mod test_members;

use std::sync::Arc;
use std::time::Instant;

pub use request::JoinRequest;
pub use standing::held_back;

use super::error::DrillError;
use super::findings::{DrillFindings, millis};
use super::home::ServerHome;
use super::scratch::ScratchFolder;
use super::server::{DrillServer, Guest};
use super::watch::DrillWatch;
use crate::model::{DrillStep, DrilledJoin, WsrepGtid};
use crate::restore::Installed;
use approach::{JoinLimits, approach, stay_while_cut_off};
use heard::{JoinListener, JoinLog};
pub(super) use look::look;
use look::look_again;
use member::MemberArguments;
use script::JoinerScript;

/// Refuses a server that would do something of its own as a member, and makes it load no plugin. It runs on the files of the backup alone now.
pub(super) fn prepare(server: &DrillServer<'_>) -> Result<(), DrillError> {
    let failed = |why: String| DrillError::failed(DrillStep::Stop, server.with_words(&why));
    let mut session = server.session().map_err(failed)?;
    if session.has_triggers_of_servers().map_err(failed)? {
        return Err(DrillError::Undone(
            "no server joins the cluster (--join): the backup has triggers ON STARTUP or ON SHUTDOWN (mysql.event), which would run in the server that joins, \
             and their changes would be the cluster's"
                .into(),
        ));
    }
    session.forget_plugins().map_err(failed)
}

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
    let limits = JoinLimits::new(wanted.timeout);
    let mut listener = JoinListener::new(&arguments.name, home.log_reader());
    let guest =
        Guest { args: &arguments.words, path: &path, priority: &wanted.priority, stay: limits.stay() };
    let mut server = DrillServer::start_guest(home, &installed.program, &guest, watch)?;
    let began = Instant::now();
    let may_ask = || look_again(wanted, gtid, &before);
    let joined = approach(&server, &mut listener, &script, scratch, limits, &before.donor, &may_ask);
    let ms = millis(began);
    let goes_on = || settle::goes_on(&before.survey.again(&wanted.access));
    let stayed = stay_while_cut_off(&server, &mut listener, &goes_on);
    findings.notes.extend(stayed.err());
    let left = server.stop();
    drop(server);
    // It has gone on with what the cluster wrote meanwhile.
    listener.listen();
    findings.notes.extend(settle::settle(&before, wanted));
    let heard = listener.heard;
    // Also one that was interrupted when it was Synced already says nothing of the backup.
    let objection = || heard.objection(&before.donor).or(watch.given_up());
    let joined = joined.and_then(|()| objection().map_or(Ok(()), Err));
    joined.map_err(|why| verdict(&heard, &why))?;
    let position = heard.position.unwrap_or_else(|| gtid.position());
    let left_at = leaving::left_at(home, installed, watch)?;
    leaving::has_applied(left_at.as_ref(), &position)
        .map_err(|why| DrillError::Undone(format!("the server has joined the cluster, and {why}")))?;
    if let (Err(why), None) = (left, watch.given_up()) {
        findings.notes.push(format!("when it left the cluster, {why}"));
    }
    findings.measured.join = Some(Box::new(DrilledJoin { ms, writesets: heard.writesets, position }));
    Ok(())
}

/// Write sets of IST that do not fit to the rows speak against the backup. What members have written later need not: they may differ among themselves.
/// Whatever else keeps a server from joining does not either.
fn verdict(heard: &JoinLog, why: &str) -> DrillError {
    match &heard.contradiction {
        Some(line) => DrillError::failed(
            DrillStep::Join,
            format!("write sets of the cluster could not be applied to the rows of the backup: {line}"),
        ),
        None if heard.is_synced && heard.dissent.is_some() => DrillError::Undone(format!(
            "the server has joined the cluster by IST, and could not go on with what that wrote later, as where members differ among themselves: {why}"
        )),
        None => DrillError::Undone(format!("the server did not join the cluster: {why}")),
    }
}
