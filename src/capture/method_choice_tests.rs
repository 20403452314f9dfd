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

    /// The method, and why others are not taken, where nothing can be cloned.
    fn choose(
        &self,
        wanted: &str,
        tablespaces: Result<&Tablespaces, &str>,
        rate: Option<u64>,
    ) -> Result<(&'static str, String), String> {
        let prospect = Prospect {
            is_plain: false,
            layout: &self.layout,
            files: &self.files,
            rate: rate.and_then(NonZeroU64::new),
            worth: Files::Clean,
            snapshot: None,
            tablespaces,
        };
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
