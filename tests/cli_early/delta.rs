//! `restore --delta` of files that were stored while the server ran: what they are at the end is compared, not what was stored first.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use wsrep_sst_backup::model::EarlyChange;

use crate::story::{PAGE, Story, member, tablespace};
use crate::support::cli::records::{change_digest, edit_index};
use crate::support::cli::tree::{Tree, assert_same, tree};
use crate::support::cli::{cli, open_folder};
use crate::support::noise;

/// Pages of a file that lies in four blocks: those of such a story have 2 MiB.
const PAGES: usize = 400;

/// Large files of which pages were read again, one that has grown, one that was cut, one that was moved, and one that never changed.
fn story(folder: &Path) -> (PathBuf, BTreeMap<PathBuf, Vec<u8>>) {
    let mut story = Story::begin();
    story.late(member("aria_log_control"), &[7; 52]);
    let mut paths = BTreeMap::new();
    let mut early = |story: &mut Story, name: &'static str, seed: u64| {
        let content = noise(PAGES * PAGE, seed);
        let offset = story.early(member(name), &content);
        paths.insert(name, offset);
        (offset, content)
    };
    let (_, still) = early(&mut story, "db/still.MYD", 1);
    let (again, mut pages) = early(&mut story, "db/again.MYD", 2);
    let (grown, mut longer) = early(&mut story, "db/grown.MYD", 3);
    let (cut, mut shorter) = early(&mut story, "db/cut.MYD", 4);
    let (moved, renamed) = early(&mut story, "db/old.MYD", 5);
    let mut system = member("ibdata1");
    system.system_tablespace = true;
    let start = tablespace(0, 12, 7);
    story.late(system, &start);
    for page in [0, 1, 150, PAGES - 1] {
        pages[page * PAGE..][..PAGE].fill(9);
    }
    story.pages(again, &[0, 1, 150, PAGES - 1], &pages);
    longer.resize((PAGES + 20) * PAGE, 0);
    longer[(PAGES + 3) * PAGE..][..PAGE].fill(8);
    story.pages(grown, &[PAGES + 3], &longer);
    shorter.truncate(200 * PAGE);
    for change in [
        EarlyChange::Resized { member: grown, size: longer.len() as u64 },
        EarlyChange::Resized { member: cut, size: shorter.len() as u64 },
        EarlyChange::Moved { member: moved, to: wsrep_sst_backup::model::ArchivePath::new("db/renamed.MYD") },
    ] {
        story.writer.change(change).unwrap();
    }
    for (name, content) in [
        ("aria_log_control", &vec![7; 52]),
        ("ibdata1", &start),
        ("db/still.MYD", &still),
        ("db/again.MYD", &pages),
        ("db/grown.MYD", &longer),
        ("db/cut.MYD", &shorter),
        ("db/renamed.MYD", &renamed),
    ] {
        story.expect(name, content);
    }
    story.end(&folder.join("r"))
}

fn restored(root: &Path) -> Tree {
    let mut tree = tree(root);
    // The folder is no member of the archive: it is made as it is needed.
    tree.retain(|path, _| path != Path::new("grastate.dat") && path != Path::new("db"));
    tree
}

#[test]
fn what_files_are_at_the_end_is_compared_and_made() {
    let folder = open_folder();
    let (backup, expected) = story(folder.path());
    let (repository, wanted, node) =
        (folder.path().join("r"), folder.path().join("wanted"), folder.path().join("node"));
    for target in [&wanted, &node] {
        cli("restore latest").on(&repository).to(target).run().done();
    }
    crate::assert_files(&wanted, &expected);
    let change = |name: &str, page: usize| {
        let file = File::options().write(true).open(node.join(name)).unwrap();
        file.write_all_at(&[0x5a; 100], (page * PAGE) as u64).unwrap();
    };
    // No option file of a server is here.
    let delta = || cli("restore latest --delta --any-server --json").on(&repository).to(&node).run().json();
    for has_digests in [true, false] {
        if !has_digests {
            edit_index(&backup, |lines| {
                for block in lines.iter_mut().filter_map(|line| line.get_mut("block")?.as_object_mut()) {
                    block.retain(|name, _| !["head", "tail"].contains(&name.as_str()));
                }
            });
        }
        // As they are; pages that lie in what was stored, in what was read again, and behind what was stored.
        for changes in [
            &[][..],
            &[("db/still.MYD", 200), ("db/again.MYD", 10), ("db/again.MYD", 150), ("db/renamed.MYD", 399)],
            &[("db/grown.MYD", PAGES + 1), ("db/grown.MYD", PAGES + 3), ("db/cut.MYD", 199)],
        ] {
            for (name, page) in changes {
                change(name, *page);
            }
            let told = delta();
            assert_same(&restored(&node), &restored(&wanted));
            if has_digests {
                assert_eq!(told["delta"]["anew"]["files"], 0, "{told}");
                let read = told["delta"]["read_bytes"].as_u64().unwrap();
                let whole = fs::metadata(backup.join("backup.tar")).unwrap().size();
                assert!(read < whole * 2 / 3, "{read} of {whole}");
            } else if changes.is_empty() {
                // Those without pages and of their first size are known by their own digests.
                assert_eq!(told["delta"]["anew"]["files"], 3, "{told}");
            }
        }
        // Of other sizes.
        File::options().write(true).open(node.join("db/cut.MYD")).unwrap().set_len(7).unwrap();
        File::options().write(true).open(node.join("db/grown.MYD")).unwrap().set_len(99_999_999).unwrap();
        delta();
        assert_same(&restored(&node), &restored(&wanted));
    }
}

/// Nothing goes by what the index says of a file that was stored once more.
#[test]
fn a_wrong_digest_of_what_was_superseded_is_no_damage() {
    let folder = open_folder();
    let repository = folder.path().join("r");
    let mut story = Story::begin();
    story.early(member("db/twice.MYD"), &noise(PAGES * PAGE, 1));
    let mut system = member("ibdata1");
    system.system_tablespace = true;
    story.late(system, &tablespace(0, 12, 7));
    story.late(member("db/twice.MYD"), &noise(PAGES * PAGE, 2));
    let (backup, _) = story.end(&repository);
    let change = |is_last: bool| {
        edit_index(&backup, |lines| {
            let name = if is_last { "head" } else { "tail" };
            let mut blocks: Vec<_> = lines.iter_mut().filter_map(|line| line.get_mut("block")).collect();
            if is_last {
                blocks.reverse();
            }
            let digest =
                blocks.into_iter().map(|block| &mut block[name]).find(|digest| digest.is_string()).unwrap();
            change_digest(digest);
        });
    };
    change(false);
    cli("verify latest").on(&repository).run().done();
    change(true);
    let answer = cli("verify latest").on(&repository).run();
    let text = "db/twice.MYD: the index has a wrong digest of its bytes ";
    assert_eq!((answer.status, answer.stdout.matches(text).count()), (Some(4), 1), "{answer:?}");
}
