//! A member that answers SQL, played by a socket: what `backup` does when it sees its group change.

use std::io::{self, Read, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use crate::{JOINED, SELECTED, Stage};

/// `COM_QUERY`; all that a session sends besides is its end.
const QUERY: u8 = 3;
const VARIABLES: [(&str, &str); 5] = [
    ("version", "10.11.19-MariaDB"),
    ("wsrep_cluster_address", "gcomm://127.0.0.1:1"),
    ("wsrep_cluster_name", "c"),
    ("wsrep_node_name", "n1"),
    ("wsrep_on", "ON"),
];
const STATUS: [(&str, &str); 8] = [
    ("wsrep_cluster_status", "Primary"),
    ("wsrep_cluster_size", "1"),
    ("wsrep_connected", "ON"),
    ("wsrep_incoming_addresses", "127.0.0.1:3306"),
    ("wsrep_local_index", "0"),
    ("wsrep_local_state", "4"),
    ("wsrep_local_state_uuid", "4b1c02c4-2f3a-11ef-9a3c-0a1b2c3d4e5f"),
    ("wsrep_ready", "ON"),
];

/// A session of the member, as the protocol of MariaDB has it.
struct Session {
    stream: UnixStream,
    number: u8,
}

impl Session {
    fn send(&mut self, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).unwrap().to_le_bytes();
        self.stream.write_all(&[&length[..3], &[self.number], payload].concat())?;
        self.number = self.number.wrapping_add(1);
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let mut head = [0; 4];
        self.stream.read_exact(&mut head)?;
        let mut payload = vec![0; u32::from_le_bytes([head[0], head[1], head[2], 0]) as usize];
        self.stream.read_exact(&mut payload)?;
        self.number = head[3].wrapping_add(1);
        Ok(payload)
    }

    fn ok(&mut self) -> io::Result<()> {
        self.send(b"\0\0\0\x02\0\0\0")
    }

    /// An answer of two columns.
    fn rows(&mut self, rows: &[(&str, &str)]) -> io::Result<()> {
        self.send(&[2])?;
        for _ in 0..2 {
            self.send(b"\x03def\0\0\0\x01x\x01x\x0c\x21\0\0\x04\0\0\xfd\0\0\0\0\0")?;
        }
        self.send(b"\xfe\0\0\x02\0")?;
        for (name, value) in rows {
            let text = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
            self.send(&[text(name), text(value)].concat())?;
        }
        self.send(b"\xfe\0\0\x02\0")
    }

    fn serve(&mut self, looks: &AtomicUsize) -> io::Result<()> {
        let mut hello = b"\x0a10.11.19-MariaDB\0\x01\0\0\0abcdefgh\0\x01\x82\x21\x02\0\x08\0\x15".to_vec();
        hello.extend([0; 10]);
        hello.extend(b"abcdefghijkl\0mysql_native_password\0");
        self.send(&hello)?;
        self.receive()?;
        self.ok()?;
        loop {
            let packet = self.receive()?;
            let statement = String::from_utf8_lossy(&packet[1..]).into_owned();
            if packet[0] != QUERY {
                return Ok(());
            } else if statement.starts_with("SHOW GLOBAL VARIABLES") {
                self.rows(&VARIABLES)?;
            } else if statement == r"SHOW GLOBAL STATUS LIKE 'wsrep\_%'" {
                // Behind the first look the group has changed, once.
                let configuration = if looks.fetch_add(1, Ordering::Relaxed) == 0 { "7" } else { "8" };
                self.rows(&[&STATUS[..], &[("wsrep_cluster_conf_id", configuration)]].concat())?;
            } else if statement.starts_with("SHOW GLOBAL STATUS") {
                self.rows(&[])?;
            } else if statement.starts_with('S') && !statement.starts_with("SET") {
                self.send(b"\xff\x76\x04#42000no right to ask that")?;
            } else {
                self.ok()?;
            }
        }
    }
}

/// The number of looks at its status.
fn member(socket: &Path) -> Arc<AtomicUsize> {
    let listener = UnixListener::bind(socket).unwrap();
    let looks = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&looks);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let looks = Arc::clone(&counted);
            let mut session = Session { stream: stream.unwrap(), number: 0 };
            thread::spawn(move || session.serve(&looks));
        }
    });
    looks
}

#[test]
fn garbd_is_not_sent_into_a_group_that_has_just_changed() {
    let stage = Stage::new(&format!("{JOINED}\n{SELECTED}"), 0);
    let socket = stage.folder.path().join("member");
    let looks = member(&socket);
    let answer =
        stage.backup("--no-wait --force").env("WSREP_SST_BACKUP_SOCKET", socket.to_str().unwrap()).run();
    assert_eq!(answer.status, Some(0), "{answer:?}");
    assert!(!answer.stderr.contains("garbd is started all the same"), "{answer:?}");
    assert_eq!(stage.calls().len(), 1);
    // The first one, that behind the sample of the traffic, the one that sees the change, and the one that sees the group at rest.
    assert_eq!(looks.load(Ordering::Relaxed), 4, "{answer:?}");
}
