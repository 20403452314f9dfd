//! A repository that takes nothing while a server stands still: what has changed is put aside, and the server runs again before a byte of it is stored.
//!
//! Run as root: `cargo test --test precopy_s3 -- --ignored`.

#[path = "storage/donor.rs"]
mod donor;
#[path = "storage/proxy.rs"]
mod proxy;
#[path = "storage/server.rs"]
mod server;
mod support;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use donor::{bucket_settings, command};
use proxy::{Proxy, Way};
use server::FileServer;
use support::precopy::PrecopyStage;
use support::scripted_mysqld::{PAUSED, Reply};

#[test]
#[ignore = "needs MariaDB"]
fn a_repository_that_takes_nothing_does_not_make_the_server_stand_still_for_longer() {
    let storage = FileServer::start();
    let line = Proxy::start(storage.address, Way::Up, &[]);
    let stage = PrecopyStage::new(env!("CARGO_BIN_EXE_wsrep_sst_backup"));
    let gate = Arc::clone(&line.line);
    let backup = stage.back_up(9, &bucket_settings(&line.endpoint()), |_, run| {
        gate.stalled.store(true, Ordering::Relaxed);
        run.answer(&Reply::once(PAUSED));
        // The order is the fact: the server is told to go on, while the repository has not taken what was read for it.
        run.wait_for("continue");
        std::thread::sleep(Duration::from_secs(2));
        assert!(!run.has_said("done"), "the repository has taken everything: nothing is proved");
        gate.stalled.store(false, Ordering::Relaxed);
    });
    assert!(backup.said.contains("the redo log names"), "{}", backup.said);
    command("verify latest", &backup.mysqld).run().done();
}
