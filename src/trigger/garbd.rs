//! garbd, the arbitrator: it joins the group, asks for the state transfer, and leaves.
//!
//! It runs in an empty folder of its own, because it writes a `gvwstate.dat` where it stands. It is given as many
//! seconds as it may take, and is ended by SIGTERM, so that it leaves the group in good order: its abrupt death would
//! stop the group's writes until it is declared dead.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::AskError;
use super::garbd_log::{GarbdLine, read};
use crate::cluster::{ClusterAddress, guest_address};
use crate::hosts;
use crate::model::HostPort;

/// How long garbd may take to leave the group after SIGTERM.
const LEAVE: Duration = Duration::from_secs(20);
/// How long a member may take to answer a connection of our own.
const CONNECT: Duration = Duration::from_secs(2);
/// Lines of its log that are kept for an error.
const KEPT: usize = 12;

/// How garbd is called.
#[derive(Debug, Clone)]
pub(super) struct GarbdCommand {
    /// The program.
    pub(super) program: PathBuf,
    /// Where the members are.
    pub(super) address: ClusterAddress,
    /// wsrep_cluster_name.
    pub(super) group: String,
    /// Its name in the group.
    pub(super) name: String,
    /// wsrep_sst_donor; empty for any.
    pub(super) donors: String,
    /// What follows `backup:`.
    pub(super) request: String,
    /// Provider options without the listen address.
    pub(super) options: String,
    /// Whether the group speaks TLS: the scheme of the listen address.
    pub(super) tls: bool,
    /// Where it listens.
    pub(super) listen: HostPort,
}

impl GarbdCommand {
    /// The arguments.
    pub(super) fn arguments(&self) -> Vec<String> {
        let scheme = if self.tls { "ssl" } else { "tcp" };
        let mut arguments = vec![
            format!("--address={}", self.address),
            format!("--group={}", self.group),
            format!("--name={}", self.name),
            format!("--sst=backup:{}", self.request),
            format!("--options=gmcast.listen_addr={scheme}://{};{}", self.listen, self.options),
        ];
        if !self.donors.is_empty() {
            arguments.push(format!("--donor={}", self.donors));
        }
        arguments
    }
}

/// A garbd that runs. Dropping it ends it.
pub(super) struct GarbdProcess {
    child: Child,
    /// In the group.
    name: String,
    said: Receiver<String>,
    /// The end of its log.
    pub(super) tail: Vec<String>,
    /// Its working directory.
    _folder: tempfile::TempDir,
}

impl GarbdProcess {
    pub(super) fn start(call: &GarbdCommand) -> Result<Self, AskError> {
        let folder = tempfile::Builder::new()
            .prefix("wsrep_sst_backup-garbd-")
            .tempdir()
            .map_err(|cause| AskError::Failed(format!("cannot make a folder for garbd: {cause}")))?;
        let mut child = Command::new(&call.program)
            .args(call.arguments())
            .current_dir(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|cause| {
                AskError::Failed(format!(
                    "cannot start garbd ('{}'): {cause}; install it (Debian: galera-arbitrator-4, RPM: galera-4), or name it with --garbd",
                    call.program.display()
                ))
            })?;
        let (sender, said) = channel();
        if let Some(log) = child.stderr.take() {
            // Ends with garbd, which closes its log.
            std::thread::spawn(move || {
                for line in BufReader::new(log).split(b'\n').map_while(Result::ok) {
                    let _ = sender.send(String::from_utf8_lossy(&line).into_owned());
                }
            });
        }
        Ok(Self { child, name: call.name.clone(), said, tail: Vec::new(), _folder: folder })
    }

    /// The next thing that means something, until `wait` is over or garbd has ended (`None`).
    pub(super) fn next(&mut self, wait: Duration) -> Next {
        let end = Instant::now() + wait;
        loop {
            match self.said.recv_timeout(end.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    log::debug!("garbd: {line}");
                    if self.tail.len() == KEPT {
                        self.tail.remove(0);
                    }
                    let meaning = read(&line, &self.name);
                    self.tail.push(line);
                    if let Some(said) = meaning {
                        return Next::Said(said);
                    }
                }
                Err(std::sync::mpsc::RecvTimeoutError::Timeout) => return Next::Silence,
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return Next::Ended,
            }
        }
    }

    /// Lets it leave the group, however long it takes within the limit.
    pub(super) fn end(&mut self) {
        if self.has_ended() {
            return;
        }
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
        let end = Instant::now() + LEAVE;
        while Instant::now() < end {
            if self.has_ended() {
                return;
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Whether it has gone by itself.
    pub(super) fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }
}

impl Drop for GarbdProcess {
    fn drop(&mut self) {
        self.end();
    }
}

/// What comes next in the log.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line that means something.
    Said(GarbdLine),
    /// Nothing within the time.
    Silence,
    /// It has closed its log.
    Ended,
}

/// A free address for garbd: the wanted one, or the one from which `peer` is reached, with a port that is free now.
pub(super) fn listen_address(
    wanted: Option<&HostPort>,
    peer: Option<&HostPort>,
) -> Result<HostPort, AskError> {
    guest_address(wanted, peer).map_err(|(place, cause)| {
        AskError::Failed(format!(
            "garbd cannot listen on '{place}': {cause}; name a free address of this machine with --listen HOST:PORT"
        ))
    })
}

/// Why no member takes a connection, each named; nothing where one does.
pub(super) fn why_nobody_answers(address: &ClusterAddress) -> Option<String> {
    let mut causes = Vec::new();
    for member in &address.members {
        match hosts::try_connection(&member.host, member.port.unwrap_or(crate::cluster::GROUP_PORT), CONNECT)
        {
            Ok(()) => return None,
            Err(cause) => causes.push(format!("{member}: {cause}")),
        }
    }
    Some(causes.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_listens_where_the_members_can_reach_it() {
        let peer: HostPort = "127.0.0.1:4567".parse().unwrap();
        let address = listen_address(None, Some(&peer)).unwrap();
        assert_eq!(address.host, "127.0.0.1");
        assert!(address.port.is_some_and(|port| port != 0));
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let wanted = HostPort { host: "127.0.0.1".into(), port: Some(taken.local_addr().unwrap().port()) };
        let error = listen_address(Some(&wanted), Some(&peer)).unwrap_err().to_string();
        assert!(error.contains(&wanted.to_string()) && error.contains("--listen"), "{error}");
    }

    #[test]
    fn a_program_that_is_not_there_is_named_with_the_cure() {
        let call = GarbdCommand {
            program: "/nonexistent/garbd".into(),
            address: "gcomm://a:4567".parse().unwrap(),
            group: "g".into(),
            name: "backup-1".into(),
            donors: "n2,n3".into(),
            request: "req-1".into(),
            options: "pc.weight=0".into(),
            tls: true,
            listen: "127.0.0.1:1".parse().unwrap(),
        };
        let error = GarbdProcess::start(&call).err().unwrap().to_string();
        assert!(error.contains("/nonexistent/garbd") && error.contains("--garbd"), "{error}");
        let expected = "--address=gcomm://a:4567 --group=g --name=backup-1 --sst=backup:req-1 \
                        --options=gmcast.listen_addr=ssl://127.0.0.1:1;pc.weight=0 --donor=n2,n3";
        assert_eq!(call.arguments().join(" "), expected);
    }
}
