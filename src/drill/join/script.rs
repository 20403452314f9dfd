//! What the drilled server runs as the joiner's script of a state transfer.
//!
//! Galera's joiner starts `wsrep_sst_<method>` before it asks for a donor, and asks with the address that the script says (`sst_prepare_other` in
//! `sql/wsrep_sst.cc`; one that ends instead makes the server end). The donor, where it has the write sets, runs its own script of that method with
//! `--bypass`. The method is `backup`: every MariaDB has a script of it, which does nothing then but say `done`, as this program does. The joiner's
//! script then says where the files stand, and the write sets come by another way.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::super::error::DrillError;
use super::super::scratch::ScratchFolder;
use crate::model::{DRILL_ADDRESS, WsrepGtid};
use crate::ui::shell_word;

/// The method of state transfers.
pub(super) const METHOD: &str = "backup";
/// The files by which it is told whether to go on, and that a donor was found.
const GO: &str = "go";
const NO: &str = "no";
const ASKED: &str = "asked";

/// The script, in a folder of its own, which is this process's user's.
#[derive(Debug)]
pub(super) struct JoinerScript {
    folder: PathBuf,
}

impl JoinerScript {
    /// Writes it for files at that position.
    pub(super) fn write(scratch: &ScratchFolder, gtid: &WsrepGtid) -> Result<Self, DrillError> {
        let folder = scratch.make_folder("bin")?;
        let path = folder.join(format!("wsrep_sst_{METHOD}"));
        let failed = DrillError::system("write", &path);
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o755).open(&path).map_err(&failed)?;
        file.write_all(text(&folder, gtid).as_bytes()).map_err(&failed)?;
        // Whatever the umask of this process: the server's user runs it.
        file.set_permissions(Permissions::from_mode(0o755)).map_err(&failed)?;
        Ok(Self { folder })
    }

    /// `PATH` for the server, which puts `<basedir>/bin` before it unless that is there already.
    pub(super) fn path_variable(&self, server: &Path) -> OsString {
        let base = server.parent().and_then(Path::parent).unwrap_or(Path::new("/usr"));
        let mut path = self.folder.clone().into_os_string();
        for more in [format!("{}//bin", base.display()), format!("{}/bin", base.display())] {
            path.push(":");
            path.push(more);
        }
        path.push(":/usr//bin:/usr/bin:/usr/sbin:/sbin:/bin");
        path
    }

    /// Lets it go on, or end.
    pub(super) fn answer(&self, go_on: bool) -> Result<(), String> {
        self.make(if go_on { GO } else { NO })
    }

    /// Says that a donor was found. Another request, about which nobody was asked, is not let go on.
    pub(super) fn is_asked(&self) -> Result<(), String> {
        let path = self.folder.join(GO);
        fs::remove_file(&path).map_err(|error| format!("cannot remove '{}': {error}", path.display()))?;
        self.make(ASKED)
    }

    fn make(&self, name: &str) -> Result<(), String> {
        let path = self.folder.join(name);
        File::create_new(&path)
            .map(drop)
            .map_err(|error| format!("cannot make '{}': {error}", path.display()))
    }
}

/// Its standard input is that of a server that starts, the lock of the scratch folder. It ends when the folder is gone: whoever kills the server may leave
/// it running.
fn text(folder: &Path, gtid: &WsrepGtid) -> String {
    let word = |name: &str| shell_word(&folder.join(name));
    format!(
        "#!/bin/sh\nexec </dev/null\n\
         wait_for() {{\n    until [ -e \"$1\" ]; do\n        [ -d {here} ] && [ ! -e {no} ] || exit 1\n        sleep 0.1\n    done\n}}\n\
         wait_for {go}\n\
         echo 'ready {DRILL_ADDRESS}'\n\
         wait_for {asked}\n\
         echo '{position} {domain}'\n",
        here = shell_word(folder),
        go = word(GO),
        no = word(NO),
        asked = word(ASKED),
        position = gtid.position(),
        domain = gtid.domain_id.unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};
    use std::time::Duration;

    use super::*;

    /// It says nothing before it is told to go on, and the position only when a donor was found.
    #[test]
    fn it_waits_for_its_answer_and_then_for_the_donor() {
        let folder = tempfile::tempdir().unwrap();
        let gtid = WsrepGtid { uuid: "u".into(), seqno: 7, domain_id: None };
        let run = || {
            let text = text(folder.path(), &gtid);
            Command::new("/bin/sh").arg("-c").arg(text).stdout(Stdio::piped()).spawn().unwrap()
        };
        let script = JoinerScript { folder: folder.path().to_path_buf() };
        let mut refused = run();
        std::thread::sleep(Duration::from_millis(300));
        assert!(refused.try_wait().unwrap().is_none());
        script.answer(false).unwrap();
        let refused = refused.wait_with_output().unwrap();
        assert_eq!((refused.status.code(), refused.stdout.as_slice()), (Some(1), &b""[..]));
        fs::remove_file(folder.path().join(NO)).unwrap();
        script.answer(true).unwrap();
        let mut asked = run();
        std::thread::sleep(Duration::from_millis(300));
        assert!(asked.try_wait().unwrap().is_none());
        script.is_asked().unwrap();
        let said = asked.wait_with_output().unwrap().stdout;
        assert_eq!(String::from_utf8_lossy(&said), "ready drill-takes-no-sst\nu:7 0\n");
        // Nobody was asked about a second request.
        let mut again = run();
        std::thread::sleep(Duration::from_millis(300));
        assert!(again.try_wait().unwrap().is_none());
        folder.close().unwrap();
        let again = again.wait_with_output().unwrap();
        assert_eq!((again.status.code(), again.stdout.as_slice()), (Some(1), &b""[..]));
    }

    /// A server that starts has the lock of the scratch folder as its standard input.
    #[test]
    fn it_keeps_no_lock_of_its_servers() {
        let folder = tempfile::tempdir().unwrap();
        let gtid = WsrepGtid { uuid: "u".into(), seqno: 7, domain_id: None };
        let lock = File::open(folder.path()).unwrap();
        lock.try_lock().unwrap();
        let input = lock.try_clone().unwrap();
        let text = text(folder.path(), &gtid);
        let mut script = Command::new("/bin/sh").arg("-c").arg(text).stdin(input).spawn().unwrap();
        drop(lock);
        std::thread::sleep(Duration::from_millis(300));
        let is_free = File::open(folder.path()).unwrap().try_lock().is_ok();
        let runs = script.try_wait().unwrap().is_none();
        File::create(folder.path().join(NO)).unwrap();
        script.wait().unwrap();
        assert!(is_free && runs);
    }
}
