//! Many backups in a bucket behind a line with a round trip: they are listed in few requests, and read and removed by many at once.
//!
//! `BUCKET_BACKUPS` sets how many there are (120); the times are printed.

#[path = "storage/server.rs"]
mod server;
mod support;

use std::time::{Duration, Instant};

use server::{FileServer, KEY_ID, Line, SECRET};
use support::cli::cli;
use support::cli::forge::{Forge, ago};

/// Of a bucket in the next region.
const ROUND_TRIP: Duration = Duration::from_millis(20);

#[test]
fn many_backups_are_listed_and_pruned_by_many_requests_at_once() {
    let count = std::env::var("BUCKET_BACKUPS").ok().and_then(|count| count.parse().ok()).unwrap_or(120);
    let line = Line::of(ROUND_TRIP);
    let server = FileServer::behind(line.clone());
    let root = server.bucket().join("backups");
    for days in 0..count {
        let folder = Forge::new(&ago(days)).write(&root);
        std::fs::write(folder.join(".claim"), "").unwrap();
    }
    let count = usize::try_from(count).unwrap();
    let run = |command: &str| {
        let begun = Instant::now();
        let answer = cli(&format!("{command} --repository s3://bucket/backups"))
            .env("WSREP_SST_BACKUP_S3_ENDPOINT", server.endpoint())
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .run();
        let (requests, at_once) = line.take();
        let took = begun.elapsed().as_millis();
        eprintln!("{command}, {count} backups: {took} ms, {requests} requests, {at_once} at once");
        (answer.done().lines().count(), requests, at_once)
    };
    let (lines, requests, at_once) = run("list");
    assert!(lines > count, "each has a line: {lines}");
    // Each manifest, and some for the lists of what there is.
    assert!(requests >= count && requests <= count + 8 + count / 100, "{requests}");
    assert!(at_once > 4, "one after the other: {at_once}");
    let (_, _, at_once) = run("prune --keep-last 2");
    assert!(at_once > 4, "one after the other: {at_once}");
    let (_, requests, _) = run("list --json");
    assert!(requests < 12, "two are left: {requests}");
}
