//! What leads out of the places that an operator names: origins, links, rights.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;

use super::assert_refused;
use crate::restore;
use crate::support::cli::forge::{Forge, ID, edit_manifest, edit_member};
use crate::support::cli::open_folder;
use crate::support::cli::tree::{assert_same, entry, paths, tree};

#[test]
fn an_origin_stays_below_its_root() {
    let folder = open_folder();
    let root = folder.path().join("undo");
    for (there, path) in [
        (root.clone(), folder.path().join("elsewhere/undo002")),
        (root.clone(), root.join("../elsewhere/undo002")),
        (root.join("../elsewhere"), root.join("../elsewhere/undo002")),
        ("undo".into(), "undo/undo002".into()),
        ("".into(), root.join("undo002")),
        (root.clone(), folder.path().join("undo-not/undo002")),
        (root.join("x\0"), root.join("x\0/undo002")),
    ] {
        let forge = Forge::new(ID).external("innodb_undo_directory", &there, &path, "x");
        forge.write(&folder.path().join("r"));
        assert_refused(folder.path(), "has an origin that is not below its root");
    }
}

#[test]
fn places_outside_are_those_that_the_operator_names() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let at = |name: &str| folder.path().join(name);
    Forge::new(ID)
        .external("innodb_undo_directory", &at("undo"), &at("undo/undo002"), vec![0; 3 << 19])
        .external("symlink", &at("cron.d"), &at("cron.d/job"), "* * * * * root evil")
        .external("symlink", &at("cron.d/more"), &at("cron.d/more/job"), "x")
        .write(&repository);
    let before = tree(folder.path());
    let place = folder.path().display();
    let list = format!(
        "backup '{ID}' holds files that were outside of the donor's data directory. They go only to places that you \
         name; nothing was written:\n  \
         innodb_undo_directory  {place}/undo  (1 files, 2 MiB)\n  \
         symlink                {place}/cron.d  (1 files, 1 MiB)\n  \
         symlink                {place}/cron.d/more  (1 files, 1 MiB)\n\
         Where these are the places that you expect, this puts them back there:\n  \
         --external {place}/cron.d --external {place}/undo\n\
         Or into directories of your choice:\n  \
         --map innodb_undo_directory=DIR --map symlink=DIR"
    );
    restore(&repository, &target, "").fails(2, &list);
    // Named is what lies there, and not what only begins so; the rest is asked for again.
    for (more, asked) in [
        (format!("--external {place}/und"), "--external"),
        (format!("--external {place}/undo --external {place}/cron"), "symlink"),
        (format!("--map innodb_undo_directory={place}/x --external {place}/cron.d/more"), "symlink"),
    ] {
        let answer = restore(&repository, &target, &more);
        assert_eq!(answer.status, Some(2), "{more}");
        assert!(answer.stderr.contains(asked) && answer.stderr.contains("/cron.d  (1"), "{}", answer.stderr);
    }
    for (more, text) in [
        ("--external /", "--external '/': that is every place of this machine; name the directories"),
        ("--external undo", "--external 'undo': 'undo' is not an absolute path"),
        ("--external /srv/../etc", "--external '/srv/../etc': '/srv/../etc' has '..' in it"),
        ("--map symlink=/srv/../etc", "--map 'symlink=/srv/../etc': '/srv/../etc' has '..' in it"),
    ] {
        restore(&repository, &target, more).fails(2, text);
    }
    assert_same(&tree(folder.path()), &before);
    restore(&repository, &target, &format!("--external {place}/undo --external {place}/cron.d")).done();
    assert_eq!(fs::read_to_string(at("cron.d/more/job")).unwrap(), "x");
    // Directories are named once and for all in a script: a backup without files there takes the same flags.
    Forge::new(ID).write(&repository);
    fs::remove_dir_all(&target).unwrap();
    restore(&repository, &target, &format!("--external {place}/undo")).done();
}

#[test]
fn a_place_that_would_show_as_another_one_or_has_an_unknown_reason_is_refused() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let root = folder.path().join("x\x1b[2Kundo");
    Forge::new(ID).external("innodb_undo_directory", &root, &root.join("undo002"), "x").write(&repository);
    let more = format!("--external {}", folder.path().display());
    restore(&repository, &target, &more)
        .fails_with(1, "with letters in its name that a terminal does not show; nothing was written");
    let root = folder.path().join("x");
    let backup = Forge::new(ID).external("symlink", &root, &root.join("y"), "x").write(&repository);
    edit_member(&backup, ".wsrep_sst_backup/symlink/7y", |member| {
        member["origin"]["variable"] = "init_file".into();
    });
    restore(&repository, &target, &more).fails_with(1, "by 'init_file', which this program does not know");
    assert!(!target.exists() && !root.exists());
}

#[test]
fn a_link_leads_only_to_places_that_the_operator_names() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let far = folder.path().join("far").display().to_string();
    Forge::new(ID)
        .link("host.err", "/etc/cron.d/evil")
        .link("db/up.MYD", "../../../../../../../etc/shadow")
        .link("db/turns.MYD", "t.MYD/../../../far/t.MYD")
        .link("db/far.MYD", &format!("{far}/t.MYD"))
        .link("db/inside.MYD", "t.MYD")
        .write(&repository);
    let answer = restore(&repository, &target, "");
    for name in ["host.err", "db/up.MYD", "db/turns.MYD", "db/far.MYD"] {
        let note = format!(
            "Note: The link '{name}' was not made: it leads to a place outside of the data directory"
        );
        assert!(answer.done().contains(&note), "{name}: {}", answer.stdout);
        assert!(target.join(name).symlink_metadata().is_err(), "{name}");
    }
    assert_eq!(fs::read_link(target.join("db/inside.MYD")).unwrap(), Path::new("t.MYD"));
    fs::remove_dir_all(&target).unwrap();
    restore(&repository, &target, &format!("--external {far}")).done();
    assert_eq!(fs::read_link(target.join("db/far.MYD")).unwrap(), Path::new(&far).join("t.MYD"));
    assert!(target.join("host.err").symlink_metadata().is_err());
}

#[test]
fn nothing_is_written_through_links_that_meet_only_here() {
    let folder = open_folder();
    let (repository, target) = (folder.path().join("r"), folder.path().join("data"));
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("etc")).unwrap();
    let outside = at("etc").display().to_string();
    // Two directories of the donor, one here: the link of one is a folder of the other.
    let forge = Forge::new(ID).external("symlink", &at("one"), &at("one/link"), "x").external(
        "data_directory",
        &at("two"),
        &at("two/link/job"),
        "evil",
    );
    let backup = forge.write(&repository);
    edit_member(&backup, ".wsrep_sst_backup/symlink/7link", |member| {
        member["kind"] = "symlink".into();
        member["target"] = outside.as_str().into();
        (member["size"], member["stored"]) = (0.into(), 0.into());
        member.as_object_mut().unwrap().remove("sha256");
    });
    edit_manifest(&backup, |manifest| {
        manifest["files"] = 6.into();
        manifest["data_bytes"] = 44_854.into();
    });
    let place = at("here").display().to_string();
    let maps = format!("--map symlink={place} --map data_directory={place} --external {outside}");
    restore(&repository, &target, &maps).fails_with(2, "behind a symbolic link of the archive");
    // The link was there before: somebody who owns that directory has made it.
    Forge::new(ID).external("symlink", &at("here"), &at("here/link/job"), "evil").write(&repository);
    fs::create_dir(at("here")).unwrap();
    symlink(at("etc"), at("here/link")).unwrap();
    restore(&repository, &target, &format!("--external {place}")).fails_with(
        1,
        "is a symbolic link, through which nothing is written; what had been restored is removed",
    );
    // So a root is what it leads to, and that was not named.
    Forge::new(ID).external("symlink", &at("here/link"), &at("here/link/job"), "evil").write(&repository);
    let answer = restore(&repository, &target, &format!("--external {place}"));
    assert_eq!(answer.status, Some(2), "{}", answer.stderr);
    assert_eq!(paths(&tree(&at("etc"))), Vec::<String>::new());
    assert_eq!((entry(&at("etc")).owner, target.exists()), ((0, 0), false));
    // In a directory of the server's user, while it is written to: a link that appears is not followed.
    let backup = Forge::new(ID).directory("zz").file("zz/job", "evil").write(&repository);
    edit_member(&backup, "zz", |member| {
        member["kind"] = "symlink".into();
        member["target"] = outside.as_str().into();
    });
    restore(&repository, &target, &format!("--external {outside}")).fails_with(4, "lies behind 'zz'");
    assert_eq!(paths(&tree(&at("etc"))), Vec::<String>::new());
    assert_eq!(fs::symlink_metadata(at("here/link")).unwrap().uid(), 0);
}
