//! The drilled server as a member: its arguments, its way into the group, and what its log says of that.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::super::error::DrillError;
use super::super::home::last_words;
use super::super::server::DrillServer;
use super::look::CalmCluster;
use super::request::JoinRequest;
use super::script::{JoinerScript, METHOD};
use crate::cluster::{Coordinates, Survey, address_for_guests, guest_address, shared_options, speaks_tls};
use crate::model::{HostPort, provider_option, random_word};

/// Where distributions put Galera's library.
const PROVIDERS: [&str; 4] = [
    "/usr/lib/galera/libgalera_smm.so",
    "/usr/lib64/galera-4/libgalera_smm.so",
    "/usr/lib/galera-4/libgalera_smm.so",
    "/usr/lib64/galera/libgalera_smm.so",
];
/// Whatever the members have: no vote, no brake, a small cache.
const ALWAYS: [&str; 6] = [
    "pc.weight=0",
    "gcs.fc_limit=1000000000",
    "gcs.fc_factor=1.0",
    "gcache.size=32M",
    "gcache.page_size=32M",
    "gcache.recover=no",
];
/// The last one that each version of Galera takes (`gmcast.segment`).
const LAST_SEGMENT: u8 = 254;
/// Tries to find another free port for IST than that of the group.
const PORTS: u32 = 10;
/// Between two looks at the server.
const POLL: Duration = Duration::from_millis(20);
/// A server that says nothing for so long is given up: one that receives write sets says how far it is.
const STALLED: Duration = Duration::from_secs(600);
/// What the log says when the joiner's script is started, when a donor was found, and when the server is Synced.
const ASKING: &str = "--role 'joiner'";
const ASKED: &str = "Requesting state transfer: success";
const SYNCED: &str = "Shifting JOINED -> SYNCED";
/// What it says before the position at the end of IST.
const RECEIVED: &str = "IST received: ";
/// What the log says before the number of write sets.
const RECEIVING: &str = "Receiving IST: ";
/// What it says where write sets do not fit to the rows: `wsrep_apply_events` of the server, and Galera.
const CONTRADICTIONS: [&str; 3] = [" apply failed: ", "Inconsistency detected", "Inconsistent by consensus"];

/// How the server is started that is to join.
#[derive(Debug)]
pub(super) struct MemberArguments {
    pub(super) words: Vec<String>,
}

impl MemberArguments {
    /// By what the members say; an error where this machine lacks something.
    pub(super) fn new(wanted: &JoinRequest, before: &CalmCluster) -> Result<Self, DrillError> {
        let survey = &before.survey;
        let answered = survey.reports.first().map(Coordinates::from_report).unwrap_or_default();
        // Paths of keys are those of this machine.
        let options = wanted.files.provider_options.as_ref().or(answered.provider_options.as_ref());
        let mut options = shared_options(options.map_or("", String::as_str));
        options.retain(|option| !option.starts_with("gmcast.segment="));
        options.extend(wanted.provider_options.clone());
        let known = answered.or(wanted.files.clone());
        let address = address_for_guests(&known, survey)
            .map_err(|why| undone(&format!("the address of the cluster (wsrep_cluster_address): {why}")))?;
        let peer = address.members.first().ok_or_else(|| undone("no member tells where the group is"))?;
        let (listen, ist) = places(wanted, peer)?;
        let scheme = if speaks_tls(&options.join(";")) { "ssl" } else { "tcp" };
        options.extend(ALWAYS.map(str::to_owned));
        options.extend([
            format!("gmcast.segment={}", free_segment(survey)),
            format!("gmcast.listen_addr={scheme}://{listen}"),
            format!("ist.recv_addr={ist}"),
        ]);
        let own = [
            ("wsrep-on", "ON".to_owned()),
            ("wsrep-provider", provider(wanted)?.display().to_string()),
            ("wsrep-cluster-name", known.group.unwrap_or_default()),
            ("wsrep-cluster-address", address.to_string()),
            ("wsrep-sst-method", METHOD.to_owned()),
            ("wsrep-sst-receive-address", listen.to_string()),
            // It carries out what the group says of accounts.
            ("skip-grant-tables", "OFF".to_owned()),
            ("wsrep-node-name", format!("drill-{}", random_word())),
            ("wsrep-node-address", listen.to_string()),
            // Nobody answers SQL there, nor anywhere else.
            ("wsrep-node-incoming-address", listen.to_string()),
            ("wsrep-provider-options", options.join(";")),
            ("binlog-format", "ROW".to_owned()),
            ("innodb-autoinc-lock-mode", "2".to_owned()),
            ("read-only", "ON".to_owned()),
        ];
        let tls = wanted.tls.iter().map(|(name, value)| format!("--loose-{name}={value}"));
        let words = own.iter().map(|(name, value)| format!("--{name}={value}")).chain(tls).collect();
        Ok(Self { words })
    }
}

fn undone(why: &str) -> DrillError {
    DrillError::Undone(format!("the server cannot join the cluster: {why}"))
}

/// Where it listens for the group, and for its donor.
fn places(wanted: &JoinRequest, peer: &HostPort) -> Result<(HostPort, HostPort), DrillError> {
    let place = |wanted: Option<&HostPort>, flag: &str| {
        guest_address(wanted, Some(peer)).map_err(|(place, cause)| {
            undone(&format!("'{place}' cannot be listened on: {cause}; name a free address of this machine with {flag} HOST:PORT"))
        })
    };
    let listen = place(wanted.listen.as_ref(), "--listen")?;
    for _ in 0..PORTS {
        let ist = match &wanted.ist_listen {
            Some(ist) => place(Some(ist), "--ist-listen")?,
            None => place(Some(&HostPort { host: listen.host.clone(), port: None }), "--ist-listen")?,
        };
        if ist != listen {
            return Ok((listen, ist));
        }
    }
    Err(undone(&format!("'{listen}' cannot be the place of both --listen and --ist-listen")))
}

fn provider(wanted: &JoinRequest) -> Result<PathBuf, DrillError> {
    let usual = || PROVIDERS.iter().map(PathBuf::from).find(|path| path.exists());
    wanted.provider.clone().filter(|path| Path::exists(path)).or_else(usual).ok_or_else(|| {
        undone("Galera is not installed here (libgalera_smm.so): install galera-4, or name it as wsrep_provider in the server's option files")
    })
}

/// A segment that no member is in.
fn free_segment(survey: &Survey) -> u8 {
    let options = survey.reports.iter().filter_map(|report| report.variable("wsrep_provider_options"));
    let taken: Vec<u8> =
        options.filter_map(|options| provider_option(options, "gmcast.segment")?.parse().ok()).collect();
    (0..=LAST_SEGMENT).rev().find(|segment| !taken.contains(segment)).unwrap_or(LAST_SEGMENT)
}

/// Waits until the server is a member that is Synced; why it is not, in words. When it is about to ask for a donor `may_ask` says whether it may.
pub(super) fn join(
    server: &DrillServer<'_>,
    script: &JoinerScript,
    may_ask: &dyn Fn() -> Result<(), String>,
) -> Result<(), String> {
    let (mut is_answered, mut has_donor) = (false, false);
    let mut heard = (0, Instant::now());
    loop {
        if let Some(why) = server.given_up() {
            return Err(why);
        }
        let log = server.log();
        if log.contains(SYNCED) {
            return Ok(());
        }
        if let Some(status) = server.status()? {
            return Err(format!("the server has ended ({status}): {}", last_words(&server.log())));
        }
        if !is_answered && log.contains(ASKING) {
            let may = may_ask();
            script.answer(may.is_ok())?;
            may?;
            is_answered = true;
        }
        if !has_donor && log.contains(ASKED) {
            script.is_asked()?;
            has_donor = true;
        }
        let end = server.home().log_end();
        if end != heard.0 {
            heard = (end, Instant::now());
        } else if heard.1.elapsed() >= STALLED {
            return Err(format!("it has said nothing for {} s: {}", STALLED.as_secs(), last_words(&log)));
        }
        std::thread::sleep(POLL);
    }
}

/// Where it stood when it had received everything, by its log.
pub(super) fn position(log: &str) -> Option<String> {
    let told = |line: &str| Some(line.split_once(RECEIVED)?.1.trim().to_owned());
    log.lines().rev().find_map(told)
}

/// Write sets that came by IST, by the server's log.
pub(super) fn received(log: &str) -> u64 {
    let number = |line: &str| line.split_once(RECEIVING)?.1.split_whitespace().next()?.parse().ok();
    log.lines().find_map(number).unwrap_or(0)
}

/// Whether write sets did not fit to the rows.
pub(super) fn contradicts(log: &str) -> bool {
    CONTRADICTIONS.iter().any(|text| log.contains(text))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::{Access, NodeReport};
    use crate::config::{OptionFiles, ServerOptions, Settings};
    use crate::sql::Endpoint;

    fn calm(segment: &str) -> CalmCluster {
        let options = format!(
            "base_host = 127.0.0.1; base_port = 4444; gmcast.segment = {segment}; socket.ssl_cert = /theirs; evs.suspect_timeout = PT9S; "
        );
        let variables = [
            ("wsrep_node_name", "n1"),
            ("wsrep_cluster_name", "lab"),
            ("wsrep_cluster_address", "gcomm://"),
            ("wsrep_provider_options", options.as_str()),
        ];
        let report = NodeReport::of(Endpoint::Tcp("127.0.0.1".parse().unwrap()), &variables, &[]);
        CalmCluster { survey: Survey { reports: vec![report], ..Survey::default() }, size: 1 }
    }

    fn request(args: &[&str]) -> JoinRequest {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let server = ServerOptions::from(&OptionFiles::default(), &args, None);
        let mut request = JoinRequest::new(Access::to_members(&Settings::default(), None), &server, None);
        request.provider.get_or_insert_with(|| "/dev/null".into());
        request
    }

    #[test]
    fn a_guest_has_no_weight_no_brake_no_clients_and_a_segment_of_its_own() {
        let found = MemberArguments::new(&request(&[]), &calm("254")).unwrap();
        let text = found.words.join(" ");
        for part in [
            "--wsrep-cluster-address=gcomm://127.0.0.1:4444",
            "--wsrep-cluster-name=lab",
            "--wsrep-node-name=drill-",
            ";pc.weight=0;gcs.fc_limit=1000000000;",
            ";gmcast.segment=253;gmcast.listen_addr=ssl://127.0.0.1:",
            "=evs.suspect_timeout=PT9S;",
            "--read-only=ON",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn keys_are_those_of_this_machine_and_fixed_ports_are_kept() {
        let mut wanted = request(&[
            "--wsrep-provider-options=socket.ssl_cert=/ours;pc.weight=3",
            "--wsrep-ssl-mode=SERVER",
            "--ssl-cert=/server",
        ]);
        wanted.provider_options = Some("socket.ssl_ca=/flag;pc.weight=2".into());
        let free = || guest_address(Some(&"127.0.0.1".parse().unwrap()), None).unwrap();
        let (group, ist) = (free(), free());
        wanted.listen = Some(group.clone());
        wanted.ist_listen = Some(ist.clone());
        let text = MemberArguments::new(&wanted, &calm("0")).unwrap().words.join(" ");
        assert!(
            text.contains("=socket.ssl_cert=/ours;socket.ssl_ca=/flag;pc.weight=2;pc.weight=0;"),
            "{text}"
        );
        assert!(text.contains(&format!("gmcast.listen_addr=ssl://{group};ist.recv_addr={ist}")), "{text}");
        assert!(text.ends_with("--loose-ssl-cert=/server --loose-wsrep-ssl-mode=SERVER"), "{text}");
        wanted.ist_listen = Some(group);
        let why = MemberArguments::new(&wanted, &calm("0")).unwrap_err().to_string();
        assert!(why.contains("of both --listen and --ist-listen"), "{why}");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        wanted.ist_listen = Some(taken.local_addr().unwrap().to_string().parse().unwrap());
        let why = MemberArguments::new(&wanted, &calm("0")).unwrap_err().to_string();
        assert!(why.contains("--ist-listen HOST:PORT"), "{why}");
    }

    #[test]
    fn the_log_tells_what_came_and_what_did_not_fit() {
        let log = "x\n2026-11-20 11:34:52 2 [Note] WSREP: Receiving IST: 4 writesets, seqnos 13-16\ny\n";
        assert_eq!((received(log), received("nothing")), (4, 0));
        assert!(!contradicts(log));
        assert!(contradicts("[Warning] WSREP: Event 3 Write_rows_v1 apply failed: 121, seqno 14"));
    }
}
