//! A machine that an administrator sits at, as far as the runbooks need it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::book;
use super::support::{Cluster, LogMark, Node, PATIENCE, Replica, Server};

/// Puts down what is wanted and waits for the answer of the test, which owns the servers.
const ASK: &str = r#"#!/bin/sh
echo "$(basename "$0") $*" > "$MACHINE/wanted.new" && mv "$MACHINE/wanted.new" "$MACHINE/wanted"
while ! [ -e "$MACHINE/done" ]; do sleep 0.05; done
rm "$MACHINE/done"
"#;

/// How long a runbook may take.
const LIMIT: Duration = Duration::from_secs(240);

/// What runs on the machine.
#[derive(Debug, Clone, Copy)]
pub enum Host<'a> {
    /// A node of the cluster.
    Node(&'a Node),
    /// A server outside.
    Server(&'a Replica),
}

impl Host<'_> {
    fn server(&self) -> &Server {
        match self {
            Host::Node(node) => node,
            Host::Server(server) => server,
        }
    }

    /// What the unit of the service does: it has started when the node is Synced, or the server answers.
    fn start(&self, new_cluster: bool) {
        match self {
            Host::Node(node) => {
                node.start(new_cluster);
                node.wait_synced(PATIENCE);
            }
            Host::Server(server) => server.start(),
        }
    }

    fn serve(&self, wanted: &str) {
        match wanted.trim_end() {
            "systemctl start mariadb" => self.start(false),
            "galera_new_cluster" => self.start(true),
            "systemctl stop mariadb" => {
                if self.server().is_running() {
                    self.server().stop();
                }
            }
            // `check` asks for the units of the package, which is not installed here.
            other if other.starts_with("systemctl show --property=UnitFileState ") => {}
            other => panic!("a runbook wants '{other}'"),
        }
    }
}

/// The machine with its folder of commands.
#[derive(Debug)]
pub struct Machine<'a> {
    host: Host<'a>,
    folder: PathBuf,
    since: LogMark,
}

impl<'a> Machine<'a> {
    /// The machine of a server.
    pub fn of(cluster: &Cluster, host: Host<'a>) -> Self {
        let server = host.server();
        let folder = cluster.make_dir(&format!("machine-{}", server.name()));
        fs::create_dir_all(folder.join("bin")).unwrap();
        fs::write(
            folder.join(".my.cnf"),
            format!("[client]\nuser=root\nsocket={}\n", server.socket().display()),
        )
        .unwrap();
        let program = format!(
            "#!/bin/sh\nexec '{}' \"$@\" --defaults-file='{}'\n",
            cluster.program().display(),
            server.cnf().display()
        );
        let log = format!("#!/bin/sh\ncat '{}'\n", folder.join("journal").display());
        for (name, text) in [
            ("systemctl", ASK),
            ("galera_new_cluster", ASK),
            ("journalctl", &log),
            ("wsrep_sst_backup", &program),
        ] {
            command(&folder.join("bin").join(name), text);
        }
        Self { host, since: server.log_mark(), folder }
    }

    /// Runs all blocks of a step in one shell, as they are pasted; what they printed.
    pub fn run(&self, step: &str, values: &[(&str, &str)]) -> String {
        let script = book::script(step, values);
        let (said, file) = (self.folder.join("said"), self.folder.join("script"));
        fs::write(&file, &script).unwrap();
        let out = fs::File::create(&said).unwrap();
        let mut shell = Command::new("sh")
            .arg("-eu")
            .arg(&file)
            .env_clear()
            .env("PATH", format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", self.folder.join("bin").display()))
            .env("HOME", &self.folder)
            .env("MACHINE", &self.folder)
            .current_dir(&self.folder)
            .stdin(Stdio::null())
            .stdout(out.try_clone().unwrap())
            .stderr(out)
            .spawn()
            .unwrap();
        let end = Instant::now() + LIMIT;
        let status = loop {
            self.look();
            if let Some(status) = shell.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                let _ = shell.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        };
        let said = fs::read_to_string(said).unwrap();
        assert!(status.success(), "{step} failed with {status}:\n{script}\n--- it said:\n{said}");
        said
    }

    /// Does what a command of the machine wants.
    fn look(&self) {
        let place = self.folder.join("wanted");
        let Ok(wanted) = fs::read_to_string(&place) else { return };
        fs::remove_file(&place).unwrap();
        self.host.serve(&wanted);
        fs::write(self.folder.join("journal"), self.host.server().log_since(self.since)).unwrap();
        fs::write(self.folder.join("done"), "").unwrap();
    }
}

/// Written by `cp`, as every program that is started at once (see `copy_program`).
fn command(place: &Path, text: &str) {
    let draft = place.with_extension("draft");
    fs::write(&draft, text).unwrap();
    fs::set_permissions(&draft, fs::Permissions::from_mode(0o755)).unwrap();
    super::support::copy_program(&draft, place);
    fs::remove_file(&draft).unwrap();
}
