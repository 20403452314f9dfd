//! The drilled server as a member: the arguments with which it is started.

use super::super::error::DrillError;
use super::look::CalmCluster;
use super::request::JoinRequest;
use super::script::METHOD;
use crate::cluster::{Coordinates, Survey, address_of_members, guest_address, guest_options, speaks_tls};
use crate::model::{DRILL_INCOMING, HostPort, drill_name, provider_option, random_number};

/// Whatever the members have and the administrator wants: no vote, and no Primary component but that of the members; no brake, a small cache.
const ALWAYS: [&str; 9] = [
    "pc.weight=0",
    "pc.ignore_quorum=false",
    "pc.ignore_sb=false",
    "pc.npvo=false",
    "gcs.fc_limit=1000000000",
    "gcs.fc_factor=1.0",
    "gcache.size=32M",
    "gcache.page_size=32M",
    "gcache.recover=no",
];
/// How many there are that each version of Galera takes, from 1 on (`gmcast.segment`): 0 is that of everybody who is told none.
const SEGMENTS: u64 = 254;
/// Tries to find another free port for IST than that of the group.
const PORTS: u32 = 10;

/// How the server is started that is to join.
#[derive(Debug)]
pub(super) struct MemberArguments {
    pub(super) words: Vec<String>,
    /// Its name in the group.
    pub(super) name: String,
}

impl MemberArguments {
    /// By what the members say; an error where this machine lacks something.
    pub(super) fn new(wanted: &JoinRequest, before: &CalmCluster) -> Result<Self, DrillError> {
        let survey = &before.survey;
        let donor = survey.report(&before.donor).map(Coordinates::from_report).unwrap_or_default();
        let here = wanted.files.provider_options.as_deref().unwrap_or_default();
        let mut options = guest_options(donor.provider_options.as_deref().unwrap_or_default(), here);
        options.extend(wanted.provider_options.clone());
        let known = donor.or(wanted.files.clone());
        let address = address_of_members(&known, survey)
            .map_err(|why| undone(&format!("the address of the cluster (wsrep_cluster_address): {why}")))?;
        let peer = address.members.first().ok_or_else(|| undone("no member tells where the group is"))?;
        let (listen, ist) = places(wanted, peer)?;
        let speaks_tls = speaks_tls(&options.join(";"));
        if speaks_tls
            && wanted.tls.is_empty()
            && provider_option(&options.join(";"), "socket.ssl_cert").is_none()
        {
            return Err(undone(
                "the members speak TLS, and the server's option files here name no certificate for that: name it with \
                 --provider-options 'socket.ssl_cert=…;socket.ssl_key=…;socket.ssl_ca=…'",
            ));
        }
        let scheme = if speaks_tls { "ssl" } else { "tcp" };
        options.extend(ALWAYS.map(str::to_owned));
        options.extend([
            format!("gmcast.segment={}", free_segment(survey)),
            format!("gmcast.listen_addr={scheme}://{listen}"),
            format!("ist.recv_addr={ist}"),
        ]);
        let name = drill_name();
        let own = [
            ("wsrep-on", "ON".to_owned()),
            ("wsrep-provider", before.library.display().to_string()),
            ("wsrep-cluster-name", known.group.unwrap_or_default()),
            ("wsrep-cluster-address", address.to_string()),
            ("wsrep-sst-method", METHOD.to_owned()),
            // No comma behind it: then Galera would take another one where this one cannot.
            ("wsrep-sst-donor", before.donor.clone()),
            ("wsrep-sst-receive-address", listen.to_string()),
            // It carries out what the group says of accounts.
            ("skip-grant-tables", "OFF".to_owned()),
            ("wsrep-node-name", name.clone()),
            ("wsrep-node-address", listen.to_string()),
            ("wsrep-node-incoming-address", DRILL_INCOMING.to_owned()),
            ("wsrep-provider-options", options.join(";")),
            ("binlog-format", "ROW".to_owned()),
            ("innodb-autoinc-lock-mode", "2".to_owned()),
            ("read-only", "ON".to_owned()),
            // It need not be clean when it ends, but gone soon.
            ("innodb-fast-shutdown", "2".to_owned()),
        ];
        let tls = wanted.tls.iter().map(|(name, value)| format!("--loose-{name}={value}"));
        let words = own.iter().map(|(name, value)| format!("--{name}={value}")).chain(tls).collect();
        Ok(Self { words, name })
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

/// A segment that no member is in; another one each time, so that two drills at once do not share it.
fn free_segment(survey: &Survey) -> u64 {
    let options = survey.reports.iter().filter_map(|report| report.variable("wsrep_provider_options"));
    let taken: Vec<u64> =
        options.filter_map(|options| provider_option(options, "gmcast.segment")?.parse().ok()).collect();
    let first = random_number() % SEGMENTS;
    let mut all = (0..SEGMENTS).map(|step| 1 + (first + step) % SEGMENTS);
    all.find(|segment| !taken.contains(segment)).unwrap_or(SEGMENTS)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::NodeReport;
    use crate::sql::Endpoint;

    const TLS: &str = "socket.ssl = YES; socket.ssl_cert = /theirs; ";

    fn calm(segment: &str, tls: &str) -> CalmCluster {
        let options = format!(
            "base_host = 127.0.0.1; base_port = 4444; gmcast.segment = {segment}; {tls}evs.suspect_timeout = PT9S; "
        );
        let variables = [
            ("wsrep_node_name", "n1"),
            ("wsrep_cluster_name", "lab"),
            ("wsrep_cluster_address", "gcomm://"),
            ("wsrep_provider_options", options.as_str()),
        ];
        let report = NodeReport::of(Endpoint::Tcp("127.0.0.1".parse().unwrap()), &variables, &[]);
        CalmCluster {
            survey: Survey { reports: vec![report], ..Survey::default() },
            size: 1,
            donor: "n1".into(),
            library: "/galera.so".into(),
        }
    }

    #[test]
    fn a_guest_has_no_weight_no_brake_no_clients_and_a_segment_of_its_own() {
        let found = MemberArguments::new(&JoinRequest::for_tests(&[]), &calm("7", "")).unwrap();
        let text = found.words.join(" ");
        for part in [
            "--wsrep-cluster-address=gcomm://127.0.0.1:4444",
            "--wsrep-cluster-name=lab",
            "--wsrep-node-name=backup-drill-",
            "--wsrep-sst-donor=n1 ",
            "--wsrep-node-incoming-address=127.0.0.1:1 ",
            "pc.weight=0;pc.ignore_quorum=false;pc.ignore_sb=false;pc.npvo=false;gcs.fc_limit=1000000000;",
            "--wsrep-provider=/galera.so ",
            ";gmcast.listen_addr=tcp://127.0.0.1:",
            "=evs.suspect_timeout=PT9S;pc.weight=0;",
            "--read-only=ON",
        ] {
            assert!(text.contains(part), "no {part} in {text}");
        }
    }

    #[test]
    fn a_segment_is_one_that_no_member_is_in_and_another_one_each_time() {
        let survey = calm("7", "").survey;
        let mut found: Vec<u64> = (0..200).map(|_| free_segment(&survey)).collect();
        assert!(found.iter().all(|segment| (1..=SEGMENTS).contains(segment) && *segment != 7), "{found:?}");
        found.sort_unstable();
        found.dedup();
        assert!(found.len() > 20, "{found:?}");
    }

    #[test]
    fn keys_are_those_of_this_machine_and_fixed_ports_are_kept() {
        let mut wanted = JoinRequest::for_tests(&[
            "--wsrep-provider-options=socket.ssl_cert=/ours;pc.weight=3;evs.suspect_timeout=PT1S",
            "--wsrep-ssl-mode=SERVER",
            "--ssl-cert=/server",
        ]);
        wanted.provider_options = Some("socket.ssl_ca=/flag;pc.ignore_sb=true;pc.weight=2".into());
        let free = || guest_address(Some(&"127.0.0.1".parse().unwrap()), None).unwrap();
        let (group, ist) = (free(), free());
        wanted.listen = Some(group.clone());
        wanted.ist_listen = Some(ist.clone());
        let text = MemberArguments::new(&wanted, &calm("0", TLS)).unwrap().words.join(" ");
        assert!(
            text.contains("=socket.ssl=YES;evs.suspect_timeout=PT9S;socket.ssl_cert=/server;socket.ssl_ca=/flag;pc.ignore_sb=true;pc.weight=2;pc.weight=0;pc.ignore_quorum=false;pc.ignore_sb=false;"),
            "{text}"
        );
        assert!(text.contains(&format!("gmcast.listen_addr=ssl://{group};ist.recv_addr={ist}")), "{text}");
        assert!(text.ends_with("--loose-ssl-cert=/server --loose-wsrep-ssl-mode=SERVER"), "{text}");
        wanted.ist_listen = Some(group);
        let why = MemberArguments::new(&wanted, &calm("0", TLS)).unwrap_err().to_string();
        assert!(why.contains("of both --listen and --ist-listen"), "{why}");
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        wanted.ist_listen = Some(taken.local_addr().unwrap().to_string().parse().unwrap());
        let why = MemberArguments::new(&wanted, &calm("0", TLS)).unwrap_err().to_string();
        assert!(why.contains("--ist-listen HOST:PORT"), "{why}");
    }

    #[test]
    fn members_that_speak_tls_are_not_joined_without_a_certificate() {
        let why =
            MemberArguments::new(&JoinRequest::for_tests(&[]), &calm("0", TLS)).unwrap_err().to_string();
        assert!(why.contains("name no certificate"), "{why}");
    }
}
