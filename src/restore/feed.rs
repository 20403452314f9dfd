//! The standard input of a program that may not read.

use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::process::ChildStdin;

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// How long the program may not read before it is asked whether anybody still waits, ms.
const LOOK: u8 = 100;

/// What became of bytes that were handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fed {
    /// The pipe has them all.
    All,
    /// The program does not read any more: its end tells why.
    Closed,
    /// Nobody waits any longer.
    GivenUp,
}

/// A pipe into a program, whose writer never waits for it alone: a program that hangs on a disk does not keep this one from a
/// signal.
pub(super) struct Feed(ChildStdin);

impl Feed {
    /// From here on a full pipe is told, and not waited for.
    pub(super) fn new(input: ChildStdin) -> io::Result<Self> {
        fcntl(&input, FcntlArg::F_SETFL(OFlag::O_NONBLOCK))?;
        Ok(Self(input))
    }

    /// Hands the bytes on while `goes_on`.
    pub(super) fn write(&mut self, mut bytes: &[u8], goes_on: impl Fn() -> bool) -> io::Result<Fed> {
        while !bytes.is_empty() {
            if !goes_on() {
                return Ok(Fed::GivenUp);
            }
            match self.0.write(bytes) {
                Ok(count) => bytes = &bytes[count..],
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    let mut pipe = [PollFd::new(self.0.as_fd(), PollFlags::POLLOUT)];
                    match poll(&mut pipe, PollTimeout::from(LOOK)) {
                        Ok(_) | Err(nix::errno::Errno::EINTR) => {}
                        Err(errno) => return Err(errno.into()),
                    }
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if error.kind() == ErrorKind::BrokenPipe => return Ok(Fed::Closed),
                Err(error) => return Err(error),
            }
        }
        Ok(Fed::All)
    }
}
