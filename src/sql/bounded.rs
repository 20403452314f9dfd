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
    use std::io::Write;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::sql::testing::{server, session};

    #[test]
    fn an_answer_that_ends_is_had_and_the_session_goes_on() {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, _) = server(folder.path(), |wire, _| {
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
        let (endpoint, sent) = server(folder.path(), |wire, _| {
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
        let (endpoint, _) = server(folder.path(), |wire, _| {
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
        let (endpoint, _) = server(folder.path(), |wire, _| {
            wire.send(&[0xfe, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f])
        });
        let mut session = session(&endpoint, Duration::from_secs(5));
        let why = session.variables(&["x"]).unwrap_err();
        assert_eq!(why, "the server's answer has a form that is not expected");
    }
}
