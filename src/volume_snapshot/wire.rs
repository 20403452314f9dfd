//! Lines over a connection, each waited for no longer than it is wanted.

use std::io::{self, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// Between two looks at whether a line is still waited for.
const TICK: Duration = Duration::from_millis(20);
/// How long the other side may take nothing.
const DEAF: Duration = Duration::from_secs(10);
/// No line is longer, bytes.
const LONGEST: usize = 64 << 10;

/// One side of the connection.
#[derive(Debug)]
pub(super) struct SnapshotWire {
    stream: UnixStream,
    unread: Vec<u8>,
}

/// What comes next.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    /// A line.
    Line(String),
    /// The other side has closed it, or is gone.
    End,
    /// It was not waited for any longer.
    Nothing,
}

impl SnapshotWire {
    pub(super) fn new(stream: UnixStream) -> io::Result<Self> {
        stream.set_read_timeout(Some(TICK))?;
        stream.set_write_timeout(Some(DEAF))?;
        Ok(Self { stream, unread: Vec::new() })
    }

    /// Says a line.
    pub(super) fn say(&mut self, line: &str) -> io::Result<()> {
        // Whatever a command writes is one line.
        let line: String = line.chars().map(|letter| if letter == '\n' { ' ' } else { letter }).collect();
        self.stream.write_all(format!("{line}\n").as_bytes())
    }

    /// Waits for a line, as long as `goes_on` says so.
    pub(super) fn hear(&mut self, goes_on: &mut dyn FnMut() -> bool) -> io::Result<Incoming> {
        loop {
            if let Some(end) = self.unread.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.unread.drain(..=end).collect();
                return Ok(Incoming::Line(String::from_utf8_lossy(&line[..end]).into_owned()));
            }
            if self.unread.len() > LONGEST {
                return Err(io::Error::new(ErrorKind::InvalidData, "a line has no end"));
            }
            if !goes_on() {
                return Ok(Incoming::Nothing);
            }
            if !self.more()? {
                return Ok(Incoming::End);
            }
        }
    }

    /// Whether the other side is gone, asked without waiting.
    pub(super) fn is_over(&mut self) -> bool {
        let is_asked = self.stream.set_nonblocking(true).is_ok();
        let is_there = self.unread.len() > LONGEST || matches!(self.more(), Ok(true));
        is_asked && self.stream.set_nonblocking(false).is_ok() && !is_there
    }

    /// Reads what is there within a tick; false at the end.
    fn more(&mut self) -> io::Result<bool> {
        let mut bytes = [0; 4096];
        match self.stream.read(&mut bytes) {
            Ok(0) => Ok(false),
            Ok(got) => {
                self.unread.extend(&bytes[..got]);
                Ok(true)
            }
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted
                ) =>
            {
                Ok(true)
            }
            Err(error) if error.kind() == ErrorKind::ConnectionReset => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Nothing more is said.
    pub(super) fn close(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Another handle of the connection.
    pub(super) fn handle(&self) -> io::Result<UnixStream> {
        self.stream.try_clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_as_they_were_said_and_the_end_is_told_from_silence() {
        let (one, other) = UnixStream::pair().unwrap();
        let (mut one, mut other) = (SnapshotWire::new(one).unwrap(), SnapshotWire::new(other).unwrap());
        one.say("take x").unwrap();
        one.say("two\nlines").unwrap();
        one.say("").unwrap();
        for wanted in ["take x", "two lines", ""] {
            assert_eq!(other.hear(&mut || true).unwrap(), Incoming::Line(wanted.into()));
        }
        let mut asked = 0;
        let mut twice = || {
            asked += 1;
            asked < 3
        };
        assert_eq!(other.hear(&mut twice).unwrap(), Incoming::Nothing);
        assert!(!other.is_over());
        one.say("last").unwrap();
        one.close();
        assert_eq!(other.hear(&mut || true).unwrap(), Incoming::Line("last".into()));
        assert_eq!(other.hear(&mut || true).unwrap(), Incoming::End);
        assert!(other.is_over());
    }
}
