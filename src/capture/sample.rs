//! A method for tests only: the shortest that there can be, and the proof that a method is one file and one line.
//!
//! It keeps the names of the files and nothing else.

use super::error::CaptureError;
use super::frozen_list::{FrozenServer, freeze_and_list};
use super::method::{Captured, Estimate, Method, Prospect, Task};
use crate::output::Captive;
use crate::quiesce::Files;

/// Lists the files while the server stands still.
pub(super) struct Sample;

impl Method for Sample {
    fn name(&self) -> &'static str {
        "sample"
    }

    fn accepts(&self, files: Files) -> bool {
        files != Files::Changing
    }

    fn estimate(&self, _: &Prospect<'_>) -> Result<Estimate, String> {
        Ok(Estimate::About(std::time::Duration::from_millis(1)))
    }

    fn capture<'a>(&self, task: Task<'a, '_>) -> Result<Captured<'a>, CaptureError> {
        let FrozenServer { quiet, identity, list } =
            freeze_and_list(task.host, task.layout, task.facts, task.plan, task.watch)?;
        let resumed = task.host.resume(quiet)?;
        let archive = task.output.begin(&identity)?;
        let warnings = list.entries.iter().map(|entry| entry.path.to_string()).collect();
        let archive = Captive::Files(archive);
        Ok(Captured { archive, identity, resumed, paused: None, vanished: 0, warnings })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;
    use std::io;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use jiff::Timestamp;

    use super::super::error::HostError;
    use super::super::method::{CaptureListener, Host};
    use super::super::method_choice::choose;
    use super::super::{Facts, ListOptions, Login, Plan, ServerLayout, Watch, list_files};
    use super::*;
    use crate::archive::WriterOptions;
    use crate::catalog::read_manifest;
    use crate::config::{BinlogChoice, MethodChoice};
    use crate::model::{BackupId, Compression, Content, WsrepGtid};
    use crate::output::{Destination, Label, Outcome, Patience};
    use crate::quiesce::{Files, Quiet, Release, Resumed};
    use crate::server::Server;
    use crate::sst::Credentials;
    use crate::storage::{LocalStorage, Storage};
    use crate::throttle::Throttle;

    /// A server without clients.
    #[derive(Debug)]
    struct Still(WsrepGtid);

    impl Release for Still {
        fn release(&self) -> bool {
            false
        }
    }

    impl Quiet for Still {
        fn files(&self) -> Files {
            Files::Clean
        }
        fn position(&self) -> Option<&WsrepGtid> {
            Some(&self.0)
        }
        fn since(&self) -> Timestamp {
            Timestamp::UNIX_EPOCH
        }
        fn asked(&self) -> Instant {
            Instant::now()
        }
        fn flush_time(&self) -> Duration {
            Duration::ZERO
        }
        fn total(&self, _: u64) {}
        fn complete(&self, _: u64) {}
        fn resume(self: Box<Self>) -> Result<Resumed, Box<dyn Quiet>> {
            Ok(Resumed::new(Duration::from_millis(7), || Ok(())))
        }
    }

    struct Caller(WsrepGtid);

    impl CaptureListener for Caller {
        fn total(&self, _: u64) {}
        fn reads(&self, _: u64) {}
        fn ahead(&self, _: u64) {}
    }

    impl Host for Caller {
        fn quiesce(&mut self) -> Result<Box<dyn Quiet>, HostError> {
            Ok(Box::new(Still(self.0.clone())))
        }
        fn listener(&self) -> &dyn CaptureListener {
            self
        }
        fn holds_up(&mut self, _: Instant) -> Result<(), HostError> {
            Ok(())
        }
        fn pass(&mut self, _: Option<&WsrepGtid>) -> Result<Resumed, HostError> {
            Ok(Resumed::new(Duration::ZERO, || Ok(())))
        }
        fn resume(&mut self, quiet: Box<dyn Quiet>) -> Result<Resumed, HostError> {
            quiet.resume().map_err(|_| io::Error::other("it ran before").into())
        }
    }

    fn destination(storage: Arc<dyn Storage>) -> Destination {
        let label = Label {
            cluster: "c".into(),
            node: "n1".into(),
            request: None,
            asked: None,
            started: Timestamp::UNIX_EPOCH,
        };
        Destination {
            storage,
            folder: "c".into(),
            id: BackupId::new(Timestamp::UNIX_EPOCH, "n1"),
            label,
            options: WriterOptions { compression: Compression::None, level: 0, threads: 1 },
            recipients: Vec::new(),
        }
    }

    fn outcome(method: &dyn Method, frozen_time: Duration, warnings: Vec<String>) -> Outcome {
        Outcome {
            method: method.name(),
            reason: crate::model::MethodReason::default(),
            frozen_time,
            paused: None,
            vanished: 0,
            warnings,
            about_files: Vec::new(),
        }
    }

    #[test]
    fn a_method_is_found_by_its_name_and_makes_a_backup() {
        let folder = tempfile::tempdir().unwrap();
        let datadir = folder.path().join("data");
        std::fs::create_dir(&datadir).unwrap();
        std::fs::write(datadir.join("ibdata1"), [0; 16384]).unwrap();
        std::fs::write(datadir.join("ib_logfile0"), [0; 4096]).unwrap();
        let server = Server { datadir, ..Server::default() };
        let version = HashMap::from([("version".to_owned(), "11.8.2-MariaDB".to_owned())]);
        let mut facts = Facts::from_variables(version);
        let layout = ServerLayout::new(&server, &facts).unwrap();
        let files = list_files(&layout, &ListOptions::default()).unwrap();
        let prospect = Prospect {
            is_plain: false,
            layout: &layout,
            files: &files,
            rate: None,
            worth: Files::Clean,
            snapshot: None,
            tablespaces: Err("no SQL"),
        };
        let chosen =
            |name: &str| choose(&name.parse::<MethodChoice>().unwrap(), &[Files::Clean], &prospect, &[]);
        let chosen_name = chosen("auto").unwrap().method.name();
        let can_clone = chosen("snapshot").is_ok();
        assert_eq!(chosen_name, if can_clone { "snapshot" } else { "freeze" });
        assert_eq!(
            chosen("nothing").err().unwrap(),
            "'nothing' is not one of auto, snapshot, precopy, freeze, mariadb-backup, logical, sample"
        );
        let method = chosen("sample").unwrap().method;
        let found = |name: &str, offered: &[Files]| {
            let choice = choose(&name.parse::<MethodChoice>().unwrap(), offered, &prospect, &[])?;
            Ok::<_, String>((choice.method.name(), choice.files))
        };
        let crashed = [Files::Crashed, Files::Changing];
        assert_eq!(found("auto", &crashed), Ok(("sample", Files::Crashed)));
        let why = found("freeze", &crashed).unwrap_err();
        assert!(why.contains("method 'freeze' reads the files of a server that stands still"), "{why}");
        assert!(found("sample", &[Files::Changing]).is_err());

        let gtid: WsrepGtid = "6b3f5a6e-0000-11ee-8000-000000000001:42".parse().unwrap();
        let storage: Arc<dyn Storage> = Arc::new(LocalStorage::new(folder.path().join("repository")));
        let destination = destination(Arc::clone(&storage));
        storage.claim(&format!("c/{}", destination.id)).unwrap();
        let mut caller = Caller(gtid.clone());
        let watch = Watch::start(Arc::new(Still(gtid.clone())), None, |_, _, _| {}).unwrap();
        let throttle = Throttle::new(None, &watch.given_up());
        let (plan, _) = Plan::make(&layout, &mut facts, BinlogChoice::Newest, false).unwrap();
        let task = Task {
            layout: &layout,
            facts: &mut facts,
            plan,
            output: destination.open(Content::Datadir, 2, 20480).unwrap(),
            watch: &watch,
            limiter: &throttle.data,
            host: &mut caller,
            login: Login::new(Path::new("/"), None, None, &Credentials::default()),
            stall_timeout: Duration::from_secs(9),
            expected_bytes: 20480,
            is_node: true,
            precopy: crate::capture::PrecopySettings { spool_limit: 0, is_plain: false },
            is_automatic: false,
            snapshot: (String::new(), None),
            dump: &crate::config::DumpSettings::default(),
            replica: None,
        };
        let Captured { archive, identity, resumed, warnings, .. } = method.capture(task).unwrap();
        assert_eq!((identity.gtid.clone().unwrap(), resumed.frozen.as_millis()), (gtid.clone(), 7));
        assert_eq!(warnings, ["ibdata1", "ib_logfile0"]);
        let outcome = outcome(method, resumed.frozen, warnings);
        let patience = Patience { is_wanted: &|| true, stall_timeout: Duration::from_secs(9) };
        archive.end(Some(&gtid)).unwrap().publish(identity, outcome, &patience).unwrap();
        let manifest = read_manifest(storage.as_ref(), "c", &destination.id).unwrap();
        assert_eq!(
            (manifest.method.as_str(), manifest.gtid.unwrap(), manifest.frozen_ms),
            ("sample", gtid, 7)
        );
    }
}
