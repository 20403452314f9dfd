use super::*;
use crate::check::Level;

fn server(own_mounts: bool) -> ServerProcess {
    ServerProcess {
        pid: 1,
        uid: 103,
        gid: 110,
        groups: vec![],
        args: vec![],
        environment: Ok(vec![]),
        unit: Some("mariadb".into()),
        own_mounts: Some(own_mounts),
        root: None,
        mounts: "1 0 8:1 / / rw - ext4 /dev/a rw\n2 1 8:2 / /ro ro - ext4 /dev/b rw\n".into(),
    }
}

#[test]
fn every_state_has_its_words_and_its_cure() {
    let refused = |place: &str, read_only, denied| RepositoryState::Refused {
        place: place.into(),
        why: "WHY".into(),
        read_only,
        denied,
    };
    for (path, state, apart, level, text, cure) in [
        ("/r", RepositoryState::Writable, false, Level::Ok, "can be written by 'mysql'", ""),
        ("/r", RepositoryState::CanBeMade, false, Level::Ok, "not there yet", ""),
        ("/r", RepositoryState::Present, false, Level::Warning, "cannot be told from here", "as root"),
        (
            "/ro/r",
            RepositoryState::Present,
            true,
            Level::Error,
            "read-only for the server",
            "ReadWritePaths=/ro/r",
        ),
        ("/x/r", RepositoryState::Missing, false, Level::Error, "neither does /x", "install -d -o mysql"),
        ("/x/r", RepositoryState::Missing, true, Level::Error, "not for the server", "ProtectHome"),
        ("/r", refused("/r", true, false), true, Level::Error, "sandbox", "ReadWritePaths=/r"),
        ("/ro/r", refused("/ro/r", true, false), false, Level::Error, "WHY", "remount,rw /ro"),
        (
            "/r",
            refused("/r", false, true),
            false,
            Level::Error,
            "cannot write to /r: WHY",
            "install -d -o mysql",
        ),
        (
            "/r",
            refused("/r/c", false, true),
            false,
            Level::Error,
            "(at /r/c): WHY",
            "chown -R mysql:mysql /r/c",
        ),
        (
            "/m/r",
            RepositoryState::NotMounted("/m".into()),
            true,
            Level::Error,
            "at /m, which is in",
            "mount /m;",
        ),
        ("/h/r", refused("/h", false, true), true, Level::Error, "hidden", "ProtectHome"),
        ("/h/r", refused("/h", false, true), false, Level::Error, "(at /h): WHY", "namei -l /h/r"),
        ("/r", refused("/r", false, false), false, Level::Error, "WHY", "dmesg"),
    ] {
        let server = server(apart);
        let donor = DonorProgram { user: "mysql", server: Some(&server) };
        let place = RepositoryView { state: state.clone(), ..RepositoryView::default() };
        let [finding] = &judge(Path::new(path), &place, &donor, true)[..] else { panic!("{state:?}") };
        assert_eq!(finding.level, level, "{finding:?}");
        assert!(finding.text.contains(text), "{finding:?}");
        assert!(finding.cure.as_deref().unwrap_or_default().contains(cure), "{finding:?}");
    }
}

#[test]
fn a_trial_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    fs::create_dir(root.join("c")).unwrap();
    fs::write(root.join("file"), "").unwrap();
    let state = |path: &Path, may_try| look(path, Some("c"), may_try).state;
    assert_eq!(state(root, true), RepositoryState::Writable);
    assert_eq!(state(root, false), RepositoryState::Present);
    assert_eq!(state(&root.join("new"), true), RepositoryState::CanBeMade);
    assert_eq!(state(&root.join("no/new"), true), RepositoryState::Missing);
    assert!(matches!(state(&root.join("file"), true), RepositoryState::Refused { .. }));
    let left: Vec<_> = fs::read_dir(root).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left.len(), 2, "{left:?}");
    assert_eq!(fs::read_dir(root.join("c")).unwrap().count(), 0);
    let place = look(root, None, true);
    assert!(place.free.is_some() && place.device == Some(fs::metadata(root).unwrap().dev()));
}
