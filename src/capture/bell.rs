//! What wakes the watch when a signal comes.

use std::io::{self, Read};
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// Wakes the thread in the moment in which a signal comes. A service that is stopped sends it to mysqld and to us at
/// once, and mysqld comes to its end only if it reads that it may run on before it has left its cluster.
pub(super) struct Bell(UnixStream);

impl Bell {
    /// From here on it rings for these.
    pub(super) fn hang(signals: &[i32]) -> io::Result<Self> {
        let (listen, ring) = UnixStream::pair()?;
        listen.set_nonblocking(true)?;
        for number in signals {
            signal_hook::low_level::pipe::register(*number, ring.try_clone()?)?;
        }
        Ok(Self(listen))
    }

    /// Waits for so long, or until a signal comes.
    pub(super) fn wait(&self, time: Duration) {
        let mut ends = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let limit = PollTimeout::try_from(time).unwrap_or(PollTimeout::ZERO);
        if poll(&mut ends, limit).is_ok_and(|ready| ready > 0) {
            let _ = (&self.0).read(&mut [0; 64]);
        }
    }
}
