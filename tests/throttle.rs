//! `limit-rate` and `low-priority`: bytes take their time, nobody is kept waiting by them, and what has time makes way.

mod support;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use support::cli::cli;
use support::scripted_mysqld::{Outcome, PAUSED, Reply, Run};
use support::{Pace, ScriptedMysqld};

/// Well below what the limit would take, and above what a busy machine does.
const SOON: Duration = Duration::from_secs(9);
/// What a limiter may have saved up before its first byte, and what a clock may round.
const SAVED_UP: Duration = Duration::from_millis(110);

/// A server with about so many KiB of data, which is neither compressed nor slow to read.
fn server(kib: usize, settings: &str) -> ScriptedMysqld {
    let server = ScriptedMysqld::new();
    server.write("db/big.MYD", vec![b'x'; kib << 10]);
    server.configure("wsrep_sst_backup", &format!("compression=none\n{settings}"));
    server
}

/// The time that bytes take at a rate in KiB a second.
fn at_rate(bytes: &serde_json::Value, kib: u64) -> Duration {
    Duration::from_secs_f64(bytes.as_f64().unwrap() / f64::from(u32::try_from(kib << 10).unwrap()))
}

fn frozen(outcome: &Outcome) -> Duration {
    outcome.at("continue") - outcome.at("flush tables")
}

/// The nice values of a process's threads, by their names.
fn nices(pid: u32) -> Vec<(String, i32)> {
    let threads = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let stats = threads.filter_map(|thread| fs::read_to_string(thread.path().join("stat")).ok());
    // The name may hold anything, and ends with the last bracket; the nice value is the 17th field behind it.
    let nice = |stat: String| {
        let (name, rest) = stat.rsplit_once(") ")?;
        let name = name.split_once('(')?.1.to_owned();
        Some((name, rest.split_ascii_whitespace().nth(16)?.parse().ok()?))
    };
    stats.filter_map(nice).collect()
}

fn own_nice() -> i32 {
    nices(std::process::id())[0].1
}

#[test]
fn a_limited_backup_takes_its_time_and_is_as_good() {
    // Every write is short, and all of them together take longer than the storage may.
    let server = server(2400, "limit-rate=1M\nstall-timeout=1s");
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    let manifest = server.backup().manifest;
    let least = at_rate(&manifest["data_bytes"], 1024);
    let frozen = frozen(&outcome);
    assert!(frozen + SAVED_UP >= least && least > Duration::from_secs(2), "{frozen:?} for {least:?}");
    assert!(frozen < least * 3, "{frozen:?} for {least:?}");
    // Storing is limited as well, and had nearly all to do when reading was over: it is one block.
    let stored = outcome.at("done") - outcome.at("flush tables");
    let storing = at_rate(&manifest["archive"]["bytes"], 1024);
    assert!(stored + SAVED_UP * 2 >= frozen + storing, "{stored:?}, of which frozen {frozen:?}");
    let told = outcome.messages("INFO");
    let word = "limit-rate is 1.00 MiB a second: the server will be frozen for up to 2.";
    assert!(told.iter().any(|text| text.starts_with(word)), "{told:?}");
    cli("verify latest").on(&server.repository()).run().done();
}

#[test]
fn without_a_limit_nothing_is_told_of_one() {
    let server = server(2400, "limit-rate=1M\nlimit-rate=none");
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert!(!outcome.stderr.contains("limit-rate"), "{}", outcome.stderr);
}

#[test]
fn what_cannot_be_read_in_time_is_refused_while_the_server_runs() {
    let server = server(2400, "limit-rate=1M\nfreeze-timeout=2s");
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    let message = "at limit-rate (1.00 MiB a second) the 2.";
    outcome.assert_refused(&server, 22, message);
    let error = outcome.messages("ERROR")[0];
    assert!(error.contains("in the 2.0 s that the server may be frozen (freeze-timeout)"), "{error}");
    assert!(error.ends_with("raise limit-rate or freeze-timeout"), "{error}");
}

#[test]
fn holes_are_not_read_and_do_not_count() {
    let server = server(10, "limit-rate=1M\nfreeze-timeout=5s");
    let file = fs::File::create(server.datadir().join("db/holes.ibd")).unwrap();
    file.set_len(64 << 20).unwrap();
    let outcome = server.asks().run();
    outcome.assert_backed_up(&server);
    assert!(frozen(&outcome) < Duration::from_secs(5), "{:?}", frozen(&outcome));
    assert!(outcome.stderr.contains("frozen for up to 1 min 04 s"), "{}", outcome.stderr);
}

/// A run that copies at a rate at which it would not end before the test; both sides wait for the limit.
fn throttled(server: &ScriptedMysqld) -> Run {
    let run = server.asks().progress().start();
    run.wait_for("total ");
    std::thread::sleep(Duration::from_millis(1800));
    assert!(!run.has_said("continue"), "it is not limited");
    run
}

#[test]
fn a_signal_ends_a_limited_freeze_at_once() {
    // With so many threads a block has 256 KiB.
    let server = server(20_000, "limit-rate=256K\nthreads=32");
    let run = throttled(&server);
    let pace = Pace::start();
    let sent = run.signal(Signal::SIGTERM);
    let released = run.wait_for("continue").at - sent;
    assert!(released < pace.at_once(), "{released:?}");
    let outcome = run.finish();
    assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
    outcome.assert_refused(&server, 4, "stopped by SIGTERM");
}

#[test]
fn a_limited_freeze_ends_with_its_server() {
    let server = server(20_000, "limit-rate=256K");
    let run = server.asks().progress().under(Path::new("timeout")).start();
    run.wait_for("total ");
    std::thread::sleep(Duration::from_millis(300));
    let mysqld = run.pid();
    let pace = Pace::start();
    let killed = run.signal(Signal::SIGKILL);
    let released = run.wait_for("continue").at - killed;
    assert!(released < pace.at_once(), "{released:?}");
    run.finish().assert_refused(&server, 32, &format!("mysqld (pid {mysqld}) has gone away"));
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
}

#[test]
fn a_limited_freeze_ends_at_its_own_limit() {
    let server = server(10, "limit-rate=256K\nfreeze-timeout=3s");
    let run = server.asks().reply(Reply::never()).start();
    run.wait_for("flush tables");
    // More than was there when the time was reckoned.
    server.write("db/more.MYD", vec![b'x'; 8 << 20]);
    let pace = Pace::start();
    run.answer(&Reply::once(PAUSED));
    let outcome = run.finish();
    outcome.assert_refused(&server, 110, "frozen for 3 s, the limit set by freeze-timeout");
    let frozen = frozen(&outcome);
    assert!(
        frozen >= Duration::from_secs(3) && frozen < Duration::from_secs(3) + pace.at_once(),
        "{frozen:?}"
    );
}

#[test]
fn a_fault_in_a_limited_copy_does_not_wait_for_bytes_that_nobody_wants() {
    // The first block is full after four seconds, just before the fault, and is stored in four more.
    let server = server(4000, "limit-rate=1M");
    let gone = server.write("db/z.MYD", vec![b'x'; 9 << 20]);
    let run = server.asks().progress().start();
    run.wait_for("total ");
    fs::remove_file(&gone).unwrap();
    fs::create_dir(&gone).unwrap();
    let pace = Pace::start();
    let outcome = run.finish();
    let ended = outcome.at("continue").elapsed();
    outcome.assert_refused(&server, 5, "z.MYD': it was a file when the files were listed, and is none now");
    assert!(ended < Duration::from_secs(3) + pace.slack(), "{ended:?}");
}

#[test]
fn priority_is_lowered_when_the_server_runs_again_and_not_before() {
    let own = own_nice();
    let server = ScriptedMysqld::new();
    server.make_slow(24);
    let (run, pace) = (server.asks().progress().start(), Pace::start());
    let mut before = 0;
    run.wait_for("total ");
    let behind = loop {
        let looked = Instant::now();
        let found = nices(run.pid());
        if found.iter().any(|(_, nice)| *nice != own) {
            let thawed = run.wait_for("continue").at;
            let early = thawed.saturating_duration_since(looked);
            assert!(
                early < Duration::from_millis(100) + pace.slack(),
                "lowered {early:?} before 'continue': {found:?}"
            );
        }
        // Once it is through with all of them, none goes back.
        if found.iter().all(|(_, nice)| *nice > own) {
            break found;
        }
        assert!(!run.has_said("done"), "not lowered: {found:?}");
        before += u32::from(!run.has_said("continue"));
        std::thread::sleep(Duration::from_millis(2));
    };
    assert!(before > 20, "only {before} looks into the freeze");
    assert!(behind.iter().all(|(_, nice)| *nice == own.max(15)), "{behind:?}");
    for name in ["wsrep_sst_backu", "watch", "store", "status", "compress-0"] {
        assert!(behind.iter().any(|(thread, _)| thread == name), "no thread '{name}' in {behind:?}");
    }
    run.finish().assert_backed_up(&server);
}

#[test]
fn priority_stays_where_that_is_wanted() {
    let own = own_nice();
    let server = ScriptedMysqld::new();
    server.make_slow(12);
    server.configure("wsrep_sst_backup", "low-priority=off");
    let mut run = server.asks().start();
    run.wait_for("continue");
    let mut looks = 0;
    while !run.has_ended() {
        let found = nices(run.pid());
        assert!(found.iter().all(|(_, nice)| *nice == own), "{found:?}");
        looks += 1;
        std::thread::sleep(Duration::from_millis(5));
    }
    assert!(looks > 3, "{looks} looks");
    run.finish().assert_backed_up(&server);
}

/// A backup of so many KiB, taken without a limit; the program of its commands knows none either.
fn backup(kib: usize, compression: &str) -> ScriptedMysqld {
    let server = server(kib, &format!("compression={compression}"));
    server.asks().run().assert_backed_up(&server);
    server
}

#[test]
fn verify_reads_no_faster_than_the_limit() {
    let server = backup(1200, "none");
    let least = at_rate(&server.backup().manifest["archive"]["bytes"], 1024);
    let begun = Instant::now();
    let report = cli("verify latest --limit-rate 1M --json").on(&server.repository()).run().json();
    let took = begun.elapsed();
    assert_eq!(report["damaged"], false);
    assert!(took + SAVED_UP >= least, "{took:?} for {least:?}");
    // A setting limits as well, and a flag takes it back.
    let verify = |line| cli(line).on(&server.repository()).env("WSREP_SST_BACKUP_LIMIT_RATE", "512K").run();
    let begun = Instant::now();
    verify("verify latest --limit-rate none").done();
    assert!(begun.elapsed() < least * 2, "{:?}", begun.elapsed());
    let begun = Instant::now();
    verify("verify latest").done();
    assert!(begun.elapsed() + SAVED_UP >= least * 2, "{:?}", begun.elapsed());
    verify("verify latest --limit-rate 0")
        .fails(2, "--limit-rate: 0 bytes a second would never come to an end; write none for no limit");
}

#[test]
fn restore_reads_and_writes_no_faster_than_the_limit() {
    // What is read is a few KiB, what is written is not.
    let server = backup(1200, "zstd");
    let data = &server.backup().manifest["data_bytes"];
    let begun = Instant::now();
    let restored = cli("restore latest --as standalone --limit-rate 512K")
        .on(&server.repository())
        .to(&server.path("new"))
        .run();
    let took = begun.elapsed();
    assert!(took + SAVED_UP >= at_rate(data, 512), "{took:?}");
    let told = "limit-rate is 512 KiB a second: this takes 3.0 s or more; '--limit-rate none' ends that.\n";
    assert_eq!((restored.status, restored.stderr.as_str()), (Some(0), told));
    assert_eq!(fs::read(server.path("new/db/big.MYD")).unwrap(), vec![b'x'; 1200 << 10]);
    cli("restore latest --as standalone --limit-rate 20M --json")
        .on(&server.repository())
        .to(&server.path("two"))
        .run()
        .json();
}

#[test]
fn a_limited_command_that_is_interrupted_ends_at_once() {
    // A block of 4 MiB takes 16 s.
    let server = backup(5000, "none");
    let restore = format!("restore latest --to {}", server.path("new").display());
    for (command, message) in [
        ("verify latest", "interrupted: not everything was read, so nothing is known about the rest"),
        (restore.as_str(), "interrupted; what had been restored is removed"),
    ] {
        let running = cli(command).arg("--json").arg("--limit-rate=256K").on(&server.repository()).start();
        std::thread::sleep(Duration::from_millis(700));
        running.signal(Signal::SIGTERM);
        let sent = Instant::now();
        let answer = running.finish();
        assert!(sent.elapsed() < SOON, "{command}: {:?}", sent.elapsed());
        // A restore reads the identity first, and has written nothing then.
        answer.fails_with(1, message);
        assert!(!server.path("new").exists());
    }
}

#[test]
fn verify_makes_way_and_restore_does_not() {
    let own = own_nice();
    let server = backup(1200, "none");
    let restore = format!("restore latest --to {}", server.path("new").display());
    for (command, low_priority, nice) in [
        ("verify latest", None, own.max(15)),
        ("verify latest", Some("off"), own),
        (restore.as_str(), None, own),
    ] {
        let mut command = cli(command).arg("--json").arg("--limit-rate=1M").on(&server.repository());
        if let Some(value) = low_priority {
            command = command.env("WSREP_SST_BACKUP_LOW_PRIORITY", value);
        }
        let running = command.start();
        let fetches = || nices(running.pid()).iter().any(|(name, _)| name == "fetch");
        assert!(support::wait_until(SOON, fetches), "it does not read");
        let found = nices(running.pid());
        assert!(found.iter().all(|(_, found)| *found == nice), "{nice}: {found:?}");
        running.finish().done();
    }
}
