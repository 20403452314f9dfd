//! What `method = auto` does on a real server whose files cannot be cloned: it copies ahead where it can, and takes the backup by `freeze` where it cannot, each
//! time with the reason in the manifest.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use super::support::cli::cli;
use super::support::precopy::{RealServer, SERVER_KINDS, ServerKind, freeze_by_shutdown};
use super::support::scripted_mysqld::{Backup, Reply};
use super::support::{PATIENCE, ScriptedMysqld, sql, wait_until};

/// So much that it is not frozen for its smallness.
const LARGE: ServerKind =
    ServerKind { options: &["--innodb-data-file-path=ibdata1:300M:autoextend"], ..SERVER_KINDS[0] };

/// A stage with a server that runs; on a file system without clones.
fn stage(kind: &ServerKind) -> (ScriptedMysqld, RealServer) {
    let mysqld = ScriptedMysqld::new();
    mysqld.configure("wsrep_sst_backup", "user=root\nprimary-timeout=1s\nbinlogs=none");
    let mut server = RealServer::install(&mysqld, kind);
    server.start();
    (mysqld, server)
}

/// Takes a backup with these settings; what is in its manifest, and what the log says.
fn back_up(mysqld: &ScriptedMysqld, server: &mut RealServer, settings: &[(&str, &str)]) -> (Value, String) {
    let mut ask = mysqld.asks().reply(Reply::never()).error_log();
    for (name, value) in settings {
        ask = ask.env(name, Some(value));
    }
    let outcome = freeze_by_shutdown(server, ask.start());
    let newest = mysqld.attempts().into_iter().max().unwrap();
    let manifest = Backup::open(&newest).manifest;
    server.start();
    (manifest, outcome.stderr)
}

/// Why another method was not taken.
fn why_not<'a>(manifest: &'a Value, method: &str) -> &'a str {
    let passed = manifest["method_reason"]["passed"].as_array().unwrap();
    let found = passed.iter().find(|passed| passed["method"] == method);
    found.map_or("", |passed| passed["why"].as_str().unwrap())
}

#[test]
#[ignore = "needs MariaDB"]
fn auto_copies_ahead_where_it_can_and_freezes_where_it_cannot_and_says_why() {
    let (mysqld, mut server) = stage(&LARGE);
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    sql::query(&mut session, "CREATE USER blind@localhost").unwrap();
    drop(session);

    let (manifest, said) = back_up(&mysqld, &mut server, &[]);
    assert_eq!((&manifest["method"], &manifest["format"]), (&"precopy".into(), &2.into()), "{said}");
    assert_eq!(manifest["method_reason"]["automatic"], true);
    assert_ne!(why_not(&manifest, "snapshot"), "");
    assert_eq!(why_not(&manifest, "precopy"), "");
    let shown = cli("show latest").on(&mysqld.repository()).run();
    assert!(shown.done().contains("Method chosen     by auto; not snapshot: "));

    for (user, why) in [
        ("blind", "the PROCESS privilege"),
        ("nobody", "the server cannot be asked by SQL, and only the server knows which tables it has in use"),
    ] {
        let (manifest, said) = back_up(&mysqld, &mut server, &[("WSREP_SST_BACKUP_USER", user)]);
        assert_eq!(manifest["method"], "freeze", "{said}");
        assert!(why_not(&manifest, "precopy").contains(why), "{manifest:#}");
        assert!(said.contains("another method is taken than precopy: "), "{said}");
    }

    // What nobody has opened since the server was started is copied ahead as well, once nothing has happened to it for so long that anything later is seen in its times.
    let still = mysqld.datadir().join("d/still.ibd");
    let rested =
        || SystemTime::now().duration_since(changed(&still)).unwrap_or_default() > Duration::from_secs(31);
    assert!(wait_until(PATIENCE, rested));
    // What has changed has no room: nobody has asked for this method, so it is no reason to take no backup.
    let (manifest, said) = back_up(&mysqld, &mut server, &[("WSREP_SST_BACKUP_SPOOL_LIMIT", "0")]);
    assert_eq!(manifest["method"], "precopy", "{said}");
    assert!(
        manifest["warnings"].to_string().contains("it stood still until the repository had the rest"),
        "{said}"
    );
    cli("verify latest").on(&mysqld.repository()).run().done();
    let newest = Backup::open(&mysqld.attempts().into_iter().max().unwrap());
    let of_table: Vec<Value> =
        newest.index().into_iter().filter(|line| line["member"]["path"] == "d/still.ibd").collect();
    assert_eq!(of_table.len(), 1, "it is not read again: {of_table:?}");
    assert_eq!(of_table[0]["member"]["early"], true, "{of_table:?}");
}

/// When a file was changed in any way.
pub(super) fn changed(file: &Path) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(file.metadata().unwrap().ctime().cast_unsigned())
}

#[test]
#[ignore = "needs MariaDB"]
fn a_small_server_is_frozen_unless_precopy_is_asked_for_by_name() {
    let (mysqld, mut server) = stage(&SERVER_KINDS[0]);
    let (manifest, said) = back_up(&mysqld, &mut server, &[]);
    assert_eq!(manifest["method"], "freeze", "{said}");
    assert!(why_not(&manifest, "precopy").contains("are read within about a second"), "{manifest:#}");
    let (manifest, said) = back_up(&mysqld, &mut server, &[("WSREP_SST_BACKUP_METHOD", "precopy")]);
    assert_eq!(manifest["method"], "precopy", "{said}");
    assert_eq!(manifest["method_reason"], serde_json::json!({ "automatic": false, "passed": [] }));
    // And refused where it cannot be what was asked for.
    let ask = mysqld.asks().reply(Reply::never()).error_log();
    let outcome = ask
        .env("WSREP_SST_BACKUP_METHOD", Some("precopy"))
        .env("WSREP_SST_BACKUP_USER", Some("nobody"))
        .run();
    assert_ne!(outcome.manifest_at_done, Some(true), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("no method works on this server: precopy: "), "{}", outcome.stderr);
}
