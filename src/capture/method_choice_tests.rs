//! Which method `auto` takes on which server.

use std::collections::HashMap;
use std::num::NonZeroU64;
use std::path::PathBuf;

use super::super::facts::Facts;
use super::super::files::FileList;
use super::super::layout::ServerLayout;
use super::super::tablespaces::Tablespaces;
use super::super::walk::{ListOptions, list_files};
use super::*;
use crate::innodb::redo::empty_log;
use crate::server::Server;

const MIB: u64 = 1 << 20;

/// A server whose files are looked at.
struct Looked {
    datadir: PathBuf,
    layout: ServerLayout,
    files: FileList,
}

impl Looked {
    fn at(folder: &std::path::Path) -> Self {
        let datadir = folder.join("data");
        let server = Server { datadir: datadir.clone(), ..Server::default() };
        let version = HashMap::from([("version".to_owned(), "10.11.19-MariaDB".to_owned())]);
        let layout = ServerLayout::new(&server, &Facts::from_variables(version)).unwrap();
        let files = list_files(&layout, &ListOptions::default()).unwrap();
        Self { datadir, layout, files }
    }

    fn prospect<'a>(
        &'a self,
        tablespaces: Result<&'a Tablespaces, &'a str>,
        rate: Option<u64>,
    ) -> Prospect<'a> {
        Prospect {
            is_plain: false,
            layout: &self.layout,
            files: &self.files,
            rate: rate.and_then(NonZeroU64::new),
            worth: Files::Clean,
            snapshot: None,
            tablespaces,
        }
    }

    /// The method, and why others are not taken, where nothing can be cloned.
    fn choose(
        &self,
        wanted: &str,
        tablespaces: Result<&Tablespaces, &str>,
        rate: Option<u64>,
    ) -> Result<(&'static str, String), String> {
        let prospect = self.prospect(tablespaces, rate);
        let no_clones = PassedMethod { method: "snapshot".into(), why: Some("no clones".into()) };
        let choice = choose(&wanted.parse().unwrap(), &[Files::Clean], &prospect, &[no_clones])?;
        assert_eq!(choice.is_automatic, wanted == "auto");
        Ok((choice.method.name(), choice.reason().to_string()))
    }
}

fn server() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let datadir = folder.path().join("data");
    std::fs::create_dir(&datadir).unwrap();
    std::fs::write(datadir.join("ibdata1"), [0; 16384]).unwrap();
    std::fs::write(datadir.join("ib_logfile0"), empty_log()).unwrap();
    folder
}

#[test]
fn auto_copies_ahead_what_would_stand_still_for_long_and_freezes_what_would_not() {
    let folder = server();
    let mut looked = Looked::at(folder.path());
    let tables = Tablespaces::default();
    for (mib, rate, method, why) in [
        (3000, None, "precopy", "by auto; not snapshot: no clones"),
        (256, None, "precopy", "by auto; not snapshot: no clones"),
        (
            255,
            None,
            "freeze",
            "by auto; not snapshot: no clones; not precopy: 255 MiB of data are read within about a second while the server stands still",
        ),
        (60, Some(60 * MIB), "precopy", "by auto; not snapshot: no clones"),
        (59, Some(60 * MIB), "freeze", "not precopy: 59.0 MiB of data are read within"),
    ] {
        // Of the redo log little is read.
        looked.files.stored = mib * MIB + empty_log().len() as u64;
        let (chosen, reason) = looked.choose("auto", Ok(&tables), rate).unwrap();
        assert_eq!(chosen, method, "{mib} {reason}");
        assert!(reason.contains(why), "{mib} {reason}");
    }
    let by_name = looked.choose("precopy", Ok(&tables), None).unwrap();
    assert_eq!(by_name, ("precopy", "by its name".to_owned()), "small as it is");
}

#[test]
fn where_precopy_cannot_work_auto_freezes_and_says_why() {
    let folder = server();
    let mut looked = Looked::at(folder.path());
    looked.files.stored = 3000 * MIB;
    let without = |why: &'static str| {
        let (method, reason) = looked.choose("auto", Err(why), None).unwrap();
        assert_eq!(method, "freeze", "{reason}");
        assert!(looked.choose("precopy", Err(why), None).is_err_and(|text| text.contains(why)));
        reason
    };
    let reason = without("the server cannot be asked by SQL");
    assert!(
        reason.contains("not precopy: the server cannot be asked by SQL, and only the server knows"),
        "{reason}"
    );

    let table = looked.datadir.join("d");
    std::fs::create_dir(&table).unwrap();
    std::fs::write(table.join("t.ibd"), [0; 16384]).unwrap();
    let stored = looked.files.stored;
    let mut looked = Looked::at(folder.path());
    looked.files.stored = stored;
    let (method, reason) = looked.choose("auto", Ok(&Tablespaces::default()), None).unwrap();
    assert!(method == "freeze" && reason.contains("needs the privilege PROCESS"), "{reason}");

    std::fs::remove_file(table.join("t.ibd")).unwrap();
    std::fs::write(looked.datadir.join("ib_logfile0"), [7; 8192]).unwrap();
    let (method, reason) = looked.choose("auto", Ok(&Tablespaces::default()), None).unwrap();
    assert!(method == "freeze" && reason.contains("ib_logfile0' cannot be used"), "{reason}");
}

#[test]
fn a_method_is_passed_by_where_a_later_one_has_the_server_stand_still_for_a_second_less() {
    let ms = Duration::from_millis;
    let why = |own: Estimate, others: &[(&'static str, u64)]| {
        outlasts(own, others.iter().map(|(name, time)| (*name, ms(*time))), MUCH)
    };
    let about = |time| Estimate::About(ms(time));
    let all = [("precopy", 60), ("freeze", 9000)];
    assert_eq!(why(about(1059), &all), None);
    assert_eq!(
        why(about(1060), &all).unwrap(),
        "the server would stand still for about 1.0 s, and with precopy for much less"
    );
    // 143,000 extents of a server that is read in a tenth of a second.
    assert!(
        why(about(1100), &[("precopy", 500), ("freeze", 100)]).is_some_and(|why| why.contains("with freeze"))
    );
    assert_eq!(why(about(60_000), &[]), None);
    // What the administrator's own snapshot takes is theirs to know.
    assert_eq!(why(Estimate::Commanded(ms(60_000)), &all), None);
    let read = Estimate::WhileRead { least: Some(ms(60_000)), most: None };
    assert_eq!(why(read, &all), None, "it is the last resort");
    let nobody = std::iter::once_with(|| -> (&'static str, Duration) { unreachable!("it is not asked") });
    assert_eq!(outlasts(about(999), nobody, MUCH), None);
}

#[test]
fn auto_heeds_how_long_a_method_expects_the_server_to_stand_still() {
    let folder = server();
    let looked = Looked::at(folder.path());
    let prospect = looked.prospect(Err("no SQL"), None);
    // It expects a millisecond, and a server of one page is read in less.
    let candidates: [Candidate; 2] = [(&super::super::sample::Sample, Files::Clean), (&Freeze, Files::Clean)];
    let picked = |much| {
        let choice = pick(&candidates, true, &prospect, &[], much).unwrap();
        (choice.method.name(), choice.reason().to_string())
    };
    assert_eq!(picked(MUCH), ("sample", "by auto".to_owned()));
    let (name, why) = picked(Duration::from_micros(500));
    assert_eq!(name, "freeze");
    assert!(
        why.contains(
            "not sample: the server would stand still for about 1 ms, and with freeze for much less"
        ),
        "{why}"
    );
}
