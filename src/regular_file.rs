//! Reads a file whose directory belongs to another user.
//!
//! Whoever may write to a directory may put a pipe, a device or a link to one in the place of a file. To open a pipe waits for a
//! writer, to read a device takes memory without end. So what lies in a directory of the server's user, or of anybody else, is
//! opened here: only a regular file is read, and no more of it than such a file has.
//!
//! (Files that the operator names, option files and keys, may be pipes: `<(…)` of a shell is one.)

use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::fcntl::OFlag;

/// Opens a regular file to read it; a link leads to one.
pub fn open(path: &Path) -> io::Result<File> {
    // O_NONBLOCK does nothing to the reading of a file.
    let flags = OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
    let open = |flags: OFlag| OpenOptions::new().read(true).custom_flags(flags.bits()).open(path);
    // A file system that notes the time of each access writes for each file that is read. Only the owner and root may do without.
    let file = match open(flags | OFlag::O_NOATIME) {
        Err(error) if error.raw_os_error() == Some(nix::libc::EPERM) => open(flags)?,
        opened => opened?,
    };
    if !file.metadata()?.is_file() {
        return Err(io::Error::new(ErrorKind::InvalidInput, "it is not a file"));
    }
    Ok(file)
}

/// All of a regular file, which has `limit` bytes at most.
pub fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        let text = format!("it has more than {limit} bytes, which no such file has");
        return Err(io::Error::new(ErrorKind::InvalidData, text));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use nix::sys::stat::Mode;

    use super::*;

    #[test]
    fn a_file_is_read_and_nothing_else_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "content").unwrap();
        symlink("file", at("link")).unwrap();
        symlink("/dev/zero", at("zeros")).unwrap();
        nix::unistd::mkfifo(&at("pipe"), Mode::S_IRWXU).unwrap();
        for name in ["file", "link"] {
            assert_eq!(read(&at(name), 7).unwrap(), b"content");
            assert_eq!(
                read(&at(name), 6).unwrap_err().to_string(),
                "it has more than 6 bytes, which no such file has"
            );
        }
        for name in ["pipe", "zeros", "."] {
            assert_eq!(read(&at(name), 7).unwrap_err().to_string(), "it is not a file", "{name}");
        }
        assert_eq!(read(&at("none"), 7).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
