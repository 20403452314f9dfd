//! A line between a client and a server that breaks, stalls, or answers for the server when it is told to.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// The way that bytes take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    Up,
    Down,
}

/// What becomes of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// It is refused for good.
    Denied,
    /// It is never answered.
    Unanswered,
    /// It is handed on after this time.
    Late(Duration),
    /// It is handed on, and the answer is lost with the connection.
    AnswerLost,
}

/// An answer that the line gives in the server's place.
#[derive(Debug, Clone, Default)]
pub struct Said {
    /// Code and phrase; empty where the request is handed on and its answer lost.
    pub status: &'static str,
    /// Whole lines.
    pub headers: String,
    pub body: String,
}

impl Said {
    /// The server hears the request, and nobody its answer.
    pub fn lost() -> Self {
        Self::default()
    }
}

/// What the line says to a head in small letters, if anything.
type Answers = Box<dyn Fn(&str) -> Option<Said> + Send>;

/// What the line does with a request.
#[derive(PartialEq, Eq)]
enum Handling {
    HandOn,
    LoseAnswer,
    /// It has answered by itself.
    Answered,
}

/// What the line does and has done.
#[derive(Default)]
pub struct Line {
    /// Bytes, summed over all connections, after which the connection that carries them is cut; on one way.
    cuts: Mutex<VecDeque<u64>>,
    carried: AtomicU64,
    /// Connections that were cut.
    pub cut: AtomicUsize,
    /// So many requests are answered with status 503 and not handed on.
    pub busy: AtomicUsize,
    /// The request of this number, counted from 0, has this fault.
    pub fault: Mutex<Option<(usize, Fault)>>,
    /// Bytes a second that pass upwards on each connection; 0 for as many as there are.
    pub rate: AtomicU64,
    answers: Mutex<Option<Answers>>,
    /// Nothing passes any more, and nothing is closed.
    pub stalled: AtomicBool,
    /// The requests' first lines.
    requests: Mutex<Vec<String>>,
    /// The same with what follows, up to 16 KiB, headers in small letters.
    heads: Mutex<Vec<String>>,
}

impl Line {
    /// Gives answers itself from now on.
    pub fn answers(&self, answers: impl Fn(&str) -> Option<Said> + Send + 'static) {
        *self.answers.lock().unwrap() = Some(Box::new(answers));
    }

    /// The requests that have passed, by their first lines.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// The requests of a method that have a header that begins like this, and those that have none.
    pub fn with_header(&self, method: &str, header: &str) -> (Vec<String>, Vec<String>) {
        let heads = self.heads.lock().unwrap().clone();
        let of_method = heads.into_iter().filter(|head| head.starts_with(&method.to_ascii_lowercase()));
        of_method.partition(|head| head.lines().skip(1).any(|line| line.starts_with(header)))
    }

    /// The numbers of the parts that were sent.
    pub fn parts(&self) -> BTreeSet<u64> {
        let number = |line: &String| line.split_once("partNumber=")?.1.split('&').next()?.parse().ok();
        self.requests().iter().filter_map(number).collect()
    }
}

/// A port on loopback in front of a server.
pub struct Proxy {
    pub address: SocketAddr,
    pub line: Arc<Line>,
}

impl Proxy {
    /// Cuts the connection that carries them whenever so many bytes have passed that way in all.
    pub fn start(server: SocketAddr, way: Way, cuts: &[u64]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Line { cuts: Mutex::new(cuts.iter().copied().collect()), ..Line::default() });
        let shared = Arc::clone(&line);
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let line = Arc::clone(&shared);
                std::thread::spawn(move || {
                    if let Ok(server) = TcpStream::connect(server) {
                        carry(&line, way, &client, &server);
                    }
                });
            }
        });
        Self { address, line }
    }

    /// The address as the setting `s3-endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }
}

fn carry(line: &Arc<Line>, cut_on: Way, client: &TcpStream, server: &TcpStream) {
    let is_mute = Arc::new(AtomicBool::new(false));
    let pump = |way: Way, from: &TcpStream, to: &TcpStream| {
        let (line, mut from, mut to) = (Arc::clone(line), from.try_clone().unwrap(), to.try_clone().unwrap());
        let is_mute = Arc::clone(&is_mute);
        std::thread::spawn(move || {
            let mut buffer = vec![0; 16 << 10];
            while let Ok(count @ 1..) = from.read(&mut buffer) {
                let bytes = &buffer[..count];
                match way {
                    Way::Up => {
                        match handle(&line, &mut from, bytes) {
                            Handling::Answered => break,
                            Handling::LoseAnswer => is_mute.store(true, Ordering::Relaxed),
                            Handling::HandOn => {}
                        }
                        let rate = line.rate.load(Ordering::Relaxed);
                        let nanos = (count as u64 * 1_000_000_000).checked_div(rate).unwrap_or(0);
                        std::thread::sleep(Duration::from_nanos(nanos));
                    }
                    Way::Down if is_mute.load(Ordering::Relaxed) => break,
                    Way::Down => {}
                }
                while line.stalled.load(Ordering::Relaxed) {
                    std::thread::sleep(Duration::from_millis(20));
                }
                if to.write_all(bytes).is_err() || (way == cut_on && is_cut(&line, count as u64)) {
                    break;
                }
            }
            // Both ways end, so that neither side waits for the other.
            let _ = from.shutdown(Shutdown::Both);
            let _ = to.shutdown(Shutdown::Both);
        })
    };
    let up = pump(Way::Up, client, server);
    let down = pump(Way::Down, server, client);
    let _ = (up.join(), down.join());
}

/// Notes a request, and answers it itself where the line is told to.
fn handle(line: &Line, client: &mut TcpStream, bytes: &[u8]) -> Handling {
    let first = bytes.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let Some(request) = std::str::from_utf8(first).ok().filter(|text| text.ends_with(" HTTP/1.1")) else {
        return Handling::HandOn;
    };
    let head = bytes.windows(4).position(|end| end == b"\r\n\r\n").map_or(bytes, |end| &bytes[..end]);
    line.heads.lock().unwrap().push(String::from_utf8_lossy(head).to_ascii_lowercase());
    let number = {
        let mut requests = line.requests.lock().unwrap();
        requests.push(request.to_owned());
        requests.len() - 1
    };
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    match line.answers.lock().unwrap().as_ref().and_then(|answers| answers(&head)) {
        Some(said) if said.status.is_empty() => return Handling::LoseAnswer,
        Some(said) => {
            say(client, &said);
            return Handling::Answered;
        }
        None => {}
    }
    let fault = line.fault.lock().unwrap().filter(|(wanted, _)| *wanted == number).map(|(_, fault)| fault);
    let busy = line.busy.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
    match fault {
        Some(Fault::Denied) => answer(client, "403 Forbidden", "AccessDenied"),
        Some(Fault::Unanswered) => {
            let _ = std::io::copy(client, &mut std::io::sink());
        }
        Some(Fault::Late(time)) => {
            std::thread::sleep(time);
            return Handling::HandOn;
        }
        Some(Fault::AnswerLost) => return Handling::LoseAnswer,
        None if busy.is_ok() => answer(client, "503 Slow Down", "SlowDown"),
        None => return Handling::HandOn,
    }
    Handling::Answered
}

/// An answer that is none of the server's.
fn answer(client: &mut TcpStream, status: &str, code: &str) {
    let body = format!("<Error><Code>{code}</Code><Message>Said by the line.</Message></Error>");
    say_head_and_body(client, status, "", &body);
}

fn say(client: &mut TcpStream, said: &Said) {
    say_head_and_body(client, said.status, &said.headers, &said.body);
}

fn say_head_and_body(client: &mut TcpStream, status: &str, headers: &str, body: &str) {
    let length = body.len();
    let head = format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {length}\r\nConnection: close\r\n\r\n");
    let _ = client.write_all(format!("{head}{body}").as_bytes());
    // A line that is closed while the client still sends would take the answer with it.
    let _ = client.shutdown(Shutdown::Write);
    let _ = client.set_read_timeout(Some(Duration::from_secs(5)));
    let _ = std::io::copy(client, &mut std::io::sink());
}

fn is_cut(line: &Line, count: u64) -> bool {
    let carried = line.carried.fetch_add(count, Ordering::Relaxed) + count;
    let mut cuts = line.cuts.lock().unwrap();
    if cuts.front().is_none_or(|cut| carried < *cut) {
        return false;
    }
    cuts.pop_front();
    line.cut.fetch_add(1, Ordering::Relaxed);
    true
}
