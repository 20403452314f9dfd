//! Whoever visits a group for a short time, garbd with a request or a server that is drilled: what it must share with the members, where
//! it finds them, and where they reach it.

use std::io;
use std::net::IpAddr;

use super::address::{ClusterAddress, GROUP_PORT};
use super::coordinates::Coordinates;
use super::node_report::NodeReport;
use super::survey::Survey;
use crate::hosts;
use crate::model::{HostPort, provider_option};

/// Provider options that a guest must share with the members: how they talk, and when they take each other for dead.
const SHARED: [&str; 15] = [
    "evs.inactive_check_period",
    "evs.inactive_timeout",
    "evs.install_timeout",
    "evs.keepalive_period",
    "evs.suspect_timeout",
    "gmcast.segment",
    "socket.checksum",
    "socket.ssl",
    "socket.ssl_ca",
    "socket.ssl_cert",
    "socket.ssl_cipher",
    "socket.ssl_compression",
    "socket.ssl_key",
    "socket.ssl_password_file",
    "gmcast.mcast_addr",
];

/// Provider options in which a server that is a guest must be as the members are: what they all agree upon, and how they talk. One that ends in a
/// dot is the beginning of a name.
const OF_THE_GROUP: [&str; 14] = [
    "evs.",
    "gcs.vote_policy",
    "gmcast.mcast_addr",
    "gmcast.peer_timeout",
    "gmcast.time_wait",
    "pc.announce_timeout",
    "pc.checksum",
    "pc.linger",
    "repl.max_ws_size",
    "socket.checksum",
    "socket.dynamic",
    "socket.ssl",
    "socket.ssl_cipher",
    "socket.ssl_compression",
];
/// Those of `evs.` that are one member's own affair: a guest puts nobody out of the group.
const OWN_AFFAIRS: [&str; 4] = ["evs.auto_evict", "evs.debug_log_mask", "evs.evict", "evs.info_log_mask"];
/// Where keys are, which is another place on each machine.
const KEYS: [&str; 4] = ["socket.ssl_ca", "socket.ssl_cert", "socket.ssl_key", "socket.ssl_password_file"];

/// The options of a server that is a guest: those of the group as a `member` has them, keys as the option files of this machine say
/// (`here`); each as `name=value`.
pub fn guest_options(member: &str, here: &str) -> Vec<String> {
    let pairs = member.split(';').filter_map(|pair| pair.split_once('='));
    let is_groups = |name: &str| {
        let is_one = |known: &&str| name == *known || (known.ends_with('.') && name.starts_with(*known));
        OF_THE_GROUP.iter().any(is_one) && !OWN_AFFAIRS.contains(&name)
    };
    let mut options: Vec<String> = pairs
        .map(|(name, value)| (name.trim(), value.trim()))
        .filter(|(name, value)| is_groups(name) && !value.is_empty())
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let key = |name: &&str| {
        let value = provider_option(here, name).filter(|value| !value.is_empty())?;
        Some(format!("{name}={value}"))
    };
    if speaks_tls(member) {
        options.extend(KEYS.iter().filter_map(key));
    }
    options
}

/// Those of [`SHARED`] that are set, each as `name=value`.
pub fn shared_options(options: &str) -> Vec<String> {
    let is_set = |value: &&str| !value.is_empty() && !value.eq_ignore_ascii_case("no");
    SHARED
        .iter()
        .filter_map(|name| {
            provider_option(options, name).filter(is_set).map(|value| format!("{name}={value}"))
        })
        .collect()
}

/// As Galera decides it (`galerautils/src/gu_asio.cpp`): on by `socket.ssl`, else by a key and a certificate.
pub fn speaks_tls(options: &str) -> bool {
    let on = |value: &str| ["yes", "1", "true", "on"].iter().any(|yes| value.eq_ignore_ascii_case(yes));
    match provider_option(options, "socket.ssl") {
        Some(value) => on(value),
        None => provider_option(options, "socket.ssl_cert").is_some_and(|cert| !cert.is_empty()),
    }
}

/// Where the members are: by what is known, else by what those that have answered say of themselves. No member where neither tells.
pub fn address_for_guests(known: &Coordinates, survey: &Survey) -> Result<ClusterAddress, String> {
    let mut address = known.cluster_address()?;
    // Options behind the '?' are for the node that has them; a guest gets its own.
    address.options = None;
    if address.members.is_empty() {
        address.members = survey.reports.iter().filter_map(group_address).collect();
    }
    Ok(address)
}

/// The same with the members that have answered first, each where it is reached by the others: what is known may name some that are gone.
pub fn address_of_members(known: &Coordinates, survey: &Survey) -> Result<ClusterAddress, String> {
    let mut members: Vec<HostPort> = survey.reports.iter().filter_map(group_address).collect();
    for member in address_for_guests(known, survey)?.members {
        if !members.contains(&member) {
            members.push(member);
        }
    }
    Ok(ClusterAddress { members, options: None })
}

/// Where a member is reached by the others. A running server's options have all of it: where it listens for the group has a port of its own where that
/// is not `base_port`.
pub fn group_address(report: &NodeReport) -> Option<HostPort> {
    let options = report.variable("wsrep_provider_options")?;
    let host = provider_option(options, "base_host").filter(|host| !host.is_empty())?;
    let number = |port: &str| port.parse().ok();
    let listens = provider_option(options, "gmcast.listen_addr")
        .and_then(|address| number(address.rsplit_once(':')?.1));
    let port = listens.or_else(|| provider_option(options, "base_port").and_then(number));
    let host = host.trim_matches(['[', ']']).to_owned();
    Some(HostPort { host, port }.or_port(GROUP_PORT))
}

/// Where a guest listens that `peer` is to reach: at the address and the port that are wanted, else at the one that a connection to `peer`
/// would have, at a port that is free. An error has the place, with its port where one was wanted.
pub fn guest_address(
    wanted: Option<&HostPort>,
    peer: Option<&HostPort>,
) -> Result<HostPort, (HostPort, io::Error)> {
    let host = wanted.map_or_else(|| local_address(peer).to_string(), |wanted| wanted.host.clone());
    let port = wanted.and_then(|wanted| wanted.port).unwrap_or(0);
    // The listener is closed at once; the system does not give this port to another process so soon.
    let bound = hosts::resolve(&host, port).and_then(|addresses| hosts::free_port(&addresses));
    match bound {
        Ok(port) => Ok(HostPort { host, port: Some(port) }),
        Err(cause) => Err((HostPort { host, port: (port != 0).then_some(port) }, cause)),
    }
}

/// The local address that a connection to `peer` would have.
fn local_address(peer: Option<&HostPort>) -> IpAddr {
    let any = IpAddr::from([0, 0, 0, 0]);
    let Some(peer) = peer else { return any };
    let port = peer.port.unwrap_or(GROUP_PORT);
    let peers = hosts::resolve(&peer.host, port).unwrap_or_default();
    peers.into_iter().find_map(|peer| hosts::source_address(peer).ok()).unwrap_or(any)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::Endpoint;

    #[test]
    fn what_is_the_groups_comes_from_a_member_and_keys_from_here() {
        let member = "base_host = db1; evs.suspect_timeout = PT9S; evs.auto_evict = 3; evs.evict = ; evs.info_log_mask = 0; gcache.size = 1G; \
                      gmcast.segment = 2; pc.weight = 3; socket.ssl = YES; socket.ssl_cert = /theirs; socket.ssl_cipher = AES; ";
        let here = "evs.suspect_timeout=PT1S;gcache.size=2G;socket.ssl=no;socket.ssl_cert=/ours;socket.ssl_key=/key;pc.weight=1";
        let options = guest_options(member, here);
        let expected = [
            "evs.suspect_timeout=PT9S",
            "socket.ssl=YES",
            "socket.ssl_cipher=AES",
            "socket.ssl_cert=/ours",
            "socket.ssl_key=/key",
        ];
        assert_eq!(options, expected);
        assert!(speaks_tls(&options.join(";")));
        // A group without TLS has none, whatever keys are here.
        assert_eq!(guest_options("base_host = db1; ", here), Vec::<String>::new());
        assert_eq!(guest_options("socket.ssl = NO; ", here), ["socket.ssl=NO"]);
    }

    #[test]
    fn members_that_have_answered_come_before_those_that_were_once_named() {
        let member = |options: &str| {
            NodeReport::of(Endpoint::Tcp("a".parse().unwrap()), &[("wsrep_provider_options", options)], &[])
        };
        let options = [
            "base_host = db1; base_port = 4567; ",
            "base_host = db2; base_port = 4567; gmcast.listen_addr = ssl://0.0.0.0:4570; ",
            "base_port = 1; ",
        ];
        let survey = Survey { reports: options.map(member).to_vec(), ..Survey::default() };
        let known = Coordinates { address: Some("gcomm://db0,db1".into()), ..Coordinates::default() };
        let address = address_of_members(&known, &survey).unwrap();
        assert_eq!(address.to_string(), "gcomm://db1:4567,db2:4570,db0:4567");
    }
}
