//! The method `precopy` on a real server under writes and DDL: what comes of its archive is, byte for byte, what the server has when it stands still.
//!
//! A server cannot be made to stand still more than by a shutdown in good order, and its files can be looked at for as long as one likes then. So a scripted
//! conversation asks for the backup of a real server without Galera, which works while its files are copied ahead, and is shut down at `flush tables`. Then there is
//! everything for a comparison: the early copies, the pages that were stored over them, and the files themselves.
//!
//! It needs root. One round takes some seconds; `tests/precopy_server.rs` has a few, `scripts/soak precopy` hundreds.

mod apply;
mod kinds;
mod oracle;
mod server;
mod work;

use std::cell::OnceCell;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::cli::{Cli, cli};
use super::scripted_mysqld::{Outcome, PAUSED, Reply, Run, shell};
use super::trees::assert_same_server;
use super::{PATIENCE, ScriptedMysqld, wait_until};
use apply::Unpacked;
pub use kinds::{SERVER_KINDS, ServerKind};
pub use oracle::Compared;
pub use server::RealServer;

/// What was seen of a round.
#[derive(Debug, Clone, Default)]
pub struct PrecopySeen {
    /// Whether the pages that had changed were known by the redo log; else by their LSN.
    pub is_by_log: bool,
    /// Statements, or groups of them, that were said meanwhile.
    pub statements: u64,
    /// Pages by both ways.
    pub compared: Compared,
    /// What the program has said.
    pub said: String,
}

/// A server of each kind, made when it is needed first: each round works on a copy.
#[derive(Debug)]
pub struct PrecopyStage {
    program: String,
    templates: [OnceCell<ScriptedMysqld>; SERVER_KINDS.len()],
}

impl PrecopyStage {
    /// For this program.
    pub fn new(program: &str) -> Self {
        Self { program: program.to_owned(), templates: Default::default() }
    }

    /// Which kind of server a seed means.
    pub fn kind(seed: u64) -> &'static ServerKind {
        &SERVER_KINDS[Self::kind_number(seed)]
    }

    fn kind_number(seed: u64) -> usize {
        usize::try_from(seed % SERVER_KINDS.len() as u64).unwrap()
    }

    /// The server of this kind of which each round has a copy.
    pub fn template(&self, seed: u64) -> &ScriptedMysqld {
        self.templates[Self::kind_number(seed)].get_or_init(|| {
            let mysqld = ScriptedMysqld::new();
            RealServer::install(&mysqld, Self::kind(seed));
            mysqld
        })
    }

    /// One backup, and everything that can be made of it; for stock `tar` alone, where it is plain.
    pub fn round(&self, seed: u64, is_plain: bool) -> PrecopySeen {
        let backup = self.back_up(seed, if is_plain { "plain-tar=on" } else { "" }, |_, _| {});
        assert_eq!(backup.manifest()["damaged_pages"], 0, "PRECOPY_SEED={seed}: {}", backup.said);
        let compared = backup.by_hand(is_plain);
        backup.by_the_program();
        let is_by_log = backup.said.contains("the redo log names");
        PrecopySeen { is_by_log, statements: backup.statements, compared, said: backup.said }
    }

    /// Takes a backup while a server works, with these settings more. `frozen` comes in when the server has been shut down and before the program hears that it stands still; the
    /// program runs on while it does.
    pub fn back_up(
        &self,
        seed: u64,
        settings: &str,
        frozen: impl FnOnce(&ScriptedMysqld, &Run),
    ) -> PrecopyBackup {
        let (kind, template) = (Self::kind(seed), self.template(seed));
        let mysqld = ScriptedMysqld::new();
        configure(&mysqld, seed, settings);
        let mut server = RealServer::copied(&mysqld, kind, template);
        server.start();
        let asked = mysqld.asks().program(&self.program).reply(Reply::never()).error_log();
        let mut run = asked.start();
        // While a log is being replaced there are two, which is refused.
        run.wait_logged("the method is precopy");
        let work = server.work(seed);
        asked_to_freeze(&mut run);
        let statements = work.end();
        assert!(statements > 3, "nothing happened meanwhile: {statements}");
        server.shut_down();
        frozen(&mysqld, &run);
        run.answer(&Reply::once(PAUSED));
        let outcome = run.finish();
        assert!(outcome.stdout.contains("\ndone "), "PRECOPY_SEED={seed}: {}", outcome.stderr);
        let program = self.program.clone();
        PrecopyBackup { program, mysqld, server, seed, statements, said: outcome.stderr }
    }
}

/// The server is asked to stand still: it is shut down in good order, and the program hears that it stands; what comes of the backup.
pub fn freeze_by_shutdown(server: &mut RealServer, mut run: Run) -> Outcome {
    asked_to_freeze(&mut run);
    server.shut_down();
    run.answer(&Reply::once(PAUSED));
    let outcome = run.finish();
    assert_eq!(outcome.manifest_at_done, Some(true), "{}", outcome.stderr);
    outcome
}

/// Waits for the moment. On a busy machine statements that write are in the way for long.
fn asked_to_freeze(run: &mut Run) {
    assert!(wait_until(PATIENCE * 5, || run.has_said("flush tables") || run.has_ended()), "{}", run.logged());
    assert!(run.has_said("flush tables"), "{}", run.logged());
}

fn configure(mysqld: &ScriptedMysqld, seed: u64, settings: &str) {
    // The moment of the freeze comes sooner or later.
    let rate = 12 + seed * 7 % 17;
    mysqld.configure(
        "wsrep_sst_backup",
        &format!("method=precopy\nuser=root\nprimary-timeout=1s\nflush-timeout=10m\nlimit-rate={rate}M\ncompression=none\nbinlogs=none\n{settings}"),
    );
    mysqld.configure("mysqld", &format!("innodb_undo_directory={}", mysqld.path("undo").display()));
}

/// A backup of a server that has been shut down since.
#[derive(Debug)]
pub struct PrecopyBackup {
    program: String,
    /// Its folder, and the repository.
    pub mysqld: ScriptedMysqld,
    server: RealServer,
    seed: u64,
    /// Statements, or groups of them, that were said while it was copied ahead.
    pub statements: u64,
    /// What the program has said.
    pub said: String,
}

impl PrecopyBackup {
    /// A command on the repository.
    pub fn cli(&self, line: &str) -> Cli {
        cli(line).program(&self.program).on(&self.mysqld.repository())
    }

    /// Its manifest.
    pub fn manifest(&self) -> Value {
        self.mysqld.backup().manifest
    }

    /// What a server says that cannot start on this folder.
    pub fn refusal(&self, datadir: &Path) -> String {
        self.server.refusal(datadir)
    }

    /// What stock `tar` makes of it with a second opinion on the index, and with the script in it.
    fn by_hand(&self, is_plain: bool) -> Compared {
        let (mysqld, backup) = (&self.mysqld, self.mysqld.backup());
        let folder = backup.unpack(&mysqld.path("unpacked"));
        let mut unpacked = Unpacked::new(&backup, &folder);
        unpacked.settle();
        let compared = oracle::compare(&unpacked, mysqld, &self.said, self.seed);
        unpacked.finish();
        self.assert_same_unpacked(&folder);
        if is_plain {
            let left = folder.join(".wsrep_sst_backup");
            assert!(!left.exists(), "nothing is to be put in its place");
            return compared;
        }
        let by_hand = backup.unpack(&mysqld.path("by hand"));
        shell(&by_hand, "cp -a . ../unapplied");
        let why = self.refusal(&mysqld.path("unapplied"));
        assert!(why.contains("ibdata1"), "before the script no server starts, for want of this file: {why}");
        shell(&by_hand, "sh .wsrep_sst_backup/apply");
        self.assert_same_unpacked(&by_hand);
        compared
    }

    fn by_the_program(&self) {
        self.cli("verify latest").run().done();
        let (restored, undo) = (self.mysqld.path("restored"), self.mysqld.path("restored undo"));
        let mut restore = self.cli("restore latest").to(&restored);
        if self.has_undo_elsewhere() {
            restore = restore.arg(format!("--map=innodb_undo_directory={}", undo.display()));
        }
        let answer = restore.run();
        assert_eq!(answer.status, Some(0), "PRECOPY_SEED={}: {}", self.seed, answer.stderr);
        self.assert_same(&restored, &undo);
        let [own, found] = [self.mysqld.datadir(), restored]
            .map(|folder| folder.join("d/p.ibd").metadata().unwrap().blocks());
        assert!(found <= own * 2, "PRECOPY_SEED={}: holes are lost: {found} blocks for {own}", self.seed);
    }

    fn has_undo_elsewhere(&self) -> bool {
        PrecopyStage::kind(self.seed).options.iter().any(|option| option.contains("undo-directory"))
    }

    fn assert_same_unpacked(&self, folder: &Path) {
        self.assert_same(folder, &folder.join(".wsrep_sst_backup/innodb_undo_directory"));
    }

    fn assert_same(&self, found: &Path, undo: &Path) {
        assert_same_server(&self.mysqld.datadir(), found);
        if self.has_undo_elsewhere() {
            assert_same_server(&self.mysqld.path("undo"), undo);
        }
    }
}
