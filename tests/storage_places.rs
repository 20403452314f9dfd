//! Where the key, the trust and the address of a bucket come from: services, files, names; seen by the program itself.

#[path = "storage/server.rs"]
mod server;
mod support;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use server::{BUCKET, FileServer, KEY_ID, Moto, SECRET};
use support::cli::{Cli, cli};
use support::openssl;
use wsrep_sst_backup::config::S3Settings;
use wsrep_sst_backup::storage::{S3Storage, Storage};

/// `list` of an empty bucket, without a key.
fn list(endpoint: &str) -> Cli {
    cli("list --repository s3://bucket/p").env("WSREP_SST_BACKUP_S3_ENDPOINT", endpoint)
}

fn with_key(list: Cli) -> Cli {
    list.env("AWS_ACCESS_KEY_ID", KEY_ID).env("AWS_SECRET_ACCESS_KEY", SECRET)
}

/// Answers every request with what `say` has for its path.
fn service(say: fn(&str) -> String) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for mut client in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let count = client.read(&mut request).unwrap_or(0);
            let text = String::from_utf8_lossy(&request[..count]).into_owned();
            let body = say(text.split(' ').nth(1).unwrap_or_default());
            let head =
                format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            let _ = client.write_all(format!("{head}{body}").as_bytes());
        }
    });
    address
}

/// A key that is good until 2099, as container and instance services write it.
fn key_document() -> String {
    format!(
        r#"{{"Code":"Success","AccessKeyId":"{KEY_ID}","SecretAccessKey":"{SECRET}","Token":"t","Expiration":"2099-01-01T00:00:00Z"}}"#
    )
}

#[test]
fn keys_come_from_the_container_the_instance_and_profile_files() {
    let server = FileServer::start();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.display().to_string()
    };
    let container = service(|_| key_document());
    list(&server.endpoint())
        .env("AWS_CONTAINER_CREDENTIALS_FULL_URI", format!("http://{container}/key"))
        .env("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file("token", "t"))
        .run()
        .done();
    let instance = service(|path| match path.rsplit('/').next() {
        Some("token") => "token".into(),
        Some("") => "role".into(),
        _ => key_document(),
    });
    list(&server.endpoint())
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{instance}"))
        .run()
        .done();
    let profile = format!("[p]\naws_access_key_id={KEY_ID}\naws_secret_access_key={SECRET}\n");
    list(&server.endpoint())
        .env("AWS_SHARED_CREDENTIALS_FILE", file("credentials", &profile))
        .env("WSREP_SST_BACKUP_S3_PROFILE", "p")
        .run()
        .done();
    with_key(list(&server.endpoint())).run().done();
}

/// Gives keys that end in so short a time that the next one is asked for at once, until it is ended.
struct KeyService {
    address: SocketAddr,
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl KeyService {
    fn start(address: &str) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let is_over = Arc::new(AtomicBool::new(false));
        let over = Arc::clone(&is_over);
        let thread = std::thread::spawn(move || {
            for mut client in listener.incoming().flatten() {
                if over.load(Ordering::Relaxed) {
                    return;
                }
                let _ = client.read(&mut [0; 4096]);
                let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_secs(120);
                let body =
                    key_document().replace("2099-01-01T00:00:00Z", &soon.strftime("%FT%TZ").to_string());
                let head =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
                let _ = client.write_all(format!("{head}{body}").as_bytes());
            }
        });
        Self { address, is_over, thread }
    }

    /// Nothing listens there any more.
    fn end(self) -> SocketAddr {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        self.thread.join().unwrap();
        self.address
    }
}

/// A bucket whose keys come from such a service.
struct KeyedBucket {
    server: FileServer,
    keys: SocketAddr,
    token: PathBuf,
    _folder: tempfile::TempDir,
}

impl KeyedBucket {
    fn start() -> (Self, KeyService) {
        let (folder, keys) = (tempfile::tempdir().unwrap(), KeyService::start("127.0.0.1:0"));
        let token = folder.path().join("token");
        std::fs::write(&token, "t").unwrap();
        (Self { server: FileServer::start(), keys: keys.address, token, _folder: folder }, keys)
    }

    fn storage(&self, stall: Duration) -> S3Storage {
        let settings = S3Settings { endpoint: Some(self.server.endpoint()), ..S3Settings::default() };
        let variable = |name: &str| match name {
            "AWS_CONTAINER_CREDENTIALS_FULL_URI" => Some(format!("http://{}/key", self.keys)),
            "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE" => Some(self.token.display().to_string()),
            _ => None,
        };
        S3Storage::new(BUCKET, "p", &settings, stall, &variable).unwrap()
    }
}

/// Longer than a key that was just given is taken once more.
fn until_the_key_is_asked_for_again() {
    std::thread::sleep(Duration::from_millis(150));
}

#[test]
fn a_service_that_has_given_a_key_is_waited_for_while_it_is_started_anew() {
    let (bucket, keys) = KeyedBucket::start();
    let storage = bucket.storage(Duration::from_secs(25));
    storage.claim("c").unwrap();
    let address = keys.end();
    until_the_key_is_asked_for_again();
    let away = Duration::from_secs(2);
    let back = std::thread::spawn(move || {
        std::thread::sleep(away);
        KeyService::start(&address.to_string())
    });
    let begun = Instant::now();
    storage.put("c/x", b"1").unwrap();
    assert!(begun.elapsed() >= away, "{:?}", begun.elapsed());
    // One that does not come back is given up in the time of any operation.
    back.join().unwrap().end();
    let impatient = bucket.storage(Duration::from_secs(5));
    let told = impatient.put("c/y", b"1").unwrap_err().to_string();
    assert!(told.contains("no credentials: the service that gives keys: cannot connect to "), "{told}");
    until_the_key_is_asked_for_again();
    let begun = Instant::now();
    let told = storage.put("c/y", b"1").unwrap_err().to_string();
    let took = begun.elapsed();
    assert!(told.contains("see that it runs") && told.contains("(given up after "), "{told}");
    assert!(took > Duration::from_secs(3) && took <= Duration::from_secs(12), "{took:?}");
}

/// A process that has to end has 10 s for all of it.
#[test]
fn an_upload_that_is_given_up_does_not_wait_for_a_key() {
    let (bucket, keys) = KeyedBucket::start();
    let storage = bucket.storage(Duration::from_secs(600));
    storage.claim("c").unwrap();
    let mut writer = storage.create("c/x").unwrap();
    // The upload begins with the second part.
    writer.write_all(&vec![7; (8 << 20) + 1]).unwrap();
    keys.end();
    until_the_key_is_asked_for_again();
    let begun = Instant::now();
    drop(writer);
    let took = begun.elapsed();
    assert!(took > Duration::from_millis(500) && took < Duration::from_secs(10), "{took:?}");
}

#[test]
fn a_key_that_nobody_has_is_told_at_once() {
    let server = FileServer::start();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    list(&server.endpoint())
        .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{gone}"))
        .run()
        .fails_with(1, "no credentials: the service that gives keys: ");
    list(&server.endpoint()).env("AWS_EC2_METADATA_DISABLED", "true").run().fails_with(
        1,
        "cannot use 's3://bucket/p': no credentials: neither s3-access-key-id nor the environment nor",
    );
    list(&server.endpoint())
        .env("WSREP_SST_BACKUP_S3_PROFILE", "p")
        .run()
        .fails_with(1, "there is no profile 'p' in /nonexistent/.aws/config");
}

#[test]
#[ignore = "needs moto"]
fn a_server_is_trusted_only_if_its_authority_is() {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    openssl(at, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca");
    openssl(at, "req -newkey rsa:2048 -nodes -keyout s.key -out s.csr -subj /CN=s3");
    std::fs::write(at.join("s.ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    openssl(
        at,
        "x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -in s.csr -out s.pem -extfile s.ext",
    );
    let server = Moto::start(Some((&at.join("s.pem"), &at.join("s.key"))));
    let trusting = |file: &str| {
        let path = at.join(file).display().to_string();
        with_key(list(&server.endpoint)).env("WSREP_SST_BACKUP_S3_CA_FILE", path).run()
    };
    trusting("ca.pem").done();
    // What is asked beside the library trusts the same: a list of uploads that fails would be warned of.
    with_key(cli("prune --repository s3://bucket/p --keep-last 1"))
        .env("WSREP_SST_BACKUP_S3_ENDPOINT", &server.endpoint)
        .env("WSREP_SST_BACKUP_S3_CA_FILE", at.join("ca.pem").display().to_string())
        .run()
        .done();
    let words = "the server's certificate is not trusted";
    with_key(list(&server.endpoint)).run().fails_with(1, words);
    openssl(at, "req -x509 -newkey rsa:2048 -nodes -keyout x.key -out other.pem -days 2 -subj /CN=other");
    trusting("other.pem").fails_with(1, words);
    let named = server.endpoint.replace("127.0.0.1", "localhost");
    let ca = at.join("ca.pem").display().to_string();
    with_key(list(&named)).env("WSREP_SST_BACKUP_S3_CA_FILE", ca).run().fails_with(1, words);
}

/// A name server that knows every name as 127.0.0.1; DNS messages as RFC 1035, 4.1, has them.
fn name_server(address: Ipv4Addr) {
    let socket = UdpSocket::bind((address, 53)).unwrap();
    std::thread::spawn(move || {
        let mut query = [0; 512];
        while let Ok((count, client)) = socket.recv_from(&mut query) {
            let name_end = 12 + query[12..count].iter().position(|byte| *byte == 0).unwrap_or(0);
            let question_end = name_end + 5;
            let is_a = query[name_end + 1..name_end + 3] == [0, 1];
            let mut answer = query[..question_end].to_vec();
            answer[2..12].copy_from_slice(&[0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
            if is_a {
                answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
            }
            let _ = socket.send_to(&answer, client);
        }
    });
}

/// A root that has nothing but the program and what a resolver reads.
#[test]
#[ignore = "needs root"]
fn names_are_found_without_the_systems_libraries() {
    let server = FileServer::start();
    let root = tempfile::tempdir().unwrap();
    let resolver = Ipv4Addr::new(127, 77, 0, 53);
    name_server(resolver);
    for folder in ["etc", "dev"] {
        std::fs::create_dir(root.path().join(folder)).unwrap();
    }
    // Where a static program gets its random numbers.
    for (name, minor) in [("random", "8"), ("urandom", "9")] {
        let node =
            Command::new("mknod").arg(root.path().join("dev").join(name)).args(["c", "1", minor]).status();
        assert!(node.unwrap().success(), "mknod {name}");
    }
    for (name, text) in [
        ("hosts", "127.0.0.1 storage.in-hosts.test\n".to_owned()),
        ("resolv.conf", format!("nameserver {resolver}\n")),
        ("nsswitch.conf", "hosts: mymachines mdns4_minimal [NOTFOUND=return] resolve\n".to_owned()),
    ] {
        std::fs::write(root.path().join("etc").join(name), text).unwrap();
    }
    support::copy_program(env!("CARGO_BIN_EXE_wsrep_sst_backup"), root.path().join("program"));
    for host in ["storage.in-hosts.test", "storage.in-dns.test", "localhost", "127.0.0.1"] {
        let output = Command::new("chroot")
            .arg(root.path())
            .args(["/program", "list", "--repository", "s3://bucket/p"])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("WSREP_SST_BACKUP_S3_ENDPOINT", format!("http://{host}:{}", server.address.port()))
            .env("AWS_ACCESS_KEY_ID", KEY_ID)
            .env("AWS_SECRET_ACCESS_KEY", SECRET)
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && said.is_empty(), "{host}: {said}");
    }
}
