//! S3 servers that people run: what every storage promises, and a whole backup from its making to its end.
//!
//! `scripts/test --storages all` runs it on each of them, and keeps what came of every test for `doc/compatibility.md`; by itself it
//! runs on moto.

#[path = "storage/contract.rs"]
mod contract;
#[path = "storage/donor.rs"]
mod donor;
#[path = "storage/real.rs"]
mod real;
#[path = "storage/server.rs"]
mod server;
mod support;

use std::sync::Arc;
use std::time::Duration;

use donor::{command, donor};
use real::RealServer;
use support::cli::open_folder;
use support::trees::assert_same_files;
use support::{ScriptedMysqld, noise};
use wsrep_sst_backup::storage::Storage;

#[test]
#[ignore = "needs moto"]
fn objects_and_folders_are_as_promised() {
    contract::holds_alone(&RealServer::start().storage("plain"));
}

#[test]
#[ignore = "needs moto"]
fn what_a_killed_writer_leaves_is_found_and_goes() {
    contract::what_a_killed_writer_leaves_is_found_and_goes(&RealServer::start().storage("left"));
}

#[test]
#[ignore = "needs moto"]
fn long_lists_are_whole() {
    contract::long_lists_are_whole(&RealServer::start().storage("long"));
}

#[test]
#[ignore = "needs moto"]
fn one_of_many_donors_gets_a_folder() {
    let server = RealServer::start();
    let storage: Arc<dyn Storage> = Arc::new(server.storage("race"));
    contract::one_of_many_gets_a_folder(&storage);
}

/// One backup more, which is verified; its ID.
fn backed_up(server: &ScriptedMysqld) -> String {
    let outcome = server.asks().run();
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    command("verify latest", server).run().done();
    let shown = command("show latest --json", server).run().json();
    shown["id"].as_str().unwrap().to_owned()
}

fn listed(server: &ScriptedMysqld) -> Vec<String> {
    let list = command("list --json", server).run().json();
    assert_eq!(list["incomplete"].as_array().unwrap().len(), 0, "{list}");
    list["backups"].as_array().unwrap().iter().map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

/// A server that lists no unfinished uploads is warned of.
fn prune(server: &ScriptedMysqld) {
    let answer = command("prune --keep-last 1", server).run();
    assert_eq!(answer.status, Some(0), "{}{}", answer.stdout, answer.stderr);
}

#[test]
#[ignore = "needs moto"]
fn backups_are_made_verified_held_pruned_and_restored() {
    let real = RealServer::start();
    let server = donor(real.endpoint(), &real.lines());
    server.write("db/noise.MYD", noise(60 << 20, 1));
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(backed_up(&server));
        // An ID has the second in it.
        std::thread::sleep(Duration::from_millis(1100));
    }
    command("hold --note tests", &server).arg(&ids[0]).run().done();
    prune(&server);
    assert_eq!(listed(&server), [ids[0].as_str(), &ids[2]]);
    command("release", &server).arg(&ids[0]).run().done();
    prune(&server);
    assert_eq!(listed(&server), [ids[2].as_str()]);
    let folder = open_folder();
    let target = folder.path().join("data");
    command("restore latest --as standalone", &server).to(&target).run().done();
    assert_same_files(&server.datadir(), &target);

    let storage = real.storage("backups");
    assert_eq!(storage.unfinished_below("").unwrap().unwrap_or_default(), []);
    let clusters = storage.folders("").unwrap();
    assert_eq!(storage.folders(&clusters[0]).unwrap(), [ids[2].as_str()]);
}
