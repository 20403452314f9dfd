//! What could harm a cluster that a drilled server joins, and does not.

use std::fs;
use std::process::Child;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use serde_json::Value;

use super::scene::{Scene, send};
use super::support::cli::SmallDisk;
use super::support::program::Ran;
use super::support::{PATIENCE, Writer, wait_until};

/// What the server of a drill says on its way into the group.
const WAY: [&str; 3] = ["wsrep_load(): loading provider library", "--role 'joiner'", "Receiving IST: "];

/// The drill is killed at each step of the way; its server leaves before another drill can sweep under it.
pub(super) fn killed_on_its_way(scene: &Scene, backup: &Value, writer: &Writer) {
    let first = scene.cluster.n(1);
    for step in WAY {
        writer.take_stats();
        let mut child = scene.stopped_at(backup, step);
        let guest = scene.guest();
        kill(guest, Signal::SIGSTOP).unwrap();
        child.kill().unwrap();
        assert_eq!(Ran::finish(child).status, None);
        let early = scene.drill(backup, &["--tables", "none"]);
        let told = "or a server of one that was killed is about to end";
        assert!(early.status == Some(1) && early.err.contains(told), "{step}: {early:?}");
        kill(guest, Signal::SIGCONT).unwrap();
        assert!(wait_until(PATIENCE, || !scene.runs()), "{step}: a server is left");
        assert!(wait_until(PATIENCE, || first.status("wsrep_cluster_size") == "2"), "{step}");
        scene.assert_calm(2);
        let stats = writer.take_stats();
        eprintln!("killed at '{step}': longest pause of the writer {:?}", stats.longest_pause);
        assert!(stats.errors == 0 && stats.longest_pause < Duration::from_secs(4), "{step}: {stats:?}");
        // The log of this one is not that of the next one.
        fs::remove_dir_all(scene.scratch.join("wsrep_sst_backup-drill")).unwrap();
    }
}

/// The server of the node on whose machine the drill runs has left the cluster, which goes on without it.
pub(super) fn a_server_here_that_has_left_the_cluster_is_no_hindrance(scene: &Scene, backup: &Value) {
    let second = scene.cluster.n(2);
    let address = second.scalar("SELECT @@wsrep_cluster_address");
    second.exec("SET GLOBAL wsrep_cluster_address=''");
    let first = scene.cluster.n(1);
    assert!(wait_until(PATIENCE, || first.status("wsrep_cluster_size") == "2"));
    let ran = scene.drill(backup, &["--tables", "none", "--donor", "n3"]);
    assert_eq!(ran.status, Some(0), "{ran:?}");
    second.exec(&format!("SET GLOBAL wsrep_cluster_address='{address}'"));
    second.wait_synced(PATIENCE);
}

/// Servers to come have such triggers; the column in which they have them is enough.
pub(super) fn triggers_of_servers_do_not_come_into_the_cluster(scene: &Scene) {
    scene.cluster.n(1).exec("CREATE EVENT d.e ON SCHEDULE EVERY 1 YEAR DISABLE DO DO 1");
    scene.cluster.n(1).exec(
        "ALTER TABLE mysql.event ADD kind SET('SCHEDULE', 'STARTUP', 'SHUTDOWN') NOT NULL DEFAULT 'SCHEDULE'",
    );
    let mark = scene.cluster.n(1).log_mark();
    for (kind, status) in [("SCHEDULE", Some(0)), ("SHUTDOWN", Some(1))] {
        scene.cluster.n(2).exec(&format!("UPDATE mysql.event SET kind = '{kind}' WHERE name = 'e'"));
        let backup = scene.program.back_up(&scene.cluster, 2);
        let ran = scene.drill(&backup, &["--tables", "none"]);
        let is_told = ran.err.contains("the backup has triggers ON STARTUP or ON SHUTDOWN");
        assert_eq!((ran.status, is_told), (status, status == Some(1)), "{ran:?}");
    }
    let visits = scene.cluster.n(1).log_since(mark).matches("backup-drill-").count();
    assert!(visits > 0, "the first one has joined");
}

pub(super) fn a_disk_that_gets_full_ends_the_visit(scene: &Scene, backup: &Value, writer: &Writer) {
    let disk = SmallDisk::mount(&scene.scratch, 1400);
    let child = scene.stopped_at(backup, "--role 'joiner'");
    let filler = fs::File::create(scene.scratch.join("filler")).unwrap();
    let free = nix::sys::statvfs::statvfs(&scene.scratch).unwrap();
    let free = free.blocks_available() * free.fragment_size();
    nix::fcntl::posix_fallocate(&filler, 0, i64::try_from(free - (200 << 20)).unwrap()).unwrap();
    writer.take_stats();
    send(&child, Signal::SIGCONT);
    let ran = Ran::finish(child);
    let is_told = ran.err.contains("has less than 256 MiB free, and it has left again");
    assert!(ran.status == Some(1) && is_told, "{ran:?}");
    scene.assert_calm(3);
    let stats = writer.take_stats();
    assert!(stats.errors == 0 && stats.longest_pause < Duration::from_secs(4), "{stats:?}");
    drop(disk);
}

/// Its server stands still as a member. The others take it for dead, and go on; the drill tells it.
pub(super) fn a_guest_that_hangs_is_left_behind(scene: &Scene, backup: &Value, writer: &Writer) {
    let first = scene.cluster.n(1);
    writer.take_stats();
    let child = scene.joined(backup);
    let guest = scene.guest();
    kill(guest, Signal::SIGSTOP).unwrap();
    assert!(wait_until(PATIENCE, || first.status("wsrep_cluster_size") == "3"));
    scene.assert_calm(3);
    let stood = first.position().seqno;
    assert!(wait_until(PATIENCE, || first.position().seqno > stood + 10), "nobody writes");
    send(&child, Signal::SIGCONT);
    let ran = Ran::finish(child);
    // Its files have what it has received; how it went is told.
    let told = "when it left the cluster, the server did not shut down well";
    assert!(ran.status == Some(0) && ran.out.contains(told), "{ran:?}");
    assert!(!scene.runs());
    let stats = writer.take_stats();
    eprintln!("a guest that hangs: longest pause of the writer {:?}", stats.longest_pause);
    assert!(stats.errors == 0 && stats.longest_pause < Duration::from_secs(15), "{stats:?}");
}

/// Nodes that have lost the Primary component form one again by themselves when all that were in the last one are there. The guest was: it stays until they
/// have.
pub(super) fn a_guest_stays_until_the_nodes_are_a_cluster_again(scene: &Scene) {
    let backup = scene.program.back_up(&scene.cluster, 2);
    for (signal, status) in [(None, Some(0)), (Some(Signal::SIGTERM), Some(1))] {
        let child = cut_off(scene, &backup);
        let guest = scene.guest();
        if let Some(signal) = signal {
            send(&child, signal);
        }
        send(&child, Signal::SIGCONT);
        // It leaves within two seconds otherwise.
        std::thread::sleep(Duration::from_secs(5));
        assert_eq!(scene.guest(), guest, "{signal:?}: it has left, {}", scene.log_of_drill());
        connect_again(scene);
        let ran = Ran::finish(child);
        let told = "the cluster has lost its Primary component while the drilled server was in it";
        assert!(ran.status == status && ran.err.contains(told), "{signal:?}: {ran:?}");
        assert!(!scene.runs(), "{signal:?}: a server is left");
        assert_whole(scene);
    }
}

/// Nobody can make it stay then. What the drill would tell the administrator to do helps.
pub(super) fn where_a_guest_has_left_too_early_an_administrator_forms_the_cluster_again(scene: &Scene) {
    let backup = scene.program.back_up(&scene.cluster, 2);
    let mut child = cut_off(scene, &backup);
    child.kill().unwrap();
    Ran::finish(child);
    assert!(wait_until(PATIENCE, || !scene.runs()), "a server is left");
    connect_again(scene);
    let status = |name: &str| scene.cluster.nodes().map(|node| node.status(name)).collect::<Vec<_>>();
    assert!(
        wait_until(PATIENCE, || status("wsrep_cluster_size") == ["3"; 3]),
        "{:?}",
        status("wsrep_cluster_size")
    );
    assert_eq!(status("wsrep_cluster_status"), ["non-Primary"; 3]);
    scene.cluster.n(1).exec("SET GLOBAL wsrep_provider_options='pc.bootstrap=YES'");
    assert_whole(scene);
}

/// A drill that stands still, and whose guest is a member. Of two nodes one is cut off: the other one and the guest are no majority, as it would be without the
/// guest.
fn cut_off(scene: &Scene, backup: &Value) -> Child {
    let [first, second, third] = [1, 2, 3].map(|n| scene.cluster.n(n));
    first.exec("INSERT INTO d.t VALUES ()");
    let child = scene.joined(backup);
    third.set_provider_option("gmcast.isolate", 1);
    assert!(wait_until(PATIENCE, || first.status("wsrep_cluster_size") == "3"));
    assert_eq!(first.status("wsrep_cluster_status"), "Primary");
    second.set_provider_option("gmcast.isolate", 1);
    let is_cut_off = || first.status("wsrep_cluster_status") == "non-Primary";
    assert!(wait_until(PATIENCE, is_cut_off), "{}", first.status("wsrep_cluster_status"));
    // Each notices it by itself.
    let has_noticed = || {
        let log = scene.log_of_drill();
        log.rsplit_once("New COMPONENT: primary = ").is_some_and(|(_, last)| last.starts_with("no"))
    };
    assert!(wait_until(PATIENCE, has_noticed), "{}", scene.log_of_drill());
    child
}

fn connect_again(scene: &Scene) {
    for number in [2, 3] {
        scene.cluster.n(number).set_provider_option("gmcast.isolate", 0);
    }
}

fn assert_whole(scene: &Scene) {
    scene.cluster.nodes().for_each(|node| node.wait_synced(PATIENCE));
    assert!(wait_until(PATIENCE, || scene.cluster.n(1).status("wsrep_cluster_size") == "3"));
    scene.assert_calm(3);
}
