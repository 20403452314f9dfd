//! The masters of a server by its files, where it does not tell them itself: `master.info` and `relay-log.info`, for named
//! connections `master-<name>.info` and `relay-log-<name>.info` (`sql/rpl_mi.cc`, `flush_master_info`; `sql/rpl_rli.cc`,
//! `Relay_log_info::flush`). A first line that is a number says how many lines follow.

use std::fs;
use std::io;
use std::path::Path;

use super::facts::Facts;
use super::layout::ServerLayout;
use crate::model::{Connection, ConnectionSource, encode_char};
use crate::regular_file;

/// Such a file is a few hundred bytes.
const LARGEST: u64 = 1 << 20;

impl Facts {
    /// None from whom it replicates, where that is certain. How far it has come at a moment that is over is not.
    pub(super) fn no_replication(&mut self) -> Option<Vec<Connection>> {
        if self.masters == Some(0) {
            return Some(Vec::new());
        }
        self.warnings.push(
            "whether this server replicated from another one, and from where on, is not in this backup: mariadb-backup takes its \
             position while the server runs"
                .into(),
        );
        None
    }

    /// From whom the server replicates and how far it has come: asked again under the freeze, where it has masters; else,
    /// where it does not tell, by its files. None where neither tells, with a warning.
    pub fn replication(&mut self, layout: &ServerLayout) -> Option<Vec<Connection>> {
        if self.masters == Some(0) {
            return Some(Vec::new());
        }
        if let (Some(_), Some(sql)) = (self.masters, &mut self.sql) {
            match sql.replica_status() {
                Ok(status) => return Some(status.into_iter().map(|status| status.connection).collect()),
                Err(why) => log::info!("the server does not tell its masters ({why}); its files do"),
            }
        }
        connections_in_files(layout)
            .inspect_err(|error| {
                let text = format!("whether this server replicates from another one, and from where on, is not known: {error}");
                self.warnings.push(text);
            })
            .ok()
    }
}

/// The connections that the files tell of.
pub fn connections_in_files(layout: &ServerLayout) -> io::Result<Vec<Connection>> {
    let [masters, relays] = [0, 1].map(|at| layout.relay.families.get(at));
    let (Some(masters), Some(relays)) = (masters, relays) else { return Ok(Vec::new()) };
    let folder = masters.parent().unwrap_or(Path::new("/"));
    let (stem, extension) = parts(masters);
    let names = read(&masters.with_file_name(format!("multi-{}", file_name(masters))))?;
    let mut found = Vec::new();
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(found),
        listing => listing?,
    };
    for path in listing.map(|entry| entry.map(|entry| entry.path())) {
        let path = path?;
        let name = file_name(&path);
        let Some(middle) = name.strip_prefix(&stem).and_then(|rest| rest.strip_suffix(&extension)) else {
            continue;
        };
        if !middle.is_empty() && !middle.starts_with('-') {
            continue;
        }
        let (relay_stem, relay_extension) = parts(relays);
        let relay = read(&relays.with_file_name(format!("{relay_stem}{middle}{relay_extension}")))?;
        let encoded = middle.strip_prefix('-').unwrap_or_default();
        let name = names.iter().find(|name| encode(name) == encoded);
        let name = name.map_or_else(|| encoded.to_owned(), Clone::clone);
        found.extend(connection(name, &read(&path)?, &relay));
    }
    found.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(found)
}

fn file_name(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// A connection's name as its files bear it: `cmp_connection_name`, in lower case.
fn encode(name: &str) -> String {
    name.to_lowercase().chars().map(encode_char).collect()
}

/// `master` and `.info`.
fn parts(path: &Path) -> (String, String) {
    let name = file_name(path);
    let at = name.rfind('.').unwrap_or(name.len());
    (name[..at].to_owned(), name[at..].to_owned())
}

/// Lines of a small file; none where there is no file.
fn read(path: &Path) -> io::Result<Vec<String>> {
    match fs::metadata(path) {
        Ok(data) if data.is_file() && data.len() <= LARGEST => {}
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => return Ok(Vec::new()),
    }
    Ok(String::from_utf8_lossy(&regular_file::read(path, LARGEST)?).lines().map(str::to_owned).collect())
}

/// From the lines of both files; none where they name no master.
fn connection(name: String, master: &[String], relay: &[String]) -> Option<Connection> {
    let (master_lines, relay_lines) = (counted(master), counted(relay));
    let line = |lines: &[String], at: usize| lines.get(at).filter(|line| !line.is_empty()).cloned();
    let applied = line(relay_lines, 2).zip(relay_lines.get(3).and_then(|position| position.parse().ok()));
    let using_gtid = master.iter().find_map(|line| match line.strip_prefix("using_gtid=")? {
        "0" => Some("No"),
        "1" => Some("Current_Pos"),
        "2" => Some("Slave_Pos"),
        _ => None,
    });
    Some(Connection {
        name,
        host: line(master_lines, 2)?,
        user: line(master_lines, 3).unwrap_or_default(),
        // Line 4 is the password.
        port: line(master_lines, 5).and_then(|port| port.parse().ok()),
        using_gtid: using_gtid.map(str::to_owned),
        gtid_io_pos: None,
        log_file: applied.as_ref().map(|(file, _)| file.clone()),
        log_pos: applied.map(|(_, position)| position),
        running: None,
        source: ConnectionSource::Files,
    })
}

/// Without the line that counts them.
fn counted(lines: &[String]) -> &[String] {
    match lines.split_first() {
        Some((first, rest)) if first.parse::<u32>().is_ok() => rest,
        _ => lines,
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::capture::relay::{MASTER_INFO, RELAY_INFO};

    #[test]
    fn files_of_a_10_11_server_tell_its_masters_and_no_password() {
        let folder = tempfile::tempdir().unwrap();
        let root: PathBuf = folder.path().into();
        let mut layout = ServerLayout::bare(root.clone());
        layout.relay.families = vec![root.join(MASTER_INFO), root.join(RELAY_INFO)];
        assert_eq!(connections_in_files(&layout).unwrap(), []);
        let master = |host: &str, gtid: u8| {
            format!(
                "33\nm-bin.000009\n900\n{host}\nrepl\nsecret\n3307\n60\n0\n\nusing_gtid={gtid}\nEND_MARKER\n"
            )
        };
        for (name, text) in [
            ("multi-master.info", "Src One\n".to_owned()),
            ("master-src@0020one.info", master("10.0.0.1", 0)),
            ("relay-log-src@0020one.info", "5\n./x-relay-bin.000001\n4\nm-bin.000003\n815\n0\n".to_owned()),
            ("master.info", master("10.0.0.2", 2)),
            ("master-ghost.info", master("", 0)),
            ("mastering.info", "not one\n".to_owned()),
        ] {
            fs::write(root.join(name), text).unwrap();
        }
        let found = connections_in_files(&layout).unwrap();
        let words: Vec<String> = found.iter().map(Connection::words).collect();
        let behind = "(read from its files, which may be behind)";
        assert_eq!(
            words,
            [
                format!("the default connection from repl@10.0.0.2:3307, by GTID (Slave_Pos) {behind}"),
                format!("'Src One' from repl@10.0.0.1:3307, m-bin.000003 at 815 {behind}"),
            ]
        );
        assert!(!format!("{found:?}").contains("secret"));
    }
}
