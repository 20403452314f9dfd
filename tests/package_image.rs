//! The OCI image: what is in it, and that everything works inside of it, on a read-only root, by a user that no file knows,
//! without a capability, as the first process.

#[path = "package_image/backups.rs"]
mod backups;
#[path = "package_image/container.rs"]
mod container;
mod package;
#[path = "storage/server.rs"]
mod server;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use container::{Container, Image};
use package::{package, run};
use server::{KEY_ID, SECRET};
use support::cli::Running;

/// A kubelet waits 30 s before it kills.
const GRACE: Duration = Duration::from_secs(30);

static IMAGE: LazyLock<Image> = LazyLock::new(|| Image::unpack(&package("oci", 1)));

/// What a program loads, asked of the loader in the image itself.
fn loaded(program: &str) -> BTreeSet<String> {
    let root = IMAGE.root();
    let loader = fs::read_dir(root.join("usr/lib64")).unwrap().next().unwrap().unwrap().file_name();
    let loader = format!("/usr/lib64/{}", loader.to_str().unwrap());
    let listed = run("chroot", &[root.to_str().unwrap(), &loader, "--list", program]);
    assert!(!listed.contains("not found"), "{listed}");
    let files =
        listed.lines().filter_map(|line| Some(line.split_once(" => ")?.1.split(' ').next()?.to_owned()));
    let files = files.map(|file| if file.starts_with("/usr") { file } else { format!("/usr{file}") });
    files.chain([loader]).collect()
}

#[test]
#[ignore = "needs root, and the packages of scripts/install-deps"]
fn it_has_the_libraries_of_its_programs_and_no_other() {
    let root = IMAGE.root();
    let found =
        run("find", &[root.to_str().unwrap(), "-type", "f", "-path", "*/usr/lib*", "-printf", "/%P\n"]);
    let found: BTreeSet<String> = found.lines().map(ToOwned::to_owned).collect();
    let wanted: BTreeSet<String> =
        loaded("/usr/bin/garbd").union(&loaded("/usr/bin/install")).cloned().collect();
    assert_eq!(found, wanted);
    let programs =
        run("find", &[root.to_str().unwrap(), "-type", "f", "-path", "*bin/*", "-printf", "/%P\n"]);
    assert_eq!(programs.lines().collect::<BTreeSet<_>>(), ["/usr/bin/garbd", "/usr/bin/install"].into());
    for package in ["galera-arbitrator-4", "libc6", "libssl3", "ca-certificates"] {
        let status = fs::read_to_string(root.join("var/lib/dpkg/status.d").join(package)).unwrap();
        assert!(
            status.starts_with(&format!("Package: {package}\nStatus: install ok installed\n")),
            "{status}"
        );
        assert!(root.join("usr/share/doc").join(package).join("copyright").is_file(), "{package}");
    }
    let authorities = fs::read_to_string(root.join("etc/ssl/certs/ca-certificates.crt")).unwrap();
    assert!(authorities.matches("-----BEGIN CERTIFICATE-----\n").count() > 100);
    assert_eq!(IMAGE.config["config"]["User"], "999:999");
}

#[test]
#[ignore = "needs root, and the packages of scripts/install-deps"]
fn it_is_the_same_every_time() {
    let again = Image::unpack(&package("oci", 2));
    assert_eq!(again.digest, IMAGE.digest);
    assert_eq!(fs::read(package("oci", 1)).unwrap(), fs::read(package("oci", 2)).unwrap());
}

#[test]
#[ignore = "needs root, and the packages of scripts/install-deps"]
fn its_programs_start_and_the_program_is_copied_into_a_volume() {
    let version = IMAGE.container("--version").run();
    assert_eq!(version.done(), concat!("wsrep_sst_backup ", env!("CARGO_PKG_VERSION"), "\n"));
    let garbd = IMAGE.container("--version").program("garbd").run();
    let status = fs::read_to_string(IMAGE.root().join("var/lib/dpkg/status.d/galera-arbitrator-4")).unwrap();
    // "26.4.23-0+deb12u1" of Debian is "4.23.r…" of garbd.
    let package = status.lines().find_map(|line| line.strip_prefix("Version: 26.")).unwrap();
    let (wanted, _) = package.split_once('-').unwrap();
    assert!(
        garbd.status == Some(0) && format!("{}{}", garbd.stdout, garbd.stderr).contains(wanted),
        "{garbd:?}"
    );

    let volume = support::cli::open_folder();
    fs::set_permissions(volume.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let place = volume.path().display();
    // The line of the init container.
    let line = format!("-m 0755 /tool/wsrep_sst_backup /tool/release-donor {place}/");
    IMAGE.container(&line).program("install").mount(volume.path()).run().done();
    let copied = Command::new(volume.path().join("wsrep_sst_backup")).arg("--version").output().unwrap();
    assert_eq!(String::from_utf8_lossy(&copied.stdout), version.stdout);
    let script = fs::read(volume.path().join("release-donor")).unwrap();
    assert_eq!(
        script,
        fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/release-donor")).unwrap()
    );
}

/// Sends SIGTERM when `wait` is over; how it ended, and what it said.
fn told_to_end(container: &Container<'_>, wait: impl FnOnce(&mut Running)) -> (Option<i32>, String) {
    let ready = container.ready();
    let mut running = ready.command().start();
    wait(&mut running);
    let status = fs::read_to_string(format!("/proc/{}/status", ready.pid())).unwrap();
    assert!(status.lines().any(|line| line.starts_with("NSpid:") && line.ends_with("\t1")), "{status}");
    assert!(status.contains(&format!("\nUid:\t{}\t", container.user.0)), "{status}");
    for capabilities in ["CapPrm", "CapEff", "CapBnd", "CapAmb"] {
        assert!(status.contains(&format!("\n{capabilities}:\t0000000000000000\n")), "{status}");
    }
    let begun = Instant::now();
    ready.signal("TERM");
    let answer = running.finish();
    assert!(begun.elapsed() < GRACE, "{:?}: {}", begun.elapsed(), answer.stderr);
    (answer.status, answer.stderr)
}

#[test]
#[ignore = "needs root, and the packages of scripts/install-deps"]
fn as_the_first_process_it_ends_when_it_is_told_to() {
    let line = "backup --cluster=c --address=gcomm://127.0.0.1:9 --listen=127.0.0.1:4999 --repository=/tmp";
    let (status, said) =
        told_to_end(&IMAGE.container(line), |running| running.wait_said("garbd joins the cluster"));
    assert_eq!(status, Some(1), "{said}");
    assert!(said.contains("interrupted"), "{said}");
}

/// Such a command does nothing about signals, and the kernel gives a first process none by itself.
#[test]
#[ignore = "needs root, and the packages of scripts/install-deps"]
fn as_the_first_process_a_short_command_that_waits_for_a_bucket_ends_too() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let container = IMAGE
        .container("list --repository=s3://bucket/p")
        .env("WSREP_SST_BACKUP_S3_ENDPOINT", &format!("http://{}", silent.local_addr().unwrap()))
        .env("WSREP_SST_BACKUP_S3_ACCESS_KEY_ID", KEY_ID)
        .env("WSREP_SST_BACKUP_S3_SECRET_ACCESS_KEY", SECRET);
    let mut asked = None;
    let (status, said) = told_to_end(&container, |_| asked = Some(silent.accept().unwrap()));
    assert_eq!((status, said.as_str()), (Some(128 + 15), ""));
}
