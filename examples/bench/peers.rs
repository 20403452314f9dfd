//! What an administrator would use instead.
//!
//! Each does the same work as far as it can: the same files (what our donor role leaves out, tar leaves out too), the
//! same file system, and synced at the end, as ours is before it says `done`. tar copies an idle server here; on a live
//! one it would have to be stopped or frozen for the whole time. `sha256sum` of every file, on all cores, is what it takes
//! to know later whether a file is damaged; ours does it in the same pass.

use std::process::Command;

use anyhow::{Context, Result};

use crate::common::machine::{bytes_below, output};
use crate::report::{Group, Row, Run};
use crate::stage::Stage;

/// The files that are no part of a backup.
const TAR: &str = "tar -C \"$D\" --exclude=./galera.cache --exclude=./ibtmp1 --exclude=./gvwstate.dat \
     --exclude=./backup_sst_complete -cf - .";

/// Digests of the same files, one process for each core.
const SUMS: &str = "cd \"$D\"; find . -type f ! -name galera.cache ! -name ibtmp1 ! -name gvwstate.dat \
     ! -name backup_sst_complete -print0 | xargs -0 -n 1 -P \"$(nproc)\" sha256sum >\"$A/SUMS\"; sync \"$A/SUMS\"";

/// mariadb-backup copies a running server, and the redo log that is written meanwhile. Its errors are shown, its
/// hundreds of lines of progress are not.
const MARIADB_BACKUP: &str = "mariadb-backup --defaults-file=\"$CNF\" --backup --user=root --socket=\"$SOCKET\" \
     --stream=xbstream --target-dir=\"$T\" 2>\"$A/log\"";

/// What the rsync SST does for a directory, without a network: whole files, and as many at once as there are cores.
const RSYNC: &str = "mkdir \"$A/rsync\"; cd \"$D\"; \
     rsync -a --whole-file --exclude=/galera.cache --exclude=/ibtmp1 --exclude=/gvwstate.dat \
     --exclude=/backup_sst_complete --exclude='/*/*' ./ \"$A/rsync/\"; \
     find . -mindepth 2 -type f -print0 | xargs -0 -n 8 -P \"$(nproc)\" sh -c 'rsync -aR --whole-file \"$@\" \"$A/rsync/\"' -; \
     sync -f \"$A/rsync\"";

/// A logical backup by as many sessions as there are cores, compressed by itself.
const MYDUMPER: &str = "mydumper --user=root --socket=\"$SOCKET\" --threads=\"$(nproc)\" --compress \
     --outputdir=\"$A/mydumper\" >\"$A/log\" 2>&1 || { tail -n 20 \"$A/log\" >&2; exit 1; }; sync -f \"$A/mydumper\"";

/// A server starts on what was restored; it is killed as soon as it takes connections.
pub(crate) const START: &str = "mariadbd --no-defaults --datadir=\"$T\" --socket=\"$T/s\" --pid-file=\"$T/p\" --skip-networking \
     >\"$A/log\" 2>&1 & server=$!; \
     until grep -q 'ready for connections' \"$A/log\"; do \
     kill -0 $server 2>/dev/null || { tail -n 20 \"$A/log\" >&2; exit 1; }; sleep 0.02; done; \
     kill -9 $server; wait $server 2>/dev/null || true";

/// What an administrator would use instead of ours.
pub(crate) const COMPRESSED_STREAM: &str = "mariadb-backup --stream=xbstream | zstd -1 -T0";

/// Archives that [`restores`] read again.
const KEPT: [&str; 4] = ["tar.zst", "xb", "xb.zst", "SUMS"];

/// The rows of the first table.
pub(crate) fn backups() -> Vec<Row> {
    let tar_to = |filter: &str, name: &str| format!("{TAR} {filter} >\"$A/{name}\"; sync \"$A/{name}\"");
    let plain = tar_to("", "tar");
    let zstd = tar_to("| zstd -q -1 -T0", "tar.zst");
    let pigz = tar_to("| pigz -1", "tar.gz");
    let stream = |filter: &str, name: &str| {
        format!(
            "{MARIADB_BACKUP} {filter} >\"$A/{name}\" || {{ tail -n 20 \"$A/log\" >&2; exit 1; }}; sync \"$A/{name}\""
        )
    };
    vec![
        backup("tar", plain.clone(), &["tar"]),
        backup("tar; sha256sum", format!("{plain}; {SUMS}"), &["tar", "SUMS"]),
        backup("tar | zstd -1 -T0", zstd.clone(), &["tar.zst"]),
        backup("tar | zstd -1 -T0; sha256sum", format!("{zstd}; {SUMS}"), &["tar.zst", "SUMS"]),
        backup("tar | pigz -1", pigz, &["tar.gz"]),
        backup("mariadb-backup --stream=xbstream", stream("", "xb"), &["xb"]),
        backup(COMPRESSED_STREAM, stream("| zstd -q -1 -T0", "xb.zst"), &["xb.zst"]),
        backup("rsync, as the SST by rsync copies", RSYNC.to_owned(), &["rsync"]),
        backup("mydumper --compress", MYDUMPER.to_owned(), &["mydumper"]),
    ]
}

/// A row that writes `files` into the folder of archives; those that are not read again are removed at once.
fn backup(name: &'static str, script: String, files: &'static [&'static str]) -> Row {
    Row::new(name, Group::Backup, move |stage| {
        let measured = stage.script(&script)?;
        let mut stored = 0;
        for file in files {
            let path = stage.archives.join(file);
            stored += bytes_below(&path).with_context(|| format!("no '{}'", path.display()))?;
            if !KEPT.contains(file) {
                output(Command::new("rm").arg("-rf").arg(path))?;
            }
        }
        Ok(Run { stored: Some(stored), ..measured.into() })
    })
}

/// The rows of the second table.
pub(crate) fn restores() -> Vec<Row> {
    let untar = "zstd -q -dc \"$A/tar.zst\" | tar -C \"$T\" -xf -";
    let check = "cd \"$T\"; split -n \"l/$(nproc)\" --filter='sha256sum --quiet -c -' \"$A/SUMS\"";
    let prepare =
        "mariadb-backup --prepare --target-dir=\"$T\" 2>\"$A/log\" || { tail -n 20 \"$A/log\" >&2; exit 1; }";
    let from_compressed = format!("zstd -q -dc \"$A/xb.zst\" | mbstream -x -C \"$T\"; {prepare}");
    let synced = "sync -f \"$T\"";
    vec![
        restore("zstd -dc | tar -x", format!("{untar}; {synced}")),
        restore("zstd -dc | tar -x; sha256sum -c", format!("{untar}; {check}; {synced}")),
        restore("mbstream -x; --prepare", format!("mbstream -x -C \"$T\" <\"$A/xb\"; {prepare}; {synced}")),
        restore("zstd -dc | mbstream -x; --prepare", format!("{from_compressed}; {synced}")),
        restore(
            "mbstream -x; --prepare; start",
            format!("mbstream -x -C \"$T\" <\"$A/xb\"; {prepare}; {synced}; {START}"),
        ),
        restore("zstd -dc | mbstream -x; --prepare; start", format!("{from_compressed}; {synced}; {START}")),
        restore("zstd -t (reads, restores nothing)", "zstd -q -t \"$A/tar.zst\"".to_owned()),
    ]
}

fn restore(name: &'static str, script: String) -> Row {
    let work = move |stage: &Stage| -> Result<Run> { Ok(stage.script(&script)?.into()) };
    Row::new(name, Group::Restore, work)
}
