//! Connections that are lost, servers that are busy, slow or silent.

use std::io::{Read, Write};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use wsrep_sst_backup::storage::{S3Storage, Storage};

use super::{MIB, write};
use crate::contract::content;
use crate::proxy::{Proxy, Way};
use crate::server::{BUCKET, FileServer, settings, storage};
use crate::support::noise;

#[test]
fn an_upload_that_loses_its_connection_five_times_is_whole() {
    let server = FileServer::start();
    let cuts: Vec<u64> = [1, 9, 20, 33, 50].map(|mib| mib * MIB).to_vec();
    let proxy = Proxy::start(server.address, Way::Up, &cuts);
    let storage = storage("", &settings(&proxy.endpoint()));
    storage.claim("c/id").unwrap();
    let expected = noise(60 << 20, 2);
    write(&storage, "c/id/x", &expected);
    assert_eq!(proxy.line.cut.load(Ordering::Relaxed), 5);
    assert!(content(&storage, "c/id/x") == expected, "other bytes came back");
    assert_eq!(server.unfinished(), Vec::<String>::new());
}

#[test]
fn a_download_that_loses_its_connection_five_times_is_whole() {
    let server = FileServer::start();
    let expected = noise(30 << 20, 3);
    let direct = storage("", &settings(&server.endpoint()));
    direct.claim("c/id").unwrap();
    write(&direct, "c/id/x", &expected);
    let cuts: Vec<u64> = [1, 2, 11, 17, 29].map(|mib| mib * MIB).to_vec();
    let proxy = Proxy::start(server.address, Way::Down, &cuts);
    let storage = storage("", &settings(&proxy.endpoint()));
    assert!(content(&storage, "c/id/x") == expected, "other bytes came back");
    assert_eq!(proxy.line.cut.load(Ordering::Relaxed), 5);
    let asked = proxy.line.requests().iter().filter(|line| line.starts_with("GET")).count();
    assert_eq!(asked, 6);
}

#[test]
fn who_takes_long_between_two_reads_is_no_slow_storage() {
    let server = FileServer::start();
    let direct = storage("", &settings(&server.endpoint()));
    let expected = noise(1 << 20, 7);
    direct.claim("c/id").unwrap();
    write(&direct, "c/id/x", &expected);
    let proxy = Proxy::start(server.address, Way::Down, &[100_000]);
    // An operation is tried for two seconds.
    let (stall, settings) = (Duration::from_secs(5), settings(&proxy.endpoint()));
    let storage = S3Storage::new(BUCKET, "", &settings, stall, &|_| None).unwrap();
    let mut object = storage.open("c/id/x").unwrap();
    // All but what came last before the line was cut: that is what the next read meets.
    let mut bytes = vec![0; 99_000];
    object.read_exact(&mut bytes).unwrap();
    std::thread::sleep(Duration::from_millis(2100));
    object.read_to_end(&mut bytes).unwrap();
    assert!(bytes == expected, "other bytes came back");
    assert_eq!(proxy.line.cut.load(Ordering::Relaxed), 1);
}

#[test]
fn two_versions_of_an_object_are_never_mixed() {
    let server = FileServer::start();
    let direct = storage("", &settings(&server.endpoint()));
    direct.claim("c/id").unwrap();
    write(&direct, "c/id/x", &noise(20 << 20, 4));
    let proxy = Proxy::start(server.address, Way::Down, &[4 * MIB]);
    let storage = storage("", &settings(&proxy.endpoint()));
    let mut object = storage.open("c/id/x").unwrap();
    object.read_exact(&mut vec![0; 1 << 20]).unwrap();
    write(&direct, "c/id/x", &noise(20 << 20, 5));
    let error = object.read_to_end(&mut Vec::new()).unwrap_err().to_string();
    assert!(error.contains("s3://bucket/c/id/x") && error.contains("replaced while it was read"), "{error}");
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let storage = storage("", &settings(&proxy.endpoint()));
    for action in ["claim", "put", "read", "list", "remove"] {
        proxy.line.busy.store(3, Ordering::Relaxed);
        match action {
            "claim" => assert!(storage.claim("c/id").unwrap()),
            "put" => storage.put("c/id/x", b"x").unwrap(),
            "read" => assert_eq!(content(&storage, "c/id/x"), b"x"),
            "list" => assert_eq!(storage.objects("c/id").unwrap().len(), 1),
            _ => storage.remove("c/id/x").unwrap(),
        }
        assert_eq!(proxy.line.busy.load(Ordering::Relaxed), 0, "{action}");
    }
}

#[test]
fn an_upload_that_fails_or_is_dropped_leaves_nothing() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let storage =
        S3Storage::new(BUCKET, "", &settings(&proxy.endpoint()), Duration::from_secs(15), &|_| None).unwrap();
    storage.claim("c/id").unwrap();
    let mut object = storage.create("c/id/x").unwrap();
    object.write_all(&noise(60 << 20, 6)).unwrap();
    assert_ne!(server.unfinished(), Vec::<String>::new(), "it has begun");
    drop(object);
    assert_eq!(server.unfinished(), Vec::<String>::new());
    // A server that is busy for longer than an operation may take.
    let mut object = storage.create("c/id/x").unwrap();
    object.write_all(&noise(20 << 20, 6)).unwrap();
    proxy.line.busy.store(1_000, Ordering::Relaxed);
    let error = object.write_all(&noise(60 << 20, 6)).unwrap_err().to_string();
    assert!(
        error.contains("c/id/x") && error.contains("SlowDown") && error.contains("given up after"),
        "{error}"
    );
    proxy.line.busy.store(0, Ordering::Relaxed);
    drop(object);
    assert_eq!(server.unfinished(), Vec::<String>::new());
    assert_eq!(storage.objects("c/id").unwrap(), []);
}

#[test]
fn a_server_that_says_nothing_is_given_up_in_time() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let stall = Duration::from_secs(5);
    let storage = S3Storage::new(BUCKET, "", &settings(&proxy.endpoint()), stall, &|_| None).unwrap();
    storage.claim("c/id").unwrap();
    proxy.line.stalled.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    let error = storage.put("c/id/x", b"x").unwrap_err().to_string();
    assert!(error.contains("no answer within") && begun.elapsed() < stall, "{error}, {:?}", begun.elapsed());
    proxy.line.stalled.store(false, Ordering::Relaxed);
}
