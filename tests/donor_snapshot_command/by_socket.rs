//! A donor that is the server's user, and root behind the socket.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;

use crate::support::scratch::ServerUser;
use crate::support::{noise, wait_until};
use crate::{LIMIT, Stage};

/// The server's user can neither make nor remove a subvolume; who listens at the socket can.
#[test]
#[ignore = "needs root, a loop device and btrfs-progs"]
fn root_runs_the_commands_for_a_donor_that_cannot() {
    let stage = Stage::new();
    let server = &stage.server;
    server.write("db/large.MYD", noise(20 << 20, 3));
    server.configure("wsrep_sst_backup", "method=snapshot\nlimit-rate=8M");
    // The donor's own option file names the commands, too; it is root's that counts.
    let roots = stage.at("root.cnf");
    let lines = |take: &str| {
        format!(
            "[wsrep_sst_backup]\nsnapshot-command={}\nsnapshot-release-command={}\n",
            stage.at(take).display(),
            stage.at("release").display()
        )
    };
    fs::write(&roots, lines("take")).unwrap();
    let listener = UnixListener::bind(stage.at("socket")).unwrap();
    fs::set_permissions(stage.at("socket"), fs::Permissions::from_mode(0o666)).unwrap();
    let (cnf, notes) = (roots.clone(), stage.at("notes"));
    // What systemd does for a socket with Accept=yes.
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            // Whatever the umask of whoever has made the folder of the socket.
            let helper = Command::new("sh")
                .args([
                    "-c".as_ref(),
                    "umask 077; exec \"$@\"".as_ref(),
                    "sh".as_ref(),
                    env!("CARGO_BIN_EXE_wsrep_sst_backup").as_ref(),
                    "snapshot-helper".as_ref(),
                    "--defaults-file".as_ref(),
                    cnf.as_os_str(),
                    "--notes".as_ref(),
                    notes.as_os_str(),
                ])
                .stdin(Stdio::from(std::os::fd::OwnedFd::from(stream.unwrap())))
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn();
            std::thread::spawn(move || helper.unwrap().wait());
        }
    });
    let user = ServerUser::current();
    let outcome = server.asks().run_as(&user).run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(stage.newest().manifest["method"], "snapshot");
    assert_eq!(fs::metadata(stage.at("notes")).unwrap().permissions().mode() & 0o777, 0o755);
    stage.assert_none_is_left();
    // The donor is killed: the connection ends, and with it the snapshot.
    let run = server.asks().error_log().run_as(&user).start();
    run.wait_for("continue");
    assert_eq!(stage.snapshots(), 1);
    run.signal(Signal::SIGKILL);
    run.finish();
    stage.assert_none_is_left();
    // It is gone before the command that removes it has ended.
    assert!(wait_until(LIMIT, || fs::read_dir(stage.at("notes")).unwrap().count() == 0));
    // An option file that others can write says nothing to root.
    fs::set_permissions(&roots, fs::Permissions::from_mode(0o660)).unwrap();
    let outcome = server.asks().run_as(&user).run();
    stage.assert_refused(&outcome, "can be written by others than root");
    assert!(!outcome.stdout.contains("flush tables"), "{}", outcome.stdout);
}
