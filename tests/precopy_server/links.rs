//! A database behind a symbolic link to a folder of another name, which is in use: it is copied ahead as any other.

use std::fs;
use std::os::unix::fs::symlink;

use super::rounds::stage_with;
use super::support::cli::cli;
use super::support::precopy::freeze_by_shutdown;
use super::support::scripted_mysqld::{Reply, shell};
use super::support::trees::assert_same_files;
use super::support::{PATIENCE, sql};

#[test]
#[ignore = "needs MariaDB"]
fn a_database_behind_a_link_is_copied_ahead_although_its_folder_has_another_name() {
    let (mysqld, mut server) = stage_with("none", "binlogs=none", &[]);
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    // Before the shutdown: a file that was made since the last checkpoint is read as a whole under the freeze.
    sql::query(&mut session, "CREATE DATABASE shop").unwrap();
    sql::query(&mut session, "CREATE TABLE shop.t SELECT * FROM d.t").unwrap();
    drop(session);
    server.shut_down();
    let (link, folder) = (mysqld.datadir().join("shop"), mysqld.path("tables of a shop"));
    fs::rename(&link, &folder).unwrap();
    symlink(&folder, &link).unwrap();
    server.start();
    let mut session = sql::connect(&mysqld.socket(), PATIENCE).unwrap();
    sql::query(&mut session, "DELETE FROM shop.t LIMIT 100").unwrap();
    // The server's own name of it.
    let named = "SELECT NAME FROM information_schema.INNODB_SYS_TABLESPACES WHERE NAME LIKE 'shop/%'";
    assert_eq!(sql::query(&mut session, named).unwrap(), [["shop/t"]]);
    drop(session);
    let run = mysqld.asks().reply(Reply::never()).error_log().start();
    let outcome = freeze_by_shutdown(&mut server, run);
    let of_table: Vec<_> = mysqld
        .backup()
        .index()
        .into_iter()
        .map(|line| line["member"].clone())
        .filter(|member| member["path"].as_str().is_some_and(|path| path.ends_with("tables of a shop/t.ibd")))
        .filter(|member| member["kind"] == "file")
        .collect();
    assert_eq!(of_table.len(), 1, "it is not read again: {of_table:?} {}", outcome.stderr);
    assert_eq!(of_table[0]["early"], true, "{of_table:?}");
    cli("verify latest").on(&mysqld.repository()).run().done();
    let by_hand = mysqld.backup().unpack(&mysqld.path("by hand"));
    shell(&by_hand, "sh .wsrep_sst_backup/apply");
    let stored = shell(&by_hand, "find .wsrep_sst_backup -type d -name 'tables of a shop' | head -1");
    let stored = by_hand.join(String::from_utf8(stored).unwrap().trim());
    assert_same_files(&folder, &stored);
}
