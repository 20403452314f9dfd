//! One request through garbd, repeated only where garbd has certainly lost it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::donor_choice::Refusal;
use super::garbd::{GarbdCommand, GarbdProcess, Next, why_nobody_answers};
use super::garbd_call::GarbdCall;
use super::garbd_log::GarbdLine;
use super::request::RequestId;
use super::{AskError, Event};

/// How long garbd may need to be in the Primary component. It gives up by itself after 30 s (`pc.wait_prim_timeout`),
/// unless the group has another name: then it waits for ever.
const JOIN_LIMIT: Duration = Duration::from_secs(45);
/// The same when TLS has failed: it would not fit later either.
const TLS_LIMIT: Duration = Duration::from_secs(12);
/// How long a busy donor is asked again (garbd does it once a second): a node that has just been a donor catches up.
const BUSY_LIMIT: Duration = Duration::from_secs(20);
/// How often a lost request is sent.
const ATTEMPTS: u32 = 4;
/// Between two visits: the members forget the last one first.
const PAUSE: Duration = Duration::from_secs(3);
/// Between two looks at Ctrl-C.
const TICK: Duration = Duration::from_millis(100);

/// A request that the group has taken.
pub struct SelectedDonor {
    /// The node that it has selected.
    pub donor: String,
    /// Visits of garbd.
    pub attempts: u32,
    /// It leaves the group by itself; dropping this waits for it.
    _garbd: GarbdProcess,
}

/// How one visit of garbd has ended.
enum Visit {
    Selected(String),
    /// It left without an answer.
    Lost,
    PortTaken,
}

/// Sends the request until the group has selected a donor, has refused, or `interrupted` or `deadline` end it. `look` is
/// called right before each visit: what was planned may be refused by then.
pub fn ask(
    invitation: &GarbdCall,
    request: &RequestId,
    interrupted: &AtomicBool,
    deadline: Option<Instant>,
    look: &dyn Fn() -> Result<(), Refusal>,
    tell: &mut dyn FnMut(&Event<'_>),
) -> Result<SelectedDonor, AskError> {
    let is_over = || {
        if interrupted.load(Ordering::Relaxed) {
            return Err(AskError::GivenUp("interrupted"));
        }
        if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
            return Err(AskError::GivenUp("--timeout is over"));
        }
        Ok(())
    };
    let mut last_words = Vec::new();
    for attempt in 1..=ATTEMPTS {
        look().map_err(AskError::Refused)?;
        let call = invitation.call(request)?;
        let listen = call.listen.to_string();
        tell(&Event::Asking { garbd: &call.name, listen: &listen, attempt });
        let mut garbd = GarbdProcess::start(&call)?;
        match visit(&mut garbd, &call, &is_over, tell)? {
            Visit::Selected(donor) => {
                if !invitation.asks_for(&donor) {
                    log::warn!(
                        "Galera has taken '{donor}' for the donor, which was not asked for: it compares no more letters than the wanted name has"
                    );
                }
                tell(&Event::Selected(&donor));
                return Ok(SelectedDonor { donor, attempts: attempt, _garbd: garbd });
            }
            Visit::PortTaken if invitation.listen_is_fixed() => {
                return Err(AskError::Failed(format!(
                    "garbd cannot listen on '{listen}': the address is in use; name a free one with --listen HOST:PORT"
                )));
            }
            Visit::PortTaken | Visit::Lost => {
                tell(&Event::Lost);
                garbd.end();
                last_words = std::mem::take(&mut garbd.tail);
            }
        }
        let end = Instant::now() + PAUSE;
        while attempt < ATTEMPTS && Instant::now() < end {
            is_over()?;
            std::thread::sleep(TICK);
        }
    }
    Err(AskError::Failed(format!(
        "garbd left the group {ATTEMPTS} times without an answer to its request; its last words: {}",
        last_words.join(" | ")
    )))
}

/// Listens to garbd until its request is decided.
fn visit(
    garbd: &mut GarbdProcess,
    call: &GarbdCommand,
    is_over: &dyn Fn() -> Result<(), AskError>,
    tell: &mut dyn FnMut(&Event<'_>),
) -> Result<Visit, AskError> {
    let started = Instant::now();
    let mut seen = GarbdProgress::default();
    loop {
        is_over()?;
        match garbd.next(TICK) {
            Next::Said(GarbdLine::Selected(donor)) => return Ok(Visit::Selected(donor)),
            Next::Said(GarbdLine::UnknownDonor) => return Err(unknown_donor(call)),
            Next::Said(GarbdLine::PortTaken) => return Ok(Visit::PortTaken),
            Next::Said(GarbdLine::Connected) => seen.connected = true,
            Next::Said(GarbdLine::Primary | GarbdLine::Sent) => seen.primary = true,
            Next::Said(GarbdLine::Tls(text)) => seen.tls = Some(text),
            Next::Said(GarbdLine::Unreachable(text)) => seen.unreachable = Some(text),
            Next::Said(GarbdLine::Fatal(text)) => seen.fatal = seen.fatal.or(Some(text)),
            Next::Said(GarbdLine::Busy) => {
                let since = *seen.busy.get_or_insert_with(|| {
                    tell(&Event::Busy);
                    Instant::now()
                });
                if since.elapsed() >= BUSY_LIMIT {
                    return Err(busy(call));
                }
            }
            Next::Silence => {}
            // One that has lost its request leaves without complaint; one that complains was never let in.
            Next::Ended if seen.has_lost_its_request() => return Ok(Visit::Lost),
            Next::Ended => return Err(kept_out(call, seen)),
        }
        let limit = if seen.tls.is_some() { TLS_LIMIT } else { JOIN_LIMIT };
        if !seen.primary && started.elapsed() >= limit {
            return Err(kept_out(call, seen));
        }
    }
}

/// What garbd has said so far.
#[derive(Default)]
struct GarbdProgress {
    connected: bool,
    primary: bool,
    busy: Option<Instant>,
    tls: Option<String>,
    unreachable: Option<String>,
    fatal: Option<String>,
}

impl GarbdProgress {
    fn has_lost_its_request(&self) -> bool {
        self.connected && self.busy.is_none() && (self.primary || self.fatal.is_none())
    }
}

fn unknown_donor(call: &GarbdCommand) -> AskError {
    AskError::Failed(format!(
        "the cluster has no donor for '{}': the name must be the wsrep_node_name of a Synced member",
        if call.donors.is_empty() { "any" } else { &call.donors }
    ))
}

fn busy(call: &GarbdCommand) -> AskError {
    let whom = if call.donors.is_empty() { "every member".to_owned() } else { format!("'{}'", call.donors) };
    AskError::Failed(format!(
        "{whom} was busy for {} s (not Synced: a donor already, desynced, or catching up): try again later, or name another --donor",
        BUSY_LIMIT.as_secs()
    ))
}

/// The same as [`no_primary`], after a look of our own where garbd has seen nothing: that of Galera 26.4.18 is silent about connections that
/// are refused.
fn kept_out(call: &GarbdCommand, mut seen: GarbdProgress) -> AskError {
    if !seen.connected && seen.tls.is_none() && seen.unreachable.is_none() {
        seen.unreachable = why_nobody_answers(&call.address);
    }
    no_primary(call, &seen)
}

/// garbd has not reached the Primary component; what it has seen tells the cause apart.
fn no_primary(call: &GarbdCommand, seen: &GarbdProgress) -> AskError {
    let cause = if let Some(tls) = &seen.tls {
        format!(
            "TLS does not fit ({tls}): give garbd the socket.ssl options of the members with --provider-options"
        )
    } else if seen.connected {
        "members answer, but not as part of a Primary component: see wsrep_cluster_status on them".into()
    } else if let Some(unreachable) = &seen.unreachable {
        format!(
            "no member answers there ({unreachable}): a wrong address, a firewall, or no server that runs"
        )
    } else {
        let fatal = seen.fatal.as_ref().map_or_else(String::new, |text| format!(" ({text})"));
        // A member that speaks TLS says nothing to one that does not, and garbd of Galera 26.4.18 says nothing of a handshake that fails.
        let tls = if call.tls {
            ", or TLS does not fit (give garbd the socket.ssl options of the members with --provider-options)"
        } else {
            ", or members that speak TLS (give garbd their socket.ssl options with --provider-options)"
        };
        format!(
            "no member took it in{fatal}: a wrong address, a firewall, a group that is not called '{}' (wsrep_cluster_name), \
             a wsrep_allowlist without '{}'{tls}",
            call.group, call.listen.host
        )
    };
    AskError::Failed(format!("garbd could not join the cluster at '{}': {cause}", call.address))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(tls: bool) -> GarbdCommand {
        GarbdCommand {
            program: "garbd".into(),
            address: "gcomm://a:4567".parse().unwrap(),
            group: "g".into(),
            name: "backup-1".into(),
            donors: String::new(),
            request: "req-1".into(),
            options: String::new(),
            tls,
            listen: "127.0.0.1:1".parse().unwrap(),
        }
    }

    /// A garbd that members have answered leaves in two ways: it has lost its request, or no member is Primary.
    #[test]
    fn only_a_garbd_without_complaint_has_lost_its_request() {
        let mut seen = GarbdProgress { connected: true, ..GarbdProgress::default() };
        assert!(seen.has_lost_its_request());
        seen.fatal = Some("failed to reach primary view".into());
        assert!(!seen.has_lost_its_request());
        assert!(no_primary(&call(false), &seen).to_string().contains("not as part of a Primary component"));
        seen.primary = true;
        assert!(seen.has_lost_its_request());
        seen.busy = Some(Instant::now());
        assert!(!seen.has_lost_its_request());
    }

    #[test]
    fn a_silent_group_may_speak_tls_or_not_as_garbd_does() {
        let said = |tls| no_primary(&call(tls), &GarbdProgress::default()).to_string();
        assert!(
            said(false).contains("speak TLS") && said(false).contains("not called 'g'"),
            "{}",
            said(false)
        );
        assert!(said(true).contains("or TLS does not fit"), "{}", said(true));
    }
}
