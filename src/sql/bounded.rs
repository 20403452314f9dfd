//! Answers that end, whoever gives them.
//!
//! The server at an address need be no MariaDB, or may be under an attacker's control. The driver's time limit is that of one
//! read: a server that goes on sending rows, or sends a byte now and then, would fill the memory or hold the session for ever.
//! So each statement has a limit of bytes and one of time as a whole; it is asked in a thread of its own, which nobody waits
//! for any longer than that. After an answer that did not end the session is of no use any more.

use std::io::{self, ErrorKind};
use std::mem;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use mysql::prelude::{FromRow, Queryable};
use mysql::{Conn, Error, Row, Value};

/// Most bytes of an answer, where nothing else is said: the longest one is that of the processes, 1,000 letters each at most.
pub(super) const USUAL: usize = 16 << 20;
/// Most bytes of the names of all tablespaces.
pub(super) const NAMES: usize = 256 << 20;
/// What a row takes beside its values, bytes.
const ROW: usize = 64;

/// What one answer may be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) bytes: usize,
    pub(super) time: Duration,
}

/// Does something that a server may draw out, for so long at most; what the thread has is lost then.
pub(super) fn within<T: Send + 'static>(
    time: Duration,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    let (sender, receiver) = channel();
    thread::Builder::new().name("sql".into()).spawn(move || sender.send(work())).map_err(Error::IoError)?;
    receiver.recv_timeout(time).map_err(|why| {
        Error::IoError(match why {
            RecvTimeoutError::Timeout => ErrorKind::TimedOut.into(),
            // It has panicked: the driver believes the lengths that it is told.
            RecvTimeoutError::Disconnected => {
                io::Error::new(ErrorKind::InvalidData, "the server's answer has a form that is not expected")
            }
        })
    })
}

/// The rows of a statement; only the first of its answers is looked at.
pub(super) fn rows<T: FromRow>(
    connection: &mut Conn,
    statement: &str,
    bounds: Bounds,
) -> Result<Vec<T>, (Error, Usable)> {
    let until = Instant::now() + bounds.time;
    let mut answer = connection.query_iter(statement).map_err(of_statement)?;
    let (mut found, mut bytes) = (Vec::new(), 0_usize);
    let outcome = loop {
        let row = match answer.next() {
            None => break Ok(()),
            Some(Err(error)) => break Err(of_statement(error)),
            Some(Ok(row)) => row,
        };
        bytes = bytes.saturating_add(size_of(&row));
        if bytes > bounds.bytes {
            let text = format!("the server's answer is longer than {} MiB", bounds.bytes >> 20);
            break Err((Error::IoError(io::Error::new(ErrorKind::InvalidData, text)), Usable::No));
        }
        if Instant::now() > until {
            break Err((Error::IoError(ErrorKind::TimedOut.into()), Usable::No));
        }
        match mysql::from_row_opt(row) {
            Ok(value) => found.push(value),
            Err(error) => break Err((error.into(), Usable::No)),
        }
    };
    let is_over = outcome.is_ok()
        && match answer.iter() {
            None => true,
            Some(more) => {
                mem::forget(more);
                false
            }
        };
    if is_over {
        return Ok(found);
    }
    // Dropped, it would read on to the end of all answers, which need not come.
    mem::forget(answer);
    outcome?;
    let text = "the server gives more answers than it was asked for";
    Err((Error::IoError(io::Error::new(ErrorKind::InvalidData, text)), Usable::No))
}

/// Whether the session can be asked again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Usable {
    Yes,
    No,
}

/// A server that says what is wrong has given its answer.
fn of_statement(error: Error) -> (Error, Usable) {
    let usable = if matches!(error, Error::MySqlError(_)) { Usable::Yes } else { Usable::No };
    (error, usable)
}

fn size_of(row: &Row) -> usize {
    let values = (0..row.len()).map(|column| match row.as_ref(column) {
        Some(Value::Bytes(bytes)) => bytes.len(),
        _ => 0,
    });
    values.fold(ROW, usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::os::unix::net::{UnixListener, UnixStream};
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::sql::{Account, Endpoint, SqlSession};

    /// Sends packets as a server does.
    struct Wire {
        stream: UnixStream,
        number: u8,
        sent: Arc<AtomicUsize>,
    }

    impl Wire {
        fn send(&mut self, payload: &[u8]) -> io::Result<()> {
            let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
            let mut packet = vec![length[0], length[1], length[2], self.number];
            packet.extend(payload);
            self.number = self.number.wrapping_add(1);
            self.sent.fetch_add(packet.len(), Ordering::Relaxed);
            self.stream.write_all(&packet)
        }

        /// What the client sends; the answer begins with the next number.
        fn receive(&mut self) -> io::Result<Vec<u8>> {
            let mut head = [0; 4];
            self.stream.read_exact(&mut head)?;
            let mut payload = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
            self.stream.read_exact(&mut payload)?;
            self.number = head[3].wrapping_add(1);
            Ok(payload)
        }

        fn log_in(&mut self) -> io::Result<()> {
            let mut hello =
                b"\x0a10.11.19-MariaDB\0\x01\0\0\0abcdefgh\0\x01\x82\x21\x02\0\x08\0\x15".to_vec();
            hello.extend([0; 10]);
            hello.extend(b"abcdefghijkl\0mysql_native_password\0");
            self.send(&hello)?;
            self.receive()?;
            self.ok()
        }

        fn ok(&mut self) -> io::Result<()> {
            self.send(b"\0\0\0\x02\0\0\0")
        }

        /// The beginning of an answer with two columns of text.
        fn columns(&mut self) -> io::Result<()> {
            self.send(&[2])?;
            for _ in 0..2 {
                self.send(b"\x03def\0\0\0\x01x\x01x\x0c\x21\0\0\x04\0\0\xfd\0\0\0\0\0")?;
            }
            self.send(b"\xfe\0\0\x02\0")
        }

        fn row(&mut self) -> io::Result<()> {
            let mut row = vec![0xfc, 0xe8, 0x03];
            row.extend([b'n'; 1000]);
            row.extend(b"\x01v");
            self.send(&row)
        }
    }

    /// A server that answers everything but the beginning of a session by `answer`, until the client goes.
    fn server(
        folder: &std::path::Path,
        answer: impl Fn(&mut Wire) -> io::Result<()> + Send + 'static,
    ) -> (Endpoint, Arc<AtomicUsize>) {
        let socket = folder.join("s");
        let listener = UnixListener::bind(&socket).unwrap();
        let sent = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&sent);
        thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            let mut wire = Wire { stream, number: 0, sent: counted };
            let mut serve = || {
                wire.log_in()?;
                loop {
                    let statement = wire.receive()?;
                    if statement.windows(3).any(|word| word == b"SET") {
                        wire.ok()
                    } else {
                        answer(&mut wire)
                    }?;
                }
            };
            let _: io::Result<()> = serve();
        });
        (Endpoint::Socket(socket), sent)
    }

    fn session(endpoint: &Endpoint, limit: Duration) -> SqlSession {
        let account = Account { user: Some("u".into()), password: None, tls: None };
        SqlSession::connect_within(endpoint, &account, limit).unwrap()
    }

    #[test]
    fn an_answer_that_ends_is_had_and_the_session_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, _) = server(folder.path(), |wire| {
            wire.columns()?;
            wire.row()?;
            wire.send(b"\xfe\0\0\x02\0")
        });
        let mut session = session(&endpoint, Duration::from_secs(5));
        for _ in 0..3 {
            assert_eq!(session.variables(&["x"]).unwrap()[&"n".repeat(1000)], "v");
        }
    }

    #[test]
    fn rows_without_end_are_not_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, sent) = server(folder.path(), |wire| {
            wire.columns()?;
            loop {
                wire.row()?;
            }
        });
        let mut session = session(&endpoint, Duration::from_secs(60));
        assert_eq!(session.variables(&["x"]).unwrap_err(), "the server's answer is longer than 16 MiB");
        let again = session.cluster_status().unwrap_err();
        assert_eq!(again, "the server has not come to the end of an earlier answer");
        assert!(sent.load(Ordering::Relaxed) < 32 << 20);
    }

    #[test]
    fn an_answer_that_drips_is_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, _) = server(folder.path(), |wire| {
            wire.columns()?;
            wire.stream.write_all(&[0xff, 0xff, 0, wire.number])?;
            loop {
                wire.stream.write_all(b"x")?;
                thread::sleep(Duration::from_millis(20));
            }
        });
        let mut session = session(&endpoint, Duration::from_millis(500));
        let begun = Instant::now();
        assert_eq!(session.variables(&["x"]).unwrap_err(), "no answer within 1 s");
        assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
        session.variables(&["x"]).unwrap_err();
    }

    #[test]
    fn a_number_of_columns_that_nobody_has_ends_the_session_only() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, _) =
            server(folder.path(), |wire| wire.send(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f]));
        let mut session = session(&endpoint, Duration::from_secs(5));
        let why = session.variables(&["x"]).unwrap_err();
        assert_eq!(why, "the server's answer has a form that is not expected");
    }
}
