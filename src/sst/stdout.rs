//! stdout belongs to mysqld: a line that is not of the protocol can leave the server frozen.

use std::fs::File;
use std::io;

use nix::unistd::{dup, dup2_stdout};

/// Takes stdout away from the rest of the process: what anything prints from now on goes to stderr,
/// and only the returned file reaches mysqld. No child inherits it.
pub fn claim() -> io::Result<File> {
    use nix::fcntl::{FcntlArg, FdFlag, fcntl};
    let pipe = dup(io::stdout())?;
    fcntl(&pipe, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    dup2_stdout(io::stderr())?;
    Ok(File::from(pipe))
}
