//! A server of SQL that says what a test wants, byte for byte.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use super::{Account, Endpoint, SqlSession};

/// `COM_QUERY`; all that a session sends besides is its end.
const QUERY: u8 = 3;

/// Sends packets as a server does.
pub(crate) struct Wire {
    pub(crate) stream: UnixStream,
    pub(crate) number: u8,
    sent: Arc<AtomicUsize>,
}

impl Wire {
    pub(crate) fn send(&mut self, payload: &[u8]) -> io::Result<()> {
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
        let mut hello = b"\x0a10.11.19-MariaDB\0\x01\0\0\0abcdefgh\0\x01\x82\x21\x02\0\x08\0\x15".to_vec();
        hello.extend([0; 10]);
        hello.extend(b"abcdefghijkl\0mysql_native_password\0");
        self.send(&hello)?;
        self.receive()?;
        self.ok()
    }

    pub(crate) fn ok(&mut self) -> io::Result<()> {
        self.send(b"\0\0\0\x02\0\0\0")
    }

    /// The beginning of an answer with two columns of text.
    pub(crate) fn columns(&mut self) -> io::Result<()> {
        self.send(&[2])?;
        for _ in 0..2 {
            self.send(b"\x03def\0\0\0\x01x\x01x\x0c\x21\0\0\x04\0\0\xfd\0\0\0\0\0")?;
        }
        self.send(b"\xfe\0\0\x02\0")
    }

    pub(crate) fn row(&mut self) -> io::Result<()> {
        let mut row = vec![0xfc, 0xe8, 0x03];
        row.extend([b'n'; 1000]);
        row.extend(b"\x01v");
        self.send(&row)
    }

    /// A whole answer of two columns.
    pub(crate) fn pairs(&mut self, rows: &[(&str, &str)]) -> io::Result<()> {
        self.texts(2, &rows.iter().map(|(name, value)| vec![*name, *value]).collect::<Vec<_>>())
    }

    /// A whole answer, none of whose texts is longer than 250 bytes.
    pub(crate) fn texts(&mut self, columns: u8, rows: &[Vec<&str>]) -> io::Result<()> {
        self.send(&[columns])?;
        for _ in 0..columns {
            self.send(b"\x03def\0\0\0\x01x\x01x\x0c\x21\0\0\x04\0\0\xfd\0\0\0\0\0")?;
        }
        self.send(b"\xfe\0\0\x02\0")?;
        for row in rows {
            let texts =
                row.iter().flat_map(|text| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat());
            self.send(&texts.collect::<Vec<u8>>())?;
        }
        self.send(b"\xfe\0\0\x02\0")
    }

    /// The server refuses.
    pub(crate) fn error(&mut self, code: u16) -> io::Result<()> {
        let code = code.to_le_bytes();
        self.send(&[&[0xff, code[0], code[1]], b"#HY000refused".as_slice()].concat())
    }
}

/// A server that takes every session and answers what follows the beginning of one by `answer`, which is given the statement. It
/// counts the bytes that it has sent.
pub(crate) fn server(
    folder: &Path,
    answer: impl Fn(&mut Wire, &str) -> io::Result<()> + Send + Sync + 'static,
) -> (Endpoint, Arc<AtomicUsize>) {
    let socket = folder.join("s");
    let listener = UnixListener::bind(&socket).unwrap();
    let sent = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&sent);
    let answer = Arc::new(answer);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut wire = Wire { stream: stream.unwrap(), number: 0, sent: Arc::clone(&counted) };
            let answer = Arc::clone(&answer);
            thread::spawn(move || serve(&mut wire, answer.as_ref()));
        }
    });
    (Endpoint::Socket(socket), sent)
}

fn serve(wire: &mut Wire, answer: &dyn Fn(&mut Wire, &str) -> io::Result<()>) -> io::Result<()> {
    wire.log_in()?;
    loop {
        let packet = wire.receive()?;
        if packet.first() != Some(&QUERY) {
            return Ok(());
        }
        let statement = String::from_utf8_lossy(&packet[1..]).into_owned();
        if super::BEGIN.contains(&statement.as_str()) {
            wire.ok()?;
        } else {
            answer(wire, &statement)?;
        }
    }
}

pub(crate) fn session(endpoint: &Endpoint, limit: Duration) -> SqlSession {
    let account = Account { user: Some("u".into()), password: None, tls: None };
    SqlSession::connect_within(endpoint, &account, limit).unwrap()
}
