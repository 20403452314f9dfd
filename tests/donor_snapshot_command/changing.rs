//! What is written to while it is read is no snapshot, whatever a command says: here a subvolume that can be written to, with the inodes of the server's files.

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;

use crate::support::{noise, wait_until};
use crate::{LIMIT, Stage};

#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn what_changes_while_it_is_read_is_no_snapshot() {
    let stage = Stage::new();
    let server = &stage.server;
    // Behind the redo log, which is read before.
    server.write("zdb/large.MYD", noise(30 << 20, 3));
    server.configure("wsrep_sst_backup", "method=snapshot\nlimit-rate=8M");
    stage.command(
        "take",
        "btrfs -q subvolume snapshot \"$DISK/server\" \"$DISK/taken\" && printf '%s\\t%s\\n' \"$DISK/server\" \"$DISK/taken\"",
    );
    stage.command("release", "test ! -e \"$DISK/taken\" || btrfs -q subvolume delete \"$DISK/taken\"");
    let datadir = server.datadir();
    let taken = stage.at("disk/taken").join(datadir.strip_prefix(&stage.volume).unwrap());
    for name in ["zdb/large.MYD", "ib_logfile0"] {
        let run = server.asks().error_log().start();
        run.wait_for("continue");
        let is_read = || {
            run.descriptors().iter().any(|(_, path)| path.contains("taken/") && path.ends_with("large.MYD"))
        };
        assert!(wait_until(LIMIT, is_read), "{}", run.logged());
        OpenOptions::new().write(true).open(taken.join(name)).unwrap().write_all_at(b"x", 7).unwrap();
        assert!(!run.has_said("done") && is_read(), "it was too fast: nothing is proved");
        let outcome = run.finish();
        stage.assert_refused(
            &outcome,
            &format!("{name}': it has changed while it was read from where snapshot-command says"),
        );
    }
    // One that is left alone is as good as one that cannot be written to.
    server.configure("wsrep_sst_backup", "limit-rate=none");
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
}
