//! What stands between: slow lines, proxies, web pages, other regions.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use wsrep_sst_backup::config::{S3Proxy, S3Settings, Secret};
use wsrep_sst_backup::storage::{S3Storage, Storage, StorageError, Watched};

use crate::contract::{content, holds_alone};
use crate::proxy::{Proxy, Said, Way};
use crate::refusal;
use crate::server::{BUCKET, FileServer, STALL, settings, storage};
use crate::support::cli::cli;
use crate::support::noise;

#[test]
fn a_large_part_on_a_slow_line_arrives_and_is_not_taken_for_one_that_hangs() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    // Nothing may stand still for 2 s; the part takes about five.
    let stall = Duration::from_secs(5);
    let slow = S3Storage::new(BUCKET, "", &settings(&proxy.endpoint()), stall, &|_| None).unwrap();
    let watched = Watched::new(Arc::new(slow));
    let activity = watched.activity();
    watched.claim("c/id").unwrap();
    proxy.line.rate.store(9 << 20, Ordering::Relaxed);
    // Parts of 48 MiB are made for what may become that large.
    let expected = noise(48 << 20, 1);
    let is_over = Arc::new(AtomicBool::new(false));
    let looks = {
        let is_over = Arc::clone(&is_over);
        std::thread::spawn(move || {
            let mut longest = Duration::ZERO;
            while !is_over.load(Ordering::Relaxed) {
                longest = activity.oldest().map_or(longest, |oldest| oldest.time.max(longest));
                std::thread::sleep(Duration::from_millis(20));
            }
            longest
        })
    };
    let begun = Instant::now();
    let mut object = watched.create_large("c/id/x", 400 << 30).unwrap();
    object.write_all(&expected).unwrap();
    object.write_all(b"the next part").unwrap();
    object.commit().unwrap();
    let took = begun.elapsed();
    is_over.store(true, Ordering::Relaxed);
    let longest = looks.join().unwrap();
    assert!(took > Duration::from_secs(4), "the line was not slow: {took:?}");
    assert!(longest < stall, "{longest:?} of {took:?}");
    let direct = storage("", &settings(&server.endpoint()));
    assert!(content(&direct, "c/id/x")[..48 << 20] == expected, "other bytes came back");
}

#[test]
fn a_web_page_is_no_bucket() {
    for kind in ["text/html; charset=utf-8", "application/octet-stream"] {
        let server = FileServer::start();
        storage("p", &settings(&server.endpoint())).claim("c/20261120T113452Z_n1").unwrap();
        let proxy = Proxy::start(server.address, Way::Up, &[]);
        let storage = storage("p", &settings(&proxy.endpoint()));
        proxy.line.answers(move |_| {
            let headers = format!("Content-Type: {kind}\r\n");
            Some(Said { status: "200 OK", headers, body: "<!DOCTYPE html><html>Log in</html>".into() })
        });
        let outcomes: [(&str, Result<(), StorageError>); 8] = [
            ("probe", storage.probe()),
            ("folders", storage.folders("").map(drop)),
            ("objects", storage.objects("c").map(drop)),
            ("claim", storage.claim("c/new").map(drop)),
            ("open", storage.open("c/x").map(drop)),
            ("put", storage.put("c/x", b"x")),
            ("remove", storage.remove("c/x")),
            ("versions", storage.old_versions().map(drop)),
        ];
        for (what, outcome) in outcomes {
            let text = outcome.expect_err(what).to_string();
            assert!(text.contains("this is no S3 server; check s3-endpoint"), "{what}: {text}");
        }
        for line in ["list", "prune --keep-last 1", "prune --keep-last 1 --dry-run"] {
            let outcome = cli(&format!("{line} --repository s3://bucket/p"))
                .env("WSREP_SST_BACKUP_S3_ENDPOINT", proxy.endpoint())
                .env("AWS_ACCESS_KEY_ID", "k")
                .env("AWS_SECRET_ACCESS_KEY", "k")
                .run();
            assert_eq!(outcome.status, Some(1), "{line}: {}", outcome.stdout);
            assert!(outcome.stderr.contains("this is no S3 server"), "{line}: {}", outcome.stderr);
        }
    }
}

#[test]
fn another_region_and_a_page_to_log_in_are_named() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let storage = storage("p", &settings(&proxy.endpoint()));
    for (said, words) in [
        (
            Said { status: "301 Moved Permanently", headers: "x-amz-bucket-region: eu-west-3\r\n".into(), body: String::new() },
            "set s3-region = eu-west-3, where the bucket is",
        ),
        (
            Said {
                status: "400 Bad Request",
                headers: String::new(),
                body: "<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message><Region>eu-north-1</Region></Error>"
                    .into(),
            },
            "set s3-region = eu-north-1, where the bucket is",
        ),
        (
            Said { status: "302 Found", headers: "Location: http://portal.example/login?a=b\r\n".into(), body: String::new() },
            "HTTP status 302 to http://portal.example/login: check s3-endpoint",
        ),
    ] {
        proxy.line.answers(move |_| Some(said.clone()));
        let before = proxy.line.requests().len();
        let error = storage.probe().unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(proxy.line.requests().len(), before + 1, "it was asked again, or the redirection followed");
    }
}

#[test]
fn a_proxy_is_used_where_it_is_to_be_and_named_where_it_fails() {
    let server = FileServer::start();
    let direct = settings(&server.endpoint());
    // A line that carries what a client sends to a proxy: requests with whole addresses.
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    let through = |address: &str| Some(S3Proxy::Through(Secret::from(format!("http://u:hunter2@{address}"))));
    let address = proxy.address.to_string();
    let open = |settings: &S3Settings, variable: &dyn Fn(&str) -> Option<String>| {
        S3Storage::new(BUCKET, "", settings, STALL, variable).unwrap()
    };
    let by_setting = S3Settings { proxy: through(&address), ..direct.clone() };
    holds_alone(&open(&by_setting, &|_| None));
    let whole = format!("http://{}/bucket", server.address);
    let requests = proxy.line.requests();
    assert!(requests.len() > 9 && requests.iter().all(|line| line.contains(&whole)), "{requests:?}");
    let (with, without) = proxy.line.with_header("PUT", "proxy-authorization: basic ");
    assert!(!with.is_empty() && without.is_empty(), "{without:?}");

    let variables = |name: &str| match name {
        "http_proxy" => Some(format!("http://{address}")),
        "no_proxy" => Some("example.com, 127.0.0.0/8".to_owned()),
        _ => None,
    };
    let only_proxy = |name: &str| variables(name).filter(|_| name == "http_proxy");
    for (settings, variable, expected) in [
        (&direct, &only_proxy as &dyn Fn(&str) -> Option<String>, 1),
        (&direct, &variables, 0),
        (&by_setting, &variables, 0),
        (&S3Settings { proxy: Some(S3Proxy::No), ..direct.clone() }, &only_proxy, 0),
    ] {
        let before = proxy.line.requests().len();
        open(settings, variable).probe().unwrap();
        assert_eq!(proxy.line.requests().len() - before, expected);
    }

    proxy.line.answers(|_| Some(Said { status: "407 Proxy Authentication Required", ..Said::default() }));
    let error = open(&by_setting, &|_| None).probe().unwrap_err().to_string();
    assert!(error.contains(&format!("the proxy http://{address} wants a name and a password")), "{error}");

    let begun = Instant::now();
    for (settings, words) in [
        (
            S3Settings { proxy: through("127.0.0.1:1"), ..direct.clone() },
            "through the proxy http://127.0.0.1:1: ",
        ),
        (settings("http://127.0.0.1:1"), "cannot connect to 127.0.0.1:1: "),
    ] {
        // An operation is tried for two minutes where somebody is there.
        let storage = S3Storage::new(BUCKET, "", &settings, 5 * STALL, &|_| None).unwrap();
        let error = storage.probe().unwrap_err().to_string();
        let names =
            error.contains(words) && error.contains("Connection refused") && error.contains("given up after");
        assert!(names && !error.contains("hunter2"), "{error}");
    }
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn what_is_stored_has_a_checksum() {
    let server = FileServer::start();
    let proxy = Proxy::start(server.address, Way::Up, &[]);
    proxy.line.answers(|head| {
        let has_one = head.lines().any(|line| line.starts_with("content-md5: ") && line.len() == 37);
        let is_wanted = head.starts_with("put ") && !has_one;
        is_wanted
            .then(|| {
                let message = "Content-MD5 OR x-amz-checksum- HTTP header is required for Put Object requests with Object \
                               Lock parameters";
                refusal("400 Bad Request", "InvalidRequest", message)
            })
            .flatten()
    });
    let storage = storage("", &settings(&proxy.endpoint()));
    // Single objects and parts; the server compares what it gets.
    holds_alone(&storage);
    let (with, without) = proxy.line.with_header("PUT", "content-md5: ");
    assert!(with.iter().any(|head| head.contains("partnumber=")) && without.is_empty(), "{without:?}");
}
