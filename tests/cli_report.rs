//! `report --html`: a page of its own, whatever is in the repository, written whole.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use quick_xml::Reader;
use quick_xml::events::Event;
use serde_json::json;
use support::ScriptedMysqld;
use support::cli::forge::{Forge, UUID, manifest, put_manifest, put_object, status};
use support::cli::{cli, history, open_folder};
use support::scratch::ServerUser;

/// The page of a repository, which must be well-formed XML.
#[track_caller]
fn page(repository: &Path, flags: &str) -> String {
    let answer = cli(&format!("report --html - {flags}")).on(repository).run();
    let html = answer.done().to_owned();
    let mut reader = Reader::from_str(&html);
    while !matches!(reader.read_event().unwrap(), Event::Eof) {}
    html
}

/// What follows the id of a row, up to its end.
fn row<'a>(html: &'a str, id: &str) -> &'a str {
    let start = html.find(&format!("-{id}\"><td")).unwrap_or_else(|| panic!("no row of {id}"));
    let rest = &html[start..];
    &rest[..rest.find("</tr>").unwrap()]
}

#[test]
fn some_weeks_are_told_with_everything_that_has_happened() {
    let folder = open_folder();
    let ids = history::write(folder.path(), "shop_production", 32, Timestamp::now());
    let html = page(folder.path(), "");
    assert!(html.starts_with("<!DOCTYPE html>\n<html lang=\"en\""), "{}", &html[..80]);
    // Nothing is fetched: the only addresses are places in the page.
    for (at, _) in html.match_indices("href=\"") {
        let target = &html[at + 6..];
        assert!(target.starts_with('#') || target.starts_with("data:,\""), "{}", &target[..40]);
    }
    assert!(
        !html.contains("<script")
            && !html.contains(" src=")
            && !html.contains("url(")
            && !html.contains("@import")
    );
    assert_eq!(html.matches("<tr id=").count(), ids.len());
    assert!(row(&html, &ids[ids.len() - 1]).contains(">intact<"));
    let damaged = row(&html, &ids[ids.len() - 4]);
    assert!(damaged.contains(">damaged<") && damaged.contains("shop/orders.ibd: 1 InnoDB page"), "{damaged}");
    let all = format!("{} backups", ids.len() - 1);
    assert!(html.contains(&all) && html.contains("1 held") && html.contains("before the upgrade to 11.8"));
    let failed = ids.iter().find(|id| row(&html, id).contains(">failed<")).unwrap();
    let told = row(&html, failed);
    assert!(told.contains("No space left on device") && told.contains("frozen for 41.8 s"), "{told}");
    assert!(!html.contains(">Retention<"), "there is no policy");
    // One bar for each backup in each of three plots, and a cross in two of them.
    assert_eq!(html.matches("<a href=\"#c0-").count(), 3 * (ids.len() - 1) + 2 + 1);

    let html = page(folder.path(), "--cluster other");
    assert!(html.contains("There are no backups."));
}

#[test]
fn a_policy_is_told_for_each_backup() {
    let folder = open_folder();
    let ids = history::write(folder.path(), "c", 12, Timestamp::now());
    let run = cli("report --html -").on(folder.path()).env("WSREP_SST_BACKUP_KEEP_LAST", "2").run();
    let html = run.done();
    let newest = row(html, &ids[ids.len() - 1]);
    assert!(newest.contains(">stays<") && newest.contains("keep-last: number 1"), "{newest}");
    let old = row(html, &ids[0]);
    assert!(old.contains(">goes<") && old.contains("not among the last 2"), "{old}");
}

#[test]
fn every_state_has_its_word() {
    let folder = open_folder();
    let now = Timestamp::now();
    let at = |minutes: i64| now - SignedDuration::from_mins(minutes);
    let id = |minutes: i64| format!("{}_n1", at(minutes).strftime("%Y%m%dT%H%M%SZ"));
    let put_status = |minutes: i64, state: &str, error: Option<&str>, updated: i64| {
        let mut told = status(&id(minutes), state, error);
        told["updated"] = at(updated).to_string().into();
        put_object(folder.path(), &format!("c/{}/status.json", id(minutes)), told.to_string());
    };
    let mut whole = manifest(&id(600));
    whole["damaged_pages"] = 3.into();
    whole["warnings"] = json!(["one", "two"]);
    put_manifest(folder.path(), "c", &whole);
    put_object(folder.path(), &format!("c/{}/manifest.json", id(500)), "garbage");
    put_object(folder.path(), &format!("c/{}/hold.json", id(500)), "garbage");
    put_object(folder.path(), &format!("c/{}/verify.json", id(500)), "garbage");
    put_status(400, "failed", Some("a reason"), 399);
    put_status(300, "copying", None, 299);
    put_status(200, "done", None, 199);
    put_object(folder.path(), &format!("c/{}/backup.tar.zst", id(100)), "");
    put_status(5, "thawed", None, 0);
    let html = page(folder.path(), "");
    for (minutes, words) in [
        (600, &["complete", "3 damaged pages", "2 warnings", ">two<", ">never<"][..]),
        (
            500,
            &["unusable", "expected value at line 1", "held, as its hold.json cannot be read", ">unknown<"],
        ),
        (400, &[">failed<", "a reason"]),
        (300, &[">dead<", "Nothing was heard of it since"]),
        (200, &[">removed<"]),
        (100, &[">dead<", "It has left no word"]),
        (5, &[">running<", "storing; the server runs again: 1 B of 2 B, 50 %"]),
    ] {
        let row = row(&html, &id(minutes));
        for word in words {
            assert!(row.contains(word), "{word}: {row}");
        }
    }
    assert!(html.contains(">needs attention<") && html.contains("_n1 runs now."));
}

#[test]
fn names_that_are_markup_stay_names() {
    let folder = open_folder();
    let evil = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>";
    let backup = Forge::new("20261120T113452Z_n1")
        .manifest(|m| {
            m["node"] = evil.into();
            m["warnings"] = json!([evil]);
        })
        .write(folder.path());
    let hold = json!({"held": "2026-11-21T00:00:00Z", "by": evil, "note": evil});
    fs::write(backup.join("hold.json"), hold.to_string()).unwrap();
    let mut told = status("20261121T113452Z_n1", "failed", Some(evil));
    told["node"] = evil.into();
    put_object(folder.path(), "c/20261121T113452Z_n1/status.json", told.to_string());
    let html = page(folder.path(), "");
    assert!(!html.contains("<script") && !html.contains("<img"));
    assert!(html.matches("&lt;script&gt;alert(1)").count() >= 5);
}

#[test]
fn a_file_is_written_whole_or_not_at_all() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    put_manifest(&repository, "c", &manifest("20261120T113452Z_n1"));
    let file = folder.path().join("report.html");
    fs::write(&file, "old").unwrap();
    let write = |file: &Path| cli("report --html").arg(file).on(&repository).run();
    assert_eq!(write(&file).done(), "");
    assert!(fs::read_to_string(&file).unwrap().ends_with("</html>\n"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    let inside = cli("report --html page.html").on(&repository).within(folder.path()).run();
    assert_eq!((inside.done(), folder.path().join("page.html").is_file()), ("", true));
    write(Path::new("/dev/null")).fails(1, "cannot replace '/dev/null': it is not a regular file");
    write(&folder.path().join("none/x.html")).fails_with(1, "No such file or directory");

    let user = ServerUser::current();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let answer = cli("report --html").arg(&file).on(&repository).user(&user, folder.path()).run();
    answer.fails_with(1, "Permission denied");
    let usage = cli("report").on(&repository).run();
    assert_eq!(usage.status, Some(2));
    assert!(usage.stderr.contains("--html <FILE>"), "{}", usage.stderr);
}

#[test]
fn what_a_donor_has_made_and_verify_has_read_is_there() {
    let server = ScriptedMysqld::new();
    server.asks().run().assert_backed_up(&server);
    let id = server.backup().manifest["id"].as_str().unwrap().to_owned();
    cli("verify latest").on(&server.repository()).run().done();
    assert_ne!(server.asks().gtid(&format!("{UUID}:7")).run().code, Some(0));
    let html = page(&server.repository(), "");
    assert!(row(&html, &id).contains(">intact<") && row(&html, &id).contains("donor1 · seqno 6"));
    assert!(html.contains(">failed<") && html.contains("request at 7"), "{html}");
}
