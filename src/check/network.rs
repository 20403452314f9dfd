//! What garbd meets on its way into the group: TLS, and the list of those who may join.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use super::finding::Finding;
use crate::cluster::{Coordinates, NodeReport};
use crate::hosts;
use crate::model::provider_option;
use crate::regular_file;

/// Files that TLS of the group needs, by the provider's options.
const TLS_FILES: [&str; 3] = ["socket.ssl_cert", "socket.ssl_key", "socket.ssl_ca"];

/// What is to be told of TLS; relative files count from the data directory.
pub(super) fn judge_tls(options: &str, datadir: &Path) -> Finding {
    const TOPIC: &str = "TLS";
    let of = |name| provider_option(options, name).filter(|value| !value.is_empty());
    let is_yes = |value: &str| matches!(value.to_ascii_lowercase().as_str(), "yes" | "true" | "on" | "1");
    let has_files = TLS_FILES.iter().any(|name| of(name).is_some());
    if !of("socket.ssl").map_or(has_files, is_yes) {
        return Finding::ok(TOPIC, "the group does not use it (socket.ssl)");
    }
    let files: Vec<(&str, PathBuf)> =
        TLS_FILES.iter().filter_map(|name| Some((*name, datadir.join(of(name)?)))).collect();
    let faults: Vec<String> = files
        .iter()
        .filter_map(|(name, path)| {
            Some(format!("{name} {}: {}", path.display(), regular_file::open(path).err()?))
        })
        .collect();
    let names: Vec<String> = files.iter().map(|(_, path)| path.display().to_string()).collect();
    if faults.is_empty() {
        let text = format!("the group uses it; garbd will get {}", names.join(", "));
        return Finding::ok(TOPIC, text);
    }
    let text = format!(
        "the group uses it, and garbd needs the same files, which cannot be read here: {}",
        faults.join("; ")
    );
    Finding::error(
        TOPIC,
        text,
        "let the user that starts garbd read these files, or copy them to where its options say",
    )
}

/// This machine's addresses, as the members at these addresses would see them. Nothing is sent.
pub(super) fn source_addresses(coordinates: &Coordinates) -> Vec<String> {
    let members = coordinates.cluster_address().unwrap_or_default().members;
    let mut sources: Vec<String> = members
        .iter()
        .filter_map(|member| hosts::resolve(&member.host, member.port?).ok()?.into_iter().next())
        .filter_map(|member: SocketAddr| Some(hosts::source_address(member).ok()?.to_string()))
        .collect();
    sources.sort();
    sources.dedup();
    sources
}

/// What is to be told of `mysql.wsrep_allowlist`, which `user` has asked for.
pub(super) fn judge_allowlist(
    list: &Result<Vec<String>, String>,
    sources: &[String],
    report: &NodeReport,
    user: &str,
) -> Finding {
    const TOPIC: &str = "allow-list";
    match list {
        Ok(list) if list.is_empty() => {
            Finding::ok(TOPIC, "anybody may join the group (mysql.wsrep_allowlist is empty)")
        }
        Ok(list) => {
            let missing: Vec<&String> = sources.iter().filter(|source| !list.contains(source)).collect();
            if missing.is_empty() && !sources.is_empty() {
                let text =
                    format!("garbd may join from here ({} in mysql.wsrep_allowlist)", sources.join(", "));
                return Finding::ok(TOPIC, text);
            }
            let own = report.variable("wsrep_node_address").unwrap_or("this machine").to_owned();
            let names: Vec<&str> = if missing.is_empty() {
                vec![own.as_str()]
            } else {
                missing.iter().map(|s| s.as_str()).collect()
            };
            let text = format!(
                "mysql.wsrep_allowlist has {} and lacks {}: garbd could not join from here",
                list.join(", "),
                names.join(", ")
            );
            let values: Vec<String> = names.iter().map(|name| format!("('{name}')")).collect();
            Finding::warning(
                TOPIC,
                text,
                format!("INSERT INTO mysql.wsrep_allowlist VALUES {}", values.join(",")),
            )
        }
        Err(why) => Finding::warning(
            TOPIC,
            format!("mysql.wsrep_allowlist cannot be read, so it is not known whether garbd may join: {why}"),
            format!("GRANT SELECT ON mysql.wsrep_allowlist TO '{user}'@localhost"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn the_files_of_tls_must_be_there() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("c.pem"), "").unwrap();
        for (options, level, text) in [
            ("gcache.size=1G;socket.checksum=2", Level::Ok, "does not use it"),
            ("socket.ssl=no;socket.ssl_cert=c.pem", Level::Ok, "does not use it"),
            ("socket.ssl = YES; socket.ssl_cert = c.pem; socket.ssl_key=c.pem", Level::Ok, "garbd will get"),
            ("socket.ssl_cert=c.pem;socket.ssl_key=k.pem", Level::Error, "k.pem: No such file"),
        ] {
            let finding = judge_tls(options, folder.path());
            assert!(finding.level == level && finding.text.contains(text), "{options}: {finding:?}");
        }
    }

    #[test]
    fn every_address_that_garbd_may_come_from_must_be_listed() {
        let report =
            NodeReport::of(Endpoint::Socket("/s".into()), &[("wsrep_node_address", "10.0.0.1")], &[]);
        let texts = |list: &[&str]| list.iter().map(ToString::to_string).collect::<Vec<_>>();
        for (list, sources, level, text) in [
            (Ok(vec![]), texts(&["10.0.0.1"]), Level::Ok, "anybody may join"),
            (Ok(texts(&["10.0.0.2", "10.0.0.1"])), texts(&["10.0.0.1"]), Level::Ok, "may join from here"),
            (Ok(texts(&["10.0.0.2"])), texts(&["10.0.0.1"]), Level::Warning, "lacks 10.0.0.1"),
            (Ok(texts(&["10.0.0.2"])), vec![], Level::Warning, "lacks 10.0.0.1"),
            (Err("WHY".into()), vec![], Level::Warning, "WHY"),
        ] {
            let finding = judge_allowlist(&list, &sources, &report, "root");
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
    }

    #[test]
    fn the_way_to_a_member_tells_the_address() {
        let coordinates =
            Coordinates { address: Some("gcomm://127.0.0.1:1,127.0.0.1:2".into()), ..Coordinates::default() };
        assert_eq!(source_addresses(&coordinates), ["127.0.0.1"]);
        assert!(source_addresses(&Coordinates::default()).is_empty());
    }
}
