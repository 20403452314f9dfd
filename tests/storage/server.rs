//! S3 servers on loopback, which nobody else has written for us: `s3s-fs` inside the test's own process, and moto.
//!
//! They differ: `s3s-fs` keeps objects in files, so that gigabytes pass through, checks signatures, and does not know
//! `If-None-Match`; moto knows conditions, encryption and pages of lists, and checks no signature. `s3s-fs` does not list
//! uploads either; here it does, unless a test wants it as it is.
#![allow(unreachable_pub, dead_code, reason = "every test binary uses another part")]

mod latency;
mod objects;
mod uploads;

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use s3s::S3Result;
use s3s::auth::SimpleAuth;
use s3s::host::{S3Host, VirtualHost};
use s3s::service::S3ServiceBuilder;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use wsrep_sst_backup::config::{S3Settings, Secret};
use wsrep_sst_backup::storage::S3Storage;

pub use self::latency::Line;
use self::objects::Leap;
use self::uploads::{Begun, Listing};
use crate::support::ports::Ports;
use crate::support::wait_until;

/// The bucket that every server has.
pub const BUCKET: &str = "bucket";
/// The key that every server takes.
pub const KEY_ID: &str = "key-of-tests";
/// Its secret.
pub const SECRET: &str = "secret-of-tests";
/// Long for tests: an operation is tried for 24 s.
pub const STALL: Duration = Duration::from_secs(60);

/// Settings for a server of these tests.
pub fn settings(endpoint: &str) -> S3Settings {
    S3Settings {
        endpoint: Some(endpoint.to_owned()),
        access_key_id: Some(KEY_ID.to_owned()),
        secret_access_key: Some(Secret::from(SECRET.to_owned())),
        ..S3Settings::default()
    }
}

/// A storage below a prefix of the bucket.
pub fn storage(prefix: &str, settings: &S3Settings) -> S3Storage {
    S3Storage::new(BUCKET, prefix, settings, STALL, &|_| None).unwrap()
}

/// Objects as files.
pub struct FileServer {
    pub address: SocketAddr,
    /// The uploads that it lists.
    pub begun: Begun,
    /// Its clock.
    pub leap: Leap,
    folder: TempDir,
    _runtime: Runtime,
}

impl FileServer {
    /// Starts it.
    pub fn start() -> Self {
        Self::with(S3ServiceBuilder::new)
    }

    /// One at the other end of a line.
    pub fn behind(line: Line) -> Self {
        Self::with(|listing| {
            let mut service = S3ServiceBuilder::new(Listing { is_plain: true, ..listing });
            service.set_access(line);
            service
        })
    }

    /// One that does not know what a list of uploads is.
    pub fn that_lists_no_uploads() -> Self {
        Self::with(|listing| S3ServiceBuilder::new(listing.inner))
    }

    /// One that has the bucket in its host name: `bucket.localhost`.
    pub fn with_host_names() -> Self {
        Self::with(|listing| {
            let mut service = S3ServiceBuilder::new(listing);
            service.set_host(AnyPort);
            service
        })
    }

    fn with(service: impl FnOnce(Listing) -> S3ServiceBuilder) -> Self {
        let folder = tempfile::Builder::new().prefix("ws3-").tempdir_in("/var/tmp").unwrap();
        std::fs::create_dir(folder.path().join(BUCKET)).unwrap();
        let begun = Begun::default();
        let inner = s3s_fs::FileSystem::new(folder.path()).unwrap();
        let leap = Leap::default();
        let folder_of = folder.path().to_owned();
        let mut service = service(Listing {
            inner,
            begun: begun.clone(),
            folder: folder_of,
            leap: leap.clone(),
            is_plain: false,
        });
        service.set_auth(SimpleAuth::from_single(KEY_ID, SECRET));
        let service = service.build();
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let service = service.clone();
                tokio::spawn(async move {
                    let _ = Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(socket), service)
                        .await;
                });
            }
        });
        Self { address, begun, leap, folder, _runtime: runtime }
    }

    /// Its address as the setting `s3-endpoint`.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// What it keeps of uploads that are neither complete nor aborted.
    pub fn unfinished(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        let names = names.map(|entry| entry.file_name().to_string_lossy().into_owned());
        names.filter(|name| name.starts_with(".upload")).collect()
    }

    /// Where it keeps the bucket.
    pub fn bucket(&self) -> std::path::PathBuf {
        self.folder.path().join(BUCKET)
    }
}

/// `bucket.localhost`, at whatever port.
struct AnyPort;

impl S3Host for AnyPort {
    fn parse_host_header<'a>(&'a self, host: &'a str) -> S3Result<VirtualHost<'a>> {
        match host.split_once(".localhost:") {
            Some((bucket, _)) => Ok(VirtualHost::new("localhost").with_bucket(bucket)),
            None => Err(s3s::s3_error!(InvalidRequest, "the bucket is not in the host name")),
        }
    }
}

/// S3 looks at the condition of a PUT and stores the object in one step. moto does so in two, between which another PUT of
/// the same name may come.
const ONE_PUT_AT_A_TIME: &str = "
import sys, threading
from moto.s3.responses import S3Response
from moto.server import main
put, lock = S3Response.put_object, threading.Lock()
def one(self):
    with lock:
        return put(self)
S3Response.put_object = one
sys.exit(main())
";

/// A Python server that knows more of S3; `scripts/install-deps` installs it.
pub struct Moto {
    child: Child,
    pub endpoint: String,
    _ports: Ports,
}

impl Moto {
    /// Starts it, with TLS where there is a certificate and its key, and makes the bucket.
    pub fn start(tls: Option<(&Path, &Path)>) -> Self {
        let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/moto/bin/python3");
        let ports = Ports::reserve();
        let port = ports.port(0);
        let mut command = Command::new(program);
        command.args(["-c", ONE_PUT_AT_A_TIME, "-H", "127.0.0.1", "-p", &port.to_string()]);
        if let Some((certificate, key)) = tls {
            command.arg("--ssl-cert").arg(certificate).arg("--ssl-key").arg(key);
        }
        let child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn();
        let child = child.unwrap_or_else(|error| panic!("'{program}': {error}: run scripts/install-deps"));
        let scheme = if tls.is_some() { "https" } else { "http" };
        let moto = Self { child, endpoint: format!("{scheme}://127.0.0.1:{port}"), _ports: ports };
        let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
        assert!(wait_until(Duration::from_secs(60), answers), "moto does not answer");
        let made = Command::new("curl")
            .args(["-sSkf", "-X", "PUT", &format!("{}/{BUCKET}", moto.endpoint)])
            .output();
        let made = made.unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        moto
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
