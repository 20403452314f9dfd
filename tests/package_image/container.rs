//! The image as a runtime of containers sees it: unpacked, every digest compared, and run by `crun`.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};

use crate::package::run;
use crate::support::cli::{Answer, Cli, cli};

/// A user that no file of the image knows.
const NOBODY_KNOWS: (u32, u32) = (54_321, 54_322);

/// An image that lies in a folder.
pub(crate) struct Image {
    folder: tempfile::TempDir,
    /// What its configuration says.
    pub(crate) config: Value,
    /// The digest of its manifest, which registries name it by.
    pub(crate) digest: String,
}

impl Image {
    /// Unpacks the layout and the one layer in it, both as they were written.
    pub(crate) fn unpack(file: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir(at("layout")).unwrap();
        fs::create_dir(at("root")).unwrap();
        run("tar", &["-xf", &file.display().to_string(), "-C", &at("layout")]);
        let layout = folder.path().join("layout");
        let version: Value = read(&layout.join("oci-layout"));
        assert_eq!(version["imageLayoutVersion"], "1.0.0");
        let index: Value = read(&layout.join("index.json"));
        assert_eq!(index["manifests"].as_array().unwrap().len(), 1);
        let manifest: Value = read(&blob(&layout, &index["manifests"][0]));
        let config: Value = read(&blob(&layout, &manifest["config"]));
        assert_eq!(manifest["layers"].as_array().unwrap().len(), 1);
        let layer = blob(&layout, &manifest["layers"][0]);
        let tar = folder.path().join("layer.tar");
        let unzipped = File::create(&tar).unwrap();
        assert!(Command::new("gzip").arg("-dc").arg(&layer).stdout(unzipped).status().unwrap().success());
        assert_eq!(config["rootfs"]["diff_ids"], json!([digest_of(&tar)]));
        run("tar", &["-xpf", &at("layer.tar"), "--same-owner", "-C", &at("root")]);
        let digest = index["manifests"][0]["digest"].as_str().unwrap().to_owned();
        Self { folder, config, digest }
    }

    /// Its root.
    pub(crate) fn root(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// A container of it: the program with the words of a line, as a user that has no name, on the network of this machine.
    pub(crate) fn container(&self, line: &str) -> Container<'_> {
        let words = |name: &str| self.config["config"][name].as_array().cloned().unwrap_or_default();
        let args = words("Entrypoint").into_iter().chain(line.split_whitespace().map(Value::from)).collect();
        Container { image: self, args, env: words("Env"), mounts: Vec::new(), user: NOBODY_KNOWS }
    }
}

fn read(file: &Path) -> Value {
    serde_json::from_slice(&fs::read(file).unwrap()).unwrap()
}

/// "sha256:…" of a file.
fn digest_of(file: &Path) -> String {
    let said = run("sha256sum", &["--", &file.display().to_string()]);
    format!("sha256:{}", said.split(' ').next().unwrap())
}

/// The file of a descriptor, of the length and with the digest that it says.
fn blob(layout: &Path, descriptor: &Value) -> PathBuf {
    let digest = descriptor["digest"].as_str().unwrap();
    let file = layout.join("blobs").join(digest.replace(':', "/"));
    assert_eq!(digest_of(&file), digest);
    assert_eq!(Some(file.metadata().unwrap().len()), descriptor["size"].as_u64());
    file
}

/// A container about to be started.
pub(crate) struct Container<'a> {
    image: &'a Image,
    args: Vec<Value>,
    env: Vec<Value>,
    mounts: Vec<Value>,
    /// User and group.
    pub(crate) user: (u32, u32),
}

impl Container<'_> {
    /// Another program than the image's entry point.
    pub(crate) fn program(mut self, program: &str) -> Self {
        self.args[0] = program.into();
        self
    }

    /// An environment variable.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push(format!("{name}={value}").into());
        self
    }

    /// Another user.
    pub(crate) fn user(mut self, uid: u32, gid: u32) -> Self {
        self.user = (uid, gid);
        self
    }

    /// A folder of this machine at the same path.
    pub(crate) fn mount(mut self, folder: &Path) -> Self {
        self.mounts.push(json!({
            "destination": folder, "type": "bind", "source": folder, "options": ["rbind", "rw", "nosuid", "nodev"]
        }));
        self
    }

    /// As a kubelet starts it, of the strictest kind: see the manifests in `doc/kubernetes.md`.
    fn specification(&self) -> Value {
        let none = json!([]);
        let mut mounts = vec![
            json!({"destination": "/proc", "type": "proc", "source": "proc"}),
            json!({"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]}),
            json!({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "nodev", "mode=1777"]}),
        ];
        mounts.extend(self.mounts.iter().cloned());
        json!({
            "ociVersion": "1.0.2",
            "process": {
                "terminal": false,
                "user": {"uid": self.user.0, "gid": self.user.1},
                "args": self.args,
                "env": self.env,
                "cwd": self.image.config["config"]["WorkingDir"],
                "capabilities": {"bounding": none, "effective": none, "inheritable": none, "permitted": none, "ambient": none},
                "noNewPrivileges": true
            },
            "root": {"path": self.image.root(), "readonly": true},
            "hostname": "pod",
            "mounts": mounts,
            "linux": {"namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "ipc"}, {"type": "uts"}]}
        })
    }

    /// The folder that `crun` reads, and the command that starts it.
    pub(crate) fn ready(&self) -> Ready {
        let bundle = tempfile::Builder::new().prefix("wsb-pod-").tempdir().unwrap();
        fs::write(bundle.path().join("config.json"), self.specification().to_string()).unwrap();
        Ready { bundle }
    }

    /// Runs it to its end.
    pub(crate) fn run(&self) -> Answer {
        self.ready().command().run()
    }
}

/// A container with its folder.
pub(crate) struct Ready {
    bundle: tempfile::TempDir,
}

impl Ready {
    /// A line for `crun` about this container. It makes no groups of processes; that of Debian 12 refuses even so to run where there are
    /// both kinds of them, so it sees neither.
    fn crun(&self, line: &str) -> Cli {
        let state = self.bundle.path().join("state");
        let name = self.bundle.path().file_name().unwrap().to_owned();
        let alone = "mount -t tmpfs none /sys/fs/cgroup && exec crun --cgroup-manager=disabled --root \"$@\"";
        let crun = cli("--mount --propagation private sh -c").own_defaults().program("/usr/bin/unshare");
        let crun = crun.arg(alone).arg("crun").arg(state);
        line.split_whitespace().fold(crun, Cli::arg).arg(name)
    }

    /// What starts it, and ends when it has ended.
    pub(crate) fn command(&self) -> Cli {
        self.crun(&format!("run --bundle {}", self.bundle.path().display()))
    }

    /// A signal for its first process, as a kubelet sends it.
    pub(crate) fn signal(&self, name: &str) {
        let sent = self.crun("kill").arg(name).run();
        assert_eq!(sent.status, Some(0), "{}", sent.stderr);
    }

    /// Its first process, by this machine's number.
    pub(crate) fn pid(&self) -> u32 {
        let state: Value = serde_json::from_str(&self.crun("state").run().stdout).unwrap();
        u32::try_from(state["pid"].as_u64().unwrap()).unwrap()
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        let _ = self.crun("delete --force").run();
    }
}
