//! The disk that takes the write sets of a frozen server: a backup is given up before the server has no room there.

use std::fs;

use super::{ASKED_AND_RELEASED, assert_released};
use crate::support::ScriptedMysqld;
use crate::support::cli::SmallDisk;

const TOO_LITTLE: &str = "too little for one more page file";

#[test]
fn a_page_file_that_does_not_fit_is_told_before_the_freeze() {
    let server = ScriptedMysqld::new();
    server.configure("mysqld", "wsrep_provider_options=gcache.page_size=9000T");
    let outcome = server.asks().run();
    assert_eq!(outcome.stdout, "");
    outcome.assert_refused(&server, 28, TOO_LITTLE);
}

#[test]
fn a_disk_that_fills_up_under_the_freeze_ends_it_before_the_server_has_no_room() {
    let server = ScriptedMysqld::new();
    let _disk = SmallDisk::mount(&server.path("cache"), 64);
    let options = format!("gcache.dir={};gcache.page_size=20M", server.path("cache").display());
    server.configure("mysqld", &format!("wsrep_provider_options={options}"));
    server.make_slow(40);
    let run = server.asks().start();
    run.wait_for("flush tables");
    fs::write(server.path("cache/gcache.page.000000"), vec![1; 40 << 20]).unwrap();
    let outcome = run.finish();
    assert_released(&outcome);
    assert_eq!(outcome.stdout, ASKED_AND_RELEASED);
    outcome.assert_refused(&server, 28, TOO_LITTLE);
}
