//! How servers of each family start the program, what they hand to it, and what they answer.
//!
//! Those of MariaDB were seen. Of the others, which cannot be run here, these are the facts of their sources:
//!
//! | family | source |
//! |---|---|
//! | mysql-wsrep 5.7, 8.0 | github.com/codership/mysql-wsrep, `sql/wsrep_sst.cc`: `sst_donate_other`, `sst_flush_tables`, `sst_donor_thread` |
//! | Percona XtraDB Cluster 8.0, 8.4 | github.com/percona/percona-xtradb-cluster, `sql/wsrep_sst.cc`: the same, and `wsrep_create_sst_user` |
//!
//! Percona's server writes `tables_flushed` before it forbids InnoDB to write (`sst_donor_thread`: `sst_flush_tables`, then
//! `sst_disallow_writes`). So a position is no proof there that the files stand still, and `check` says so.

use std::fs;

use serde_json::Value;

use crate::support::ScriptedMysqld;
use crate::support::scripted_mysqld::{ASKED, PAUSED, Reply, Stdin, UUID};

/// One way to start the program.
struct Family {
    name: &'static str,
    /// The arguments, as `sh` gets them.
    arguments: String,
    /// `WSREP_SST_OPT_AUTH`, which servers that write to stdin have not.
    auth: Option<&'static str>,
    stdin: Option<&'static str>,
    /// The content of `tables_flushed`.
    answer: String,
    /// What the server is told as its position in the end.
    done: String,
}

impl Family {
    fn mariadb(name: &'static str, arguments: &str) -> Self {
        let arguments = arguments.replace("ASKED", ASKED);
        Self { name, arguments, auth: Some(""), stdin: None, answer: PAUSED.into(), done: PAUSED.into() }
    }

    /// A server without domains of global transaction ids.
    fn of_mysql(name: &'static str, arguments: &str) -> Self {
        let position = format!("{UUID}:6");
        Self { answer: position.clone(), done: position, ..Self::mariadb(name, arguments) }
    }
}

const LOCAL: &str = "0a1b2c3d-2f3a-11ef-9a3c-4b1c02c44e5f";
/// What Percona's server writes to stdin before its end.
const OF_PERCONA: &str =
    "sst_user=mysql.pxc.sst.user\nsst_password=s3cretOfPercona\nwsrep_schema_version=8.0.0\n";

fn families() -> Vec<Family> {
    let of_percona = |name, version: &str| Family {
        auth: None,
        stdin: Some(OF_PERCONA),
        ..Family::of_mysql(
            name,
            &format!(
                "--role 'donor' --address 'req-1' --socket 'SOCKET' --datadir 'DATADIR' --basedir '/usr/' --plugindir \
                 '/usr/lib/mysql/plugin/' --defaults-file 'CNF' --defaults-group-suffix '' --mysqld-version '{version}'   '' --gtid 'ASKED' "
            ),
        )
    };
    vec![
        Family::mariadb(
            "MariaDB 10.5",
            "--role 'donor' --address 'req-1' --local-port '3306' --socket 'SOCKET' --datadir 'DATADIR' --defaults-file 'CNF' --gtid \
             'ASKED' --gtid-domain-id '0' --mysqld-args --wsrep_start_position=ASKED",
        ),
        Family::mariadb(
            "MariaDB 10.11",
            "--role 'donor' --address 'req-1' --local-port 3306 --socket 'SOCKET' --progress 0 --datadir 'DATADIR' --defaults-file 'CNF' \
             --defaults-group-suffix '_a' --gtid 'ASKED' --gtid-domain-id 0 --binlog 'mysql-bin' --binlog-index 'mysql-bin.index' \
             --mysqld-args --wsrep-new-cluster --datadir=/elsewhere --bypass --role joiner",
        ),
        Family {
            auth: None,
            stdin: Some("sst_user=wsrep.sst.1732704000_n1\nsst_password=s3cretOfMariaDB\n"),
            ..Family::mariadb(
                "MariaDB 11.8",
                "--role 'donor' --address 'req-1' --local-port 3306 --socket 'SOCKET' --progress 0 --datadir 'DATADIR' --defaults-file \
                 'CNF' --gtid 'ASKED' --gtid-domain-id 0 --mysqld-args --wsrep_start_position=ASKED,0",
            )
        },
        Family::of_mysql(
            "mysql-wsrep 5.7",
            "--role 'donor' --address 'req-1' --socket 'SOCKET' --datadir 'DATADIR' --defaults-file 'CNF' --defaults-group-suffix '' '' \
             --gtid 'ASKED'",
        ),
        Family {
            auth: Some("sst:s3cretOfCodership"),
            answer: format!("{UUID}:6 {LOCAL}:17 1"),
            ..Family::of_mysql(
                "mysql-wsrep 8.0",
                &format!(
                    "--role 'donor' --address 'req-1' --local-port '3306' --socket 'SOCKET' --datadir 'DATADIR'  --defaults-file 'CNF'  \
                     --mysqld-version '8.0.42-26.23' --plugin-dir '/usr/lib/mysql/plugin/'  '' --binlog-index 'binlog.index' --gtid ASKED \
                     --local-gtid {LOCAL}:11 --server-id 1 "
                ),
            )
        },
        of_percona("Percona XtraDB Cluster 8.0", "8.0.42-33.1"),
        of_percona("Percona XtraDB Cluster 8.4", "8.4.5-5.1"),
        Family::mariadb(
            "a wrapper",
            "--role=donor --address=req-1 --datadir=DATADIR --defaults-file=CNF --gtid=ASKED",
        ),
    ]
}

#[test]
fn every_server_family_calls_in_its_own_way() {
    for Family { name, arguments, auth, stdin, answer, done } in families() {
        let server = ScriptedMysqld::new();
        let stdin = stdin.map_or(Stdin::Null, |text| Stdin::Text(text.into()));
        let asks = server.asks().form(&arguments).env("WSREP_SST_OPT_AUTH", auth).stdin(stdin);
        let outcome = asks.reply(Reply::once(&answer)).run();
        assert_eq!(
            outcome.stdout,
            format!("flush tables\ncontinue\ndone {done}\n"),
            "{name}: {}",
            outcome.stderr
        );
        outcome.assert_backed_up(&server);
        assert_eq!(server.backup().manifest["request"], "req-1", "{name}");
        assert!(!outcome.stderr.contains("not needed here"), "{name}: {}", outcome.stderr);
        let stored = String::from_utf8_lossy(&server.backup().all_text()).into_owned();
        assert!(
            !stored.contains("s3cret") && !outcome.stderr.contains("s3cret"),
            "{name}: {}",
            outcome.stderr
        );
    }
}

/// MySQL 8.0.30 and later has its redo log in a folder, its dictionary in `mysql.ibd`, and `auto.cnf` with the server's own name.
#[test]
fn the_files_of_mysql_8_are_known() {
    let server = ScriptedMysqld::new();
    for name in ["mysql.ibd", "#innodb_redo/#ib_redo7", "undo_001", "#ib_16384_0.dblwr", "wsrep_state.dat"] {
        server.write(name, vec![0; 16 << 10]);
    }
    server.write("auto.cnf", format!("[auto]\nserver-uuid={LOCAL}\n"));
    server.write("#innodb_temp/temp_1.ibt", "temporary");
    let position = format!("{UUID}:6");
    let outcome = server.asks().reply(Reply::once(&position)).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let members = server.backup().members();
    for (name, taken) in [
        ("mysql.ibd", true),
        ("#innodb_redo/#ib_redo7", true),
        ("undo_001", true),
        ("#ib_16384_0.dblwr", true),
        ("auto.cnf", false),
        ("#innodb_temp/temp_1.ibt", false),
    ] {
        assert_eq!(members.iter().any(|member| member == name), taken, "{name}: {members:?}");
    }
}

/// MariaDB 12.3 lets InnoDB keep the binary logs (`binlog_storage_engine`), 13 can keep the redo log (`innodb_log_archive`); triggers at startup
/// stand in `mysql.event`, as events do.
#[test]
fn the_files_of_mariadb_12_3_and_13_are_known_and_what_made_them_is_recorded() {
    let server = ScriptedMysqld::new();
    for number in 1..=5 {
        server.write(format!("binlog-00000{number}.ibb"), vec![0; 16 << 10]);
    }
    fs::remove_file(server.datadir().join("ib_logfile0")).unwrap();
    server.write("ib_0000000000003000.log", vec![1; 64 << 10]);
    server.write("mysql/event.MAD", "CREATE TRIGGER t FOR STARTUP DO SET GLOBAL x = 1");
    server.write("mysql_upgrade_info", "13.0.1-MariaDB");
    server.configure("mariadbd", "binlog_storage_engine=innodb");
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let backup = server.backup();
    let members = backup.members();
    for (name, taken) in [
        ("binlog-000002.ibb", false),
        ("binlog-000003.ibb", true),
        ("binlog-000005.ibb", true),
        ("ib_0000000000003000.log", true),
        ("mysql/event.MAD", true),
    ] {
        assert_eq!(members.iter().any(|member| member == name), taken, "{name}: {members:?}");
    }
    let server_of = &backup.manifest["server"];
    assert_eq!(
        (&server_of["version"], &server_of["options"]["binlog_storage_engine"]),
        (&"13.0.1-MariaDB".into(), &"innodb".into())
    );
    assert_eq!(backup.manifest["live_redo"], Value::Null, "what is kept is stored as a whole");
}
