//! Whom the words for a lock that is not to be had name.

use super::*;

fn thread(id: u64, command: &str, seconds: i64, statement: &str) -> ProcessRow {
    ProcessRow {
        id,
        user: "app".into(),
        host: "10.0.0.7:4711".into(),
        command: command.into(),
        seconds,
        statement: statement.into(),
        ..ProcessRow::default()
    }
}

#[test]
fn a_statement_is_shown_without_the_texts_in_it() {
    for (statement, wanted) in [
        ("UPDATE t\n  SET a = 1", "UPDATE t SET a = 1"),
        ("SET PASSWORD = PASSWORD('se\\'cret')", "SET PASSWORD = PASSWORD('…')"),
        ("CREATE USER u IDENTIFIED BY \"se'cret\"", "CREATE USER u IDENTIFIED BY \"…\""),
        ("INSERT INTO t VALUES ('cut off at the se", "INSERT INTO t VALUES ('…"),
        ("INSERT INTO t VALUES ('a''b', '\\\\', 'secret')", "INSERT INTO t VALUES ('…''…', '…', '…')"),
    ] {
        assert_eq!(shown(statement), wanted);
    }
    assert_eq!(shown(&"x".repeat(500)).chars().count(), LONGEST + 1);
}

#[test]
fn who_writes_is_named_before_who_sleeps() {
    let threads = [
        ProcessRow { user: "system user".into(), ..thread(1, "Sleep", 900, "") },
        thread(7, "Sleep", 35, ""),
        thread(8, "Query", 9, "select sleep(9)"),
        thread(9, "Query", 70, "/* job */ UPDATE t SET a = 'x'"),
        ProcessRow {
            state: "Waiting for backup lock".into(),
            ..thread(10, "Query", 5, "INSERT INTO t VALUES (1)")
        },
    ];
    let locked = ["d.t".to_owned()];
    assert_eq!(
        suspects(&threads[..2], &locked, true),
        "d.t is locked (LOCK TABLES … WRITE) by one of the idle sessions: thread 7 (app@10.0.0.7:4711, idle for 35 s)"
    );
    let writing = suspects(&threads, &locked, true);
    assert!(
        writing.contains("thread 9 (app@10.0.0.7:4711, for 70 s: /* job */ UPDATE t SET a = '…')"),
        "{writing}"
    );
    assert!(!writing.contains("thread 10") && !writing.contains("thread 8"), "{writing}");
}

#[test]
fn who_holds_a_table_may_be_running_a_statement() {
    let waits = |id, state: &str| ProcessRow {
        state: state.into(),
        ..thread(id, "Query", 60, "INSERT INTO t VALUES (1)")
    };
    let threads = [
        ProcessRow { user: "system user".into(), ..thread(1, "Sleep", 900, "") },
        waits(10, "Waiting for table metadata lock"),
        thread(11, "Binlog Dump", 700, ""),
        thread(8, "Query", 9, "select sleep(9)"),
        thread(7, "Sleep", 3, ""),
    ];
    let locked = ["d.t".to_owned()];
    let says = |threads: &[ProcessRow], sees_all| suspects(threads, &locked, sees_all);
    assert_eq!(
        says(&threads[..4], true),
        "d.t is locked (LOCK TABLES … WRITE) by one of the sessions: thread 8 (app@10.0.0.7:4711, for 9 s: select sleep(9))"
    );
    assert!(
        says(&threads, true)
            .contains("for 9 s: select sleep(9)), thread 7 (app@10.0.0.7:4711, idle for 3 s)")
    );
    // The right is to blame only where the account does not have it.
    assert!(says(&threads[..3], true).contains("by whom cannot be told"));
    assert!(
        says(&threads[..3], false).contains("by a session that cannot be seen without the right PROCESS")
    );
    assert!(says(&threads, false).ends_with(", or one that cannot be seen without the right PROCESS"));
    for (sees_all, blames) in [(true, false), (false, true)] {
        let nothing = suspects(&threads[..3], &[], sees_all);
        assert!(nothing.contains("cannot be seen") && nothing.contains("PROCESS") == blames, "{nothing}");
        assert_eq!(by_one_of(&threads, sees_all).contains("PROCESS"), blames);
    }
}

#[test]
fn what_the_plugin_tells_is_certain() {
    let lock = |id, mode: &str, table: Option<&str>| {
        (id, mode.to_owned(), table.map(|_| "d".to_owned()), table.map(str::to_owned))
    };
    let locks = [
        lock(7, "MDL_BACKUP_DDL", None),
        lock(7, "MDL_SHARED_NO_READ_WRITE", Some("t")),
        lock(8, "MDL_BACKUP_START", None),
        lock(9, "MDL_SHARED_READ", Some("u")),
        lock(11, "MDL_BACKUP_FTWRL2", None),
    ];
    let threads = [thread(7, "Sleep", 35, "")];
    assert_eq!(
        holders(&locks, &threads),
        "thread 7 (app@10.0.0.7:4711, idle for 35 s) holds LOCK TABLES d.t WRITE, or DDL on it, thread 11 holds \
         FLUSH TABLES WITH READ LOCK"
    );
    assert_eq!(holders(&locks[2..4], &threads), "");
}
