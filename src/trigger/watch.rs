//! From a selected donor to the outcome of its backup.
//!
//! A request may wait in the donor's queue for hours ([`super::backlog`]): as long as it is seen there it is waited for.
//! Three things end it: the manifest, a status that says `failed`, and a donor that is none any more while its program
//! says nothing (it was killed, or another program answered). A node is a donor until its program ends, so "not a donor,
//! and silent" is certain; where the donor cannot be asked, only a long silence is left, longer than every limit of the
//! program itself (`stall-timeout`) may hold it back.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::donor::{DonorNode, RequestStart};
use super::follow::{BackupPlace, Follower, RequestProgress};
use super::missing_status::Signs;
use super::outcome::RequestOutcome;
use super::watching::{FIRST_SIGN, SILENT, Watching};
use super::{AskError, Event};
use crate::catalog::{BackupReader, CatalogError};
use crate::model::{BackupState, Manifest, Status};

/// How often the repository is looked at.
const POLL: Duration = Duration::from_millis(400);
/// How long the repository may be out of reach.
const UNREADABLE: Duration = Duration::from_secs(60);

/// Watches a request to its end.
pub fn watch(
    watching: &Watching<'_>,
    follower: &mut Follower<'_>,
    tell: &mut dyn FnMut(&Event<'_>),
) -> Result<RequestOutcome, AskError> {
    let started = Instant::now();
    let mut donor = DonorNode::new(watching);
    let mut freeze = FrozenTime::default();
    let mut unreadable: Option<Instant> = None;
    loop {
        if let Some(why) = watching.is_over() {
            return Ok(RequestOutcome::LeftAlone(why.to_owned()));
        }
        match follower.look() {
            Ok(RequestProgress::Complete(place, manifest)) => {
                tell(&Event::Complete);
                return complete(watching, follower, &mut donor, place, manifest, tell);
            }
            Ok(RequestProgress::Status(place, status)) => {
                unreadable = None;
                donor.learn(&status.node, watching.survey);
                tell(&Event::Progress { status: &status, frozen: freeze.seen(&status) });
                if status.state == BackupState::Failed {
                    let error = status.error.unwrap_or_else(|| "its status says no more".into());
                    let synced = donor.wait_until_synced(watching, tell);
                    return Ok(RequestOutcome::Failed { place: Some(place), error, synced });
                }
                if let Some(error) = donor.has_died(follower.silence().unwrap_or_default(), &status) {
                    // The donor's program has ended: what is in the repository now is final.
                    let error = match follower.look() {
                        Ok(RequestProgress::Complete(place, manifest)) => {
                            return complete(watching, follower, &mut donor, place, manifest, tell);
                        }
                        Ok(RequestProgress::Status(_, last)) if last.state == BackupState::Failed => {
                            last.error.unwrap_or(error)
                        }
                        _ => error,
                    };
                    let synced = donor.wait_until_synced(watching, tell);
                    return Ok(RequestOutcome::Failed { place: Some(place), error, synced });
                }
            }
            Ok(RequestProgress::Nothing) => {
                unreadable = None;
                let is_late = started.elapsed() >= FIRST_SIGN;
                if is_late && !donor.is_known() && !donor.guess(watching.survey) {
                    return Err(AskError::NoSuchRequest(watching.storage.location()));
                }
                let claimed = |name: &str| follower.claimed_by(name);
                let signs = Signs { flushes: &watching.flushes, folder: &claimed };
                match donor.has_begun(started.elapsed(), watching.storage.as_ref(), &signs) {
                    RequestStart::Perhaps => {}
                    RequestStart::Behind(why) => tell(&Event::Behind(donor.name(), &why)),
                    RequestStart::Unknown(why) => return Ok(RequestOutcome::LeftAlone(why)),
                    RequestStart::Never(_) if donor.is_guessed() => {
                        return Err(AskError::NoSuchRequest(watching.storage.location()));
                    }
                    RequestStart::Never(error) => {
                        let synced = donor.wait_until_synced(watching, tell);
                        return Ok(RequestOutcome::Failed { place: None, error, synced });
                    }
                }
            }
            Err(error @ CatalogError::Storage(_)) => {
                if unreadable.get_or_insert_with(Instant::now).elapsed() >= UNREADABLE {
                    return Err(AskError::Failed(format!("the repository cannot be read any more: {error}")));
                }
            }
            Err(error) => return Err(AskError::Failed(error.to_string())),
        }
        std::thread::sleep(POLL);
    }
}

impl Watching<'_> {
    pub(super) fn is_over(&self) -> Option<&'static str> {
        if self.interrupted.load(Ordering::Relaxed) {
            return Some("interrupted");
        }
        self.deadline.filter(|deadline| Instant::now() >= *deadline).map(|_| "--timeout is over")
    }
}

/// Checks what the manifest names, and waits for the end of the program and of the donor's role.
fn complete(
    watching: &Watching<'_>,
    follower: &mut Follower<'_>,
    donor: &mut DonorNode<'_>,
    place: BackupPlace,
    manifest: Box<Manifest>,
    tell: &mut dyn FnMut(&Event<'_>),
) -> Result<RequestOutcome, AskError> {
    let source = BackupReader::new(
        std::sync::Arc::clone(watching.storage),
        place.cluster.clone(),
        (*manifest).clone(),
    );
    let damage = source.check_sizes().map_err(|error| AskError::Failed(error.to_string()))?;
    if let Some(damage) = damage.first() {
        let error =
            format!("its manifest is there, but '{}' is not what it says: {}", damage.object, damage.what);
        let synced = donor.wait_until_synced(watching, tell);
        return Ok(RequestOutcome::Failed { place: Some(place), error, synced });
    }
    donor.learn(&manifest.node, watching.survey);
    let mut untold = None;
    let begun = Instant::now();
    // The program ends after `done`, and may have to wait for the Primary component before.
    while let Some(status) = follower.status(&place) {
        match status.state {
            BackupState::Done => {
                untold = status.error;
                break;
            }
            BackupState::Failed => {
                untold = Some(status.error.unwrap_or_default());
                break;
            }
            _ => {}
        }
        let silence = follower.silence().unwrap_or_default().min(begun.elapsed());
        let is_mute = silence >= SILENT && (silence >= status.patience(SILENT) || donor.is_none_any_more());
        if watching.is_over().is_some() || is_mute {
            break;
        }
        std::thread::sleep(POLL / 4);
    }
    let synced = donor.wait_until_synced(watching, tell);
    Ok(RequestOutcome::Complete { place, manifest, synced, untold })
}

/// How long the server has been frozen: as its program says, and between two of its words by our own clock.
#[derive(Default)]
struct FrozenTime {
    told: Option<(u64, Instant)>,
}

impl FrozenTime {
    fn seen(&mut self, status: &Status) -> Option<Duration> {
        let told = status.frozen_ms?;
        let since = match self.told {
            Some((last, since)) if last == told => since,
            _ => self.told.insert((told, Instant::now())).1,
        };
        let more = if status.state == BackupState::Copying { since.elapsed() } else { Duration::ZERO };
        Some(Duration::from_millis(told) + more)
    }
}
