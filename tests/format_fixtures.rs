//! The fixtures of format 1 through the library and through the stock tools: both find what the generator put in.

#[path = "support/damage.rs"]
mod damage;
#[path = "support/expected.rs"]
mod expected;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use damage::{BROKEN, CASES, CLUSTER, Fixture, ID, Outcome, copy_fixture, fixtures};
use expected::{Expected, ExpectedMember, ExpectedOrigin};
use sha2::{Digest, Sha256};
use wsrep_sst_backup::archive::{BlockReader, StreamReader, hex, read_member};
use wsrep_sst_backup::catalog::{BackupReader, Catalog, CatalogError, Selector};
use wsrep_sst_backup::model::{ArchivePath, ManifestError, Member, MemberKind};
use wsrep_sst_backup::seal::Identities;
use wsrep_sst_backup::storage::{LocalStorage, Storage};
use wsrep_sst_backup::verify::{VerifyReport, verify};

fn storage(repository: &Path) -> Arc<dyn Storage> {
    Arc::new(LocalStorage::new(repository))
}

fn source(repository: &Path) -> Result<BackupReader, CatalogError> {
    let storage = storage(repository);
    let (cluster, manifest) = Selector::Latest.find(storage.as_ref(), None, jiff::Timestamp::now())?;
    Ok(BackupReader::new(storage, cluster, manifest))
}

fn path_text(path: &ArchivePath) -> &str {
    path.as_path().to_str().unwrap()
}

/// The index line against the generator's inputs.
#[track_caller]
fn assert_member(found: &Member, wanted: &ExpectedMember) {
    let name = wanted.path();
    assert_eq!(found.path.as_path(), name);
    let kind = match found.kind {
        MemberKind::File => "file",
        MemberKind::Directory => "directory",
        MemberKind::Symlink => "symlink",
        MemberKind::Generated => "generated",
        MemberKind::Pages => "pages",
    };
    assert_eq!((kind, found.mode), (wanted.kind.as_str(), wanted.mode()), "{}", name.display());
    if wanted.sha256.is_some() || kind != "generated" {
        assert_eq!((Some(found.size), &found.sha256), (wanted.size, &wanted.sha256), "{}", name.display());
    }
    let Some(mtime) = wanted.mtime else { return };
    let times = (found.mtime, found.mtime_nsec);
    assert_eq!(times, (mtime, wanted.mtime_nsec), "{}", name.display());
    assert_eq!((Some(found.uid), Some(found.gid)), (wanted.uid, wanted.gid), "{}", name.display());
    assert_eq!((&found.user, &found.group), (&wanted.user, &wanted.group), "{}", name.display());
    assert_eq!((found.stored, found.sparse), (wanted.stored, wanted.sparse), "{}", name.display());
    assert_eq!(found.target.as_ref().map(path_text), wanted.target.as_deref(), "{}", name.display());
    let flags = (found.system_tablespace, found.changed);
    assert_eq!(flags, (wanted.system_tablespace, wanted.changed), "{}", name.display());
    let origin = found.origin.as_ref().map(|origin| ExpectedOrigin {
        variable: origin.variable.clone(),
        root: path_text(&origin.root).to_owned(),
        path: path_text(&origin.path).to_owned(),
    });
    assert_eq!(origin, wanted.origin, "{}", name.display());
}

#[test]
fn the_library_reads_every_fixture() {
    for case in CASES {
        let expected = Expected::read(case);
        let repository = fixtures().join(case).join("repository");
        let catalog = Catalog::read(storage(&repository).as_ref(), None).unwrap();
        assert_eq!((catalog.records.len(), catalog.attempts.len()), (1, 0), "{case}");

        let source = source(&repository).unwrap();
        let manifest = source.manifest();
        assert_eq!((manifest.id.as_str(), &manifest.node), (ID, &expected.node), "{case}");
        assert_eq!((manifest.id.to_string(), &manifest.cluster), (expected.id, &expected.cluster), "{case}");
        let gtid = manifest.gtid.as_ref().unwrap();
        let gtid = (&gtid.uuid, gtid.seqno, gtid.domain_id);
        assert_eq!(gtid, (&expected.uuid, expected.seqno, expected.domain_id), "{case}");
        assert_eq!((manifest.files, manifest.data_bytes), (expected.files, expected.data_bytes), "{case}");
        assert_eq!(manifest.archive.compression.name(), expected.compression, "{case}");

        let index = source.index().unwrap();
        assert!(index.blocks.len() > 1, "{case}: several blocks");
        assert_eq!(index.members.len(), expected.members.len(), "{case}");
        let options = source.reader_options(&index, 2).unwrap();
        let archive = source.open_archive().unwrap();
        let blocks = BlockReader::open(archive, index.plan(), &options).unwrap();
        let mut stream = StreamReader::new(blocks);
        for (member, wanted) in index.members.iter().zip(&expected.members) {
            assert_member(member, wanted);
            let content = read_member(&mut stream, member, |content| {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes).map(|_| bytes)
            });
            let content = content.unwrap().unwrap();
            if let Some(sha256) = &wanted.sha256 {
                assert_eq!(&hex(&Sha256::digest(&content)), sha256, "{case}: {}", member.path);
            }
        }
        let (digest, damage) = stream.finish().unwrap();
        assert_eq!((digest.unwrap().sha256, damage), (manifest.archive.sha256.clone(), vec![]), "{case}");
    }
}

fn verified(source: &BackupReader) -> VerifyReport {
    verify(source, 2, &|_| {}, &AtomicBool::new(false)).unwrap()
}

#[test]
fn verify_finds_every_fixture_whole() {
    for case in CASES {
        let expected = Expected::read(case);
        let report = verified(&source(&fixtures().join(case).join("repository")).unwrap());
        assert_eq!(report.findings, [], "{case}");
        assert_eq!((report.files, report.bytes), (expected.files, expected.data_bytes), "{case}");
        assert!(report.pages_checked > 30, "{case}: {} InnoDB pages", report.pages_checked);
    }
}

/// The encrypted case is `inside` once more, for who has its key.
#[test]
fn the_encrypted_fixture_is_read_with_its_key() {
    let place = fixtures().join("encrypted");
    let (expected, inside) = (Expected::read("encrypted"), Expected::read("inside"));
    assert_eq!((expected.files, expected.data_bytes), (inside.files, inside.data_bytes));
    let locked = source(&place.join("repository")).unwrap();
    assert!(locked.index().unwrap_err().is_locked());
    let keys = Identities::read(&place.join("key.txt"), &|_| None).unwrap();
    let source = locked.with_keys(Some(Arc::new(keys)));
    let report = verified(&source);
    assert_eq!((report.findings, report.files, report.bytes), (vec![], expected.files, expected.data_bytes));
    for (member, wanted) in source.index().unwrap().members.iter().zip(&expected.members) {
        assert_member(member, wanted);
    }
    let folder = tempfile::tempdir().unwrap();
    let backup = place.join("repository").join(CLUSTER).join(ID);
    recipe(
        "encrypted",
        &[("BACKUP", &backup), ("KEY", &place.join("key.txt")), ("DATADIR", &folder.path().join("data"))],
    );
    // The recipe has compared the digests. Owners went by their names, which this machine may know.
    for member in &expected.members {
        let place = folder.path().join("data").join(member.path());
        assert!(fs::symlink_metadata(&place).is_ok(), "'{}' is missing", place.display());
    }
}

/// Unpacks the archive with the stock tools.
fn unpack(fixture: &Fixture, target: &Path) {
    let tool: &[&str] = match Expected::read(&fixture.case).compression.as_str() {
        "none" => &["cat"],
        "zstd" => &["zstd", "-dcq"],
        "gzip" => &["gzip", "-dc"],
        _ => &["bzip2", "-dc"],
    };
    let mut decompress = Command::new(tool[0])
        .args(&tool[1..])
        .stdin(File::open(fixture.archive()).unwrap())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let pipe = decompress.stdout.take().unwrap();
    let tar =
        Command::new("tar").args(["-x", "-p", "--numeric-owner", "-C"]).arg(target).stdin(pipe).output();
    let tar = tar.unwrap();
    assert!(tar.status.success() && tar.stderr.is_empty(), "{}: {tar:?}", fixture.case);
    assert!(decompress.wait().unwrap().success(), "{}", fixture.case);
}

#[test]
fn the_stock_tools_read_every_fixture() {
    for case in CASES {
        let expected = Expected::read(case);
        let folder = tempfile::tempdir().unwrap();
        unpack(&copy_fixture(case), folder.path());
        for member in &expected.members {
            member.check_on_disk(&folder.path().join(member.path()));
        }
        let check = Command::new("sha256sum")
            .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
            .current_dir(folder.path())
            .output()
            .unwrap();
        assert!(check.status.success(), "{case}: {check:?}");
        // Not only the files that are named are right: what is named is every file, as sha256sum itself would write it.
        let files = expected.members.iter().filter(|member| member.kind == "file").map(ExpectedMember::path);
        let sums = Command::new("sha256sum").args(files).current_dir(folder.path()).output().unwrap();
        assert_eq!(fs::read(folder.path().join("SHA256SUMS")).unwrap(), sums.stdout, "{case}");
    }
}

/// Runs a recipe of `doc/format.md` in a plain shell.
fn recipe(name: &str, variables: &[(&str, &Path)]) {
    let document = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/format.md")).unwrap();
    let (_, rest) =
        document.split_once(&format!("<!-- recipe: {name} -->\n```sh\n")).expect("no such recipe");
    let (script, _) = rest.split_once("```").unwrap();
    let mut shell = Command::new("sh")
        .arg("-eu")
        .envs(variables.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    shell.stdin.take().unwrap().write_all(script.as_bytes()).unwrap();
    let output = shell.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{name}: {output:?}");
}

#[test]
fn the_recipes_of_the_document_work() {
    let (expected, fixture) = (Expected::read("zstd"), copy_fixture("zstd"));
    let folder = tempfile::tempdir().unwrap();
    let all = folder.path().join("all");
    recipe("all files", &[("BACKUP", &fixture.backup()), ("DATADIR", &all)]);
    for member in expected.members.iter().filter(|member| member.kind == "file") {
        let wanted = member.sha256.as_ref().unwrap();
        assert_eq!(&hex(&Sha256::digest(fs::read(all.join(member.path())).unwrap())), wanted);
    }

    // One file alone, every other block of the archive destroyed.
    let index = source(&fixture.repository()).unwrap().index().unwrap();
    for path in ["db/page_compressed.ibd", "db/caf%E9 not utf-8 %FF.frm", "SHA256SUMS"] {
        let member = index.members.iter().find(|m| serde_json::to_value(&m.path).unwrap() == path).unwrap();
        let mut archive = fs::read(fixture.archive()).unwrap();
        let mut raw = 0;
        for block in &index.blocks {
            if raw >= member.end_offset || raw + block.raw <= member.header_offset {
                let begin = usize::try_from(block.offset).unwrap();
                archive[begin..][..usize::try_from(block.bytes).unwrap()].fill(0xFF);
            }
            raw += block.raw;
        }
        let copy = copy_fixture("zstd");
        fs::write(copy.archive(), archive).unwrap();
        let out = folder.path().join("one");
        fs::create_dir_all(&out).unwrap();
        recipe("one file", &[("BACKUP", &copy.backup()), ("MEMBER", Path::new(path)), ("OUT", &out)]);
        let content = fs::read(out.join(member.path.as_path())).unwrap();
        assert_eq!(Some(hex(&Sha256::digest(content))), member.sha256, "{path}");
    }
}

#[test]
fn no_fixture_was_ever_edited() {
    let check = Command::new("sha256sum")
        .args(["--check", "--strict", "--quiet", "SHA256SUMS"])
        .current_dir(fixtures())
        .output()
        .unwrap();
    assert!(check.status.success(), "{check:?}: see tests/fixtures/README.md");
    let sums = fs::read_to_string(fixtures().join("SHA256SUMS")).unwrap();
    assert_eq!(
        sums.lines().count(),
        4 * CASES.len() + 5,
        "four files in each case, and the encrypted one with its key"
    );
}

/// What the library makes of a repository, and its words for it.
fn judge(fixture: &Fixture) -> (Option<Outcome>, String) {
    match source(&fixture.repository()) {
        Err(error @ CatalogError::NotFound(_)) => (Some(Outcome::NoBackup), error.to_string()),
        Err(
            error @ (CatalogError::Manifest { cause: ManifestError::Damaged(_), .. }
            | CatalogError::Misplaced { .. }),
        ) => (Some(Outcome::Damaged), error.to_string()),
        Err(error) => (Some(Outcome::Newer), error.to_string()),
        Ok(source) => {
            let report = verified(&source);
            let lines: Vec<String> =
                report.findings.iter().map(|f| format!("{}: {}", f.file, f.what)).collect();
            ((!lines.is_empty()).then_some(Outcome::Damaged), lines.join("\n"))
        }
    }
}

#[test]
fn every_broken_repository_is_seen_and_its_place_is_named() {
    for case in CASES {
        for broken in BROKEN {
            let (outcome, words) = judge(&broken.of(case));
            assert_eq!(outcome, Some(broken.outcome), "{case}, {}: {words}", broken.name);
            let wanted =
                if broken.outcome == Outcome::NoBackup { "no complete backup" } else { broken.names };
            assert!(words.contains(wanted), "{case}, {}: '{wanted}' is not in: {words}", broken.name);
        }
    }
}
