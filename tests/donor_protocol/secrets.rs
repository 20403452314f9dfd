//! What the program inherits: passwords, stdin, open descriptors.

use std::fs;
use std::time::Duration;

use crate::support::ScriptedMysqld;
use crate::support::scripted_mysqld::{Ask, PAUSED, Reply, Stdin};

#[test]
fn no_secret_is_shown_or_stored() {
    let secrets =
        ["s3cret-env", "s3cret-remote", "s3cret-stdin", "s3cret-address", "s3cret-file", "s3cret-args"];
    for stdin_face in [false, true] {
        let server = ScriptedMysqld::new();
        server.configure("wsrep_sst_backup", "user=backup\npassword=s3cret-file");
        let auth = (!stdin_face).then_some("sst:s3cret-env");
        let lines = "sst_user=wsrep.sst.1_n1\nsst_password=s3cret-stdin\nsst_remote_password=s3cret-stdin\n";
        let outcome = server
            .asks()
            .env("WSREP_SST_OPT_AUTH", auth)
            .env("WSREP_SST_OPT_REMOTE_AUTH", Some("sst:s3cret-remote"))
            .stdin(if stdin_face { Stdin::Text(lines.into()) } else { Stdin::Null })
            .address("someone:s3cret-address@req-1")
            .options("--auth 's:s3cret-args' --mysqld-args --wsrep-sst-auth=root:s3cret-args")
            .run();
        outcome.assert_backed_up(&server);
        let stored = server.backup().all_text();
        let status = fs::read(server.datadir().join("backup_sst_complete")).unwrap();
        for secret in secrets {
            for (place, text) in [
                ("stderr", outcome.stderr.as_bytes()),
                ("the backup", &stored),
                ("backup_sst_complete", &status),
            ] {
                let found = text.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!found, "{secret} is in {place}");
            }
        }
    }
}

/// The command lines of all processes, as `ps` shows them to everybody.
fn process_list() -> String {
    let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
    let lines = processes.filter_map(|process| fs::read(process.join("cmdline")).ok());
    let lines: Vec<String> = lines.map(|line| String::from_utf8_lossy(&line).replace('\0', " ")).collect();
    lines.join("\n")
}

#[test]
fn no_secret_is_in_the_process_list() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "user=backup\npassword=s3cret-listed-file");
    let lines = "sst_user=wsrep.sst.1_n1\nsst_password=s3cret-listed-stdin\n";
    let asks = server.asks().env("WSREP_SST_OPT_AUTH", None).stdin(Stdin::Text(lines.into()));
    let run = asks.reply(Reply::never()).start();
    run.wait_for("flush tables");
    let listed = process_list();
    run.answer(&Reply::once(PAUSED));
    run.finish().assert_backed_up(&server);
    assert!(listed.contains(&server.datadir().display().to_string()), "the program is listed");
    assert!(!listed.contains("s3cret-listed"), "{listed}");
}

#[test]
fn no_secret_is_in_the_status_of_a_failure() {
    let server = ScriptedMysqld::new();
    server.configure("wsrep_sst_backup", "user=backup\npassword=s3cret-file");
    let outcome = server
        .asks()
        .env("WSREP_SST_OPT_AUTH", Some("sst:s3cret-env"))
        .address("someone:s3cret-address@req-1")
        .options("--mysqld-args --wsrep-sst-auth=root:s3cret-args")
        .reply(Reply::error())
        .run();
    outcome.assert_refused(&server, 255, "mysqld could not flush its tables");
    let status = fs::read_to_string(server.attempts()[0].join("status.json")).unwrap();
    assert!(status.contains("\"req-1\""), "{status}");
    assert!(!status.contains("s3cret") && !outcome.stderr.contains("s3cret"), "{status}\n{}", outcome.stderr);
}

#[test]
fn stdin_of_an_older_server_is_left_alone() {
    for stdin in [Stdin::Endless("sst_user=mine\n".into()), Stdin::Terminal] {
        assert_not_waited_for(|asks| asks.stdin(stdin.clone()));
    }
}

/// On a busy machine a backup may take as long by itself; who waits takes that long each time.
#[track_caller]
fn assert_not_waited_for(way: impl for<'a> Fn(Ask<'a>) -> Ask<'a>) {
    let mut times = (0..8).map(|_| {
        let server = ScriptedMysqld::new();
        let outcome = way(server.asks()).run();
        outcome.assert_backed_up(&server);
        outcome.took
    });
    assert!(times.any(|took| took < Duration::from_millis(1900)), "it waited for stdin, each time");
}

#[test]
fn stdin_of_a_newer_server_is_waited_for_and_not_for_ever() {
    let server = ScriptedMysqld::new();
    let endless = Stdin::Endless("sst_user=x\nsst_password=y\n".into());
    let outcome = server.asks().env("WSREP_SST_OPT_AUTH", None).stdin(endless).run();
    outcome.assert_backed_up(&server);
    assert!(outcome.took > Duration::from_millis(1500), "it did not wait for the end: {:?}", outcome.took);
    for stdin in [Stdin::Terminal, Stdin::Null, Stdin::Text(String::new())] {
        assert_not_waited_for(|asks| asks.env("WSREP_SST_OPT_AUTH", None).stdin(stdin.clone()));
    }
}

#[test]
fn what_mysqld_leaks_is_closed() {
    let server = ScriptedMysqld::new();
    let run = server.asks().reply(Reply::never()).start();
    run.wait_for("flush tables");
    let open = run.descriptors();
    assert!(!open.iter().any(|(_, target)| target.ends_with("/grastate.dat")), "{open:?}");
    let stderr = &open.iter().find(|(fd, _)| fd == "2").unwrap().1;
    let stdout = &open.iter().find(|(fd, _)| fd == "1").unwrap().1;
    assert_eq!(stdout, stderr, "nothing but the conversation has mysqld's pipe: {open:?}");
    let pipes: Vec<_> =
        open.iter().filter(|(_, target)| target.starts_with("pipe:") && target != stderr).collect();
    assert_eq!(pipes.len(), 1, "one end of mysqld's pipe: {open:?}");
    run.answer(&Reply::once(PAUSED));
    run.finish().assert_backed_up(&server);
}
