//! What ends a load, before anything is sent or on the way.

use std::fs;
use std::process::Command;

use nix::sys::signal::Signal;

use super::scene::Scene;
use super::support::{PATIENCE, wait_until};

/// Whatever it is packed in.
pub(super) fn nothing_is_sent_of_a_dump_that_is_not_whole(scene: &Scene, file: &str) {
    let before = scene.cluster.n(2).position();
    let text = fs::read(file).unwrap();
    let half = scene.path("half.sql");
    fs::write(&half, &text[..text.len() / 2]).unwrap();
    scene
        .load(2, &["--file", half.to_str().unwrap()])
        .fails_with(4, "is not whole: its last line is not '-- Dump completed'");
    for (program, ending) in [("gzip", "gz"), ("bzip2", "bz2"), ("zstd", "zst")] {
        let packed = Command::new(program).args(["-c", file]).output().unwrap().stdout;
        let half = scene.path(&format!("half.sql.{ending}"));
        fs::write(&half, &packed[..packed.len() / 2]).unwrap();
        scene.load(2, &["--file", half.to_str().unwrap()]).fails_with(4, "cannot be unpacked");
    }
    assert_eq!(scene.cluster.n(2).position(), before, "nothing was sent");
    scene.load(2, &["--file", "/dev/zero"]).fails_with(1, "is no file");
}

/// The statement is named by its line in the dump, which was packed, and of which much was left out.
pub(super) fn at_the_first_statement_that_is_refused(scene: &Scene, file: &str) {
    let text = String::from_utf8_lossy(&fs::read(file).unwrap()).into_owned();
    let row = "INSERT INTO `child` VALUES\n(1,1),";
    assert!(text.contains(row), "the form of mariadb-dump");
    let line = text[..text.find(row).unwrap()].lines().count() + 1;
    let bad = scene.path("bad.sql");
    fs::write(&bad, text.replace(row, "INSERT INTO `child` VALUES\n(1,1,1),")).unwrap();
    assert!(Command::new("gzip").arg(&bad).status().unwrap().success());
    let packed = scene.path("bad.sql.gz");
    let answer = scene.load(2, &["--file", packed.to_str().unwrap(), "--overwrite"]);
    let wanted =
        format!("the server has refused the statement at line {line} of the dump: ERROR 1136 (21S01)");
    answer.fails_with(1, &wanted);
    answer
        .fails_with(1, " %) in table app.child; what stands before that place in the dump is in the server");
    answer.fails_with(1, "then load it again with --overwrite");
    scene.load(2, &["--file", file, "--overwrite"]).done();
}

pub(super) fn whatever_becomes_of_the_client(scene: &Scene, file: &str) {
    let socket = scene.cluster.n(2).socket().display().to_string();
    let words = ["--file", file, "--overwrite"];
    let mark = scene.path("client");
    let begun = format!("cat /proc/self/cmdline >/dev/null; echo $$ $* > {}; env >> {0}", mark.display());
    let run = |name: &str, script: &str| {
        let path = scene.client(name, &format!("{begun}\n{script}"));
        scene.command(&socket, &words).env("PATH", path)
    };
    run("fails", "cat >/dev/null; echo 'mariadb: it is broken' >&2; exit 3")
        .run()
        .fails_with(1, "has ended (exit status: 3): mariadb: it is broken");
    let told = fs::read_to_string(&mark).unwrap();
    assert!(told.contains("--defaults-file=/proc/self/fd/") && !told.contains("root"), "{told}");
    run("killed", "kill -9 $$").run().fails_with(1, "has ended by itself (signal: 9 (SIGKILL))");
    // It goes on reading after its end is known to be wrong, or does not read at all: a signal ends both.
    for (name, script) in [("hangs", "exec sleep 4711"), ("reads", "cat >/dev/null; exec sleep 4711")] {
        fs::remove_file(&mark).unwrap();
        let mut running = run(name, script).start();
        running.wait_for("a client", || Scene::has(&mark));
        running.signal(Signal::SIGTERM);
        running.finish().fails_with(1, "interrupted; it came to ");
        let pid = fs::read_to_string(&mark).unwrap();
        let pid = pid.split_whitespace().next().unwrap();
        assert!(wait_until(PATIENCE, || !std::path::Path::new("/proc").join(pid).exists()), "{name}");
    }
    let nothing = scene.cluster.make_dir("no-client");
    let answer = scene.command(&socket, &words).env("PATH", nothing.display().to_string()).run();
    // The usual places have one here.
    assert_eq!(answer.status, Some(0), "{answer:?}");
}

pub(super) fn a_statement_that_is_too_long(scene: &Scene, file: &str) {
    let node = scene.cluster.n(2);
    let before = node.variable("max_allowed_packet");
    node.exec("SET GLOBAL max_allowed_packet = 131072");
    let answer = scene.load(2, &["--file", file, "--overwrite"]);
    answer.fails_with(1, "takes no more than 128 KiB (max_allowed_packet): SET GLOBAL max_allowed_packet=");
    let value =
        answer.stderr.rsplit_once("max_allowed_packet=").unwrap().1.split(' ').next().unwrap().to_owned();
    node.exec(&format!("SET GLOBAL max_allowed_packet = {value}"));
    scene.load(2, &["--file", file, "--overwrite"]).done();
    node.exec(&format!("SET GLOBAL max_allowed_packet = {before}"));
}

pub(super) fn a_node_that_is_out_of_its_cluster(scene: &Scene, file: &str) {
    let node = scene.cluster.n(2);
    node.exec("SET GLOBAL wsrep_desync = ON");
    scene
        .load(2, &["--file", file, "--overwrite"])
        .fails_with(1, "is Donor/Desynced, Primary: it gives a state transfer or is desynced");
    node.exec("SET GLOBAL wsrep_desync = OFF");
    node.wait_synced(PATIENCE);
    node.exec("SET GLOBAL read_only = ON");
    scene.load(2, &["--file", file, "--overwrite"]).fails_with(1, "is read_only");
    node.exec("SET GLOBAL read_only = OFF");
}
