//! Where a server's programs are: on this machine, or in the small Debian with another version of the server that `scripts/servers` makes.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A root directory with a server; by default that of this machine.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Root(Option<PathBuf>);

impl Root {
    /// One whose server is of this series, such as `11.8`: made where it is missing, and this machine's own where its server is of it.
    pub fn of(series: &str) -> Self {
        let output = Command::new(script("servers"))
            .args(["--root", series])
            .stdin(Stdio::null())
            .stderr(Stdio::inherit())
            .output()
            .expect("cannot run scripts/servers");
        assert!(output.status.success(), "scripts/servers made no server {series}");
        let path = String::from_utf8(output.stdout).expect("a path of UTF-8").trim_end().to_owned();
        Self((!path.is_empty()).then(|| path.into()))
    }

    /// A command in it, with this environment and no other.
    pub fn command<'a>(&self, program: &str, env: impl IntoIterator<Item = (&'a str, &'a str)>) -> Command {
        let Some(root) = &self.0 else {
            let mut command = Command::new(program);
            command.env_clear().envs(env);
            return command;
        };
        let mut command = Command::new(script("on-server"));
        command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").arg(root).args(["env", "-i"]);
        command.args(env.into_iter().map(|(name, value)| format!("{name}={value}"))).arg(program);
        command
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(name)
}
