//! One run of a command of the administrator's: under a limit of time, in a process group that ends with it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::config::CommandWords;

/// Between two looks.
const LOOK: Duration = Duration::from_millis(2);
/// No answer is longer, bytes.
const LONGEST: u64 = 1 << 20;
/// No line of stderr is longer, bytes.
const LONGEST_LINE: u64 = 4 << 10;
/// How long what a command has written may take to arrive when it has ended: something it has left behind may hold the pipe.
const LATE: Duration = Duration::from_secs(1);
/// What finds programs; that of whoever asks is not trusted.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One run.
pub(super) struct CommandRun<'a> {
    /// The name of its setting.
    pub(super) name: &'static str,
    pub(super) words: &'a CommandWords,
    pub(super) environment: Vec<(&'static str, OsString)>,
    pub(super) limit: Duration,
}

impl CommandRun<'_> {
    /// What it prints, where it ends with success; else why not. `goes_on` is asked all the time, `say` gets each line of its stderr.
    pub(super) fn run(
        &self,
        goes_on: &mut dyn FnMut() -> bool,
        say: &mut dyn FnMut(&str),
    ) -> Result<String, String> {
        let Self { name, words, limit, .. } = self;
        let failed = |error: io::Error| format!("{name} '{words}' cannot be started: {error}");
        let mut child = Command::new(words.program())
            .args(words.arguments())
            .env_clear()
            .env("PATH", PATH)
            .env("LC_ALL", "C")
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .current_dir("/")
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(failed)?;
        let (output, lines) = listen(&mut child).map_err(failed)?;
        let begun = Instant::now();
        let outcome = loop {
            for line in lines.try_iter() {
                say(&line);
            }
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) if begun.elapsed() >= *limit => {
                    break Err(format!(
                        "{name} has not ended within {} s (snapshot-timeout), and was killed",
                        limit.as_secs()
                    ));
                }
                Ok(None) if !goes_on() => {
                    break Err(format!("{name} was killed: its outcome is not waited for any more"));
                }
                Ok(None) => std::thread::sleep(LOOK),
                Err(error) => break Err(format!("{name}: {error}")),
            }
        };
        // Also what it has started and left, where that is in its group: a mount helper that stays has a session of its own.
        end(&mut child);
        let output = output.recv_timeout(LATE);
        let until = Instant::now() + LATE;
        while let Ok(line) = lines.recv_timeout(until.saturating_duration_since(Instant::now())) {
            say(&line);
        }
        let status = outcome?;
        if !status.success() {
            return Err(format!("{name} has failed: {}", told(status)));
        }
        let output = output.map_err(|_| {
            format!("what {name} has printed is not there: something that it has started holds its stdout")
        })?;
        if output.len() as u64 > LONGEST {
            return Err(format!("{name} has printed more than {LONGEST} bytes"));
        }
        String::from_utf8(output).map_err(|_| format!("{name} has printed what is not UTF-8"))
    }
}

fn told(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("ended by signal {signal}"),
        (None, None) => "it has ended".into(),
    }
}

/// Kills the whole group, and waits for the one that was started.
fn end(child: &mut Child) {
    if let Ok(group) = i32::try_from(child.id()) {
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    let begun = Instant::now();
    // One in a disk that hangs does not end before that answers.
    while matches!(child.try_wait(), Ok(None)) && begun.elapsed() < LATE {
        std::thread::sleep(LOOK);
    }
}

type CommandOutput = (Receiver<Vec<u8>>, Receiver<String>);

/// Its stdout as a whole when it is closed, and the lines of its stderr as they come.
fn listen(child: &mut Child) -> io::Result<CommandOutput> {
    let gone = || io::Error::other("its output is not there");
    let (stdout, stderr) = (child.stdout.take().ok_or_else(gone)?, child.stderr.take().ok_or_else(gone)?);
    let ((all, output), (line, lines)) = (channel(), channel());
    std::thread::Builder::new().name("stdout".into()).spawn(move || {
        let mut bytes = Vec::new();
        let mut stdout = stdout;
        let read = stdout.by_ref().take(LONGEST + 1).read_to_end(&mut bytes);
        // What is too much is not kept, and does not hold up the command either.
        let _ = io::copy(&mut stdout, &mut io::sink());
        if read.is_ok() {
            let _ = all.send(bytes);
        }
    })?;
    std::thread::Builder::new().name("stderr".into()).spawn(move || {
        let mut stderr = BufReader::new(stderr);
        loop {
            let mut bytes = Vec::new();
            match stderr.by_ref().take(LONGEST_LINE).read_until(b'\n', &mut bytes) {
                Ok(0) | Err(_) => return,
                Ok(_) => _ = line.send(String::from_utf8_lossy(&bytes).trim_end().to_owned()),
            }
        }
    })?;
    Ok((output, lines))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn run(script: &str, limit: Duration, goes_on: bool) -> (Result<String, String>, Vec<String>, Duration) {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("command");
        fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let words = CommandWords::parse(&format!("{} a b", program.display())).unwrap();
        let environment = vec![("SNAPSHOT_NAME", OsString::from("n"))];
        let run = CommandRun { name: "snapshot-command", words: &words, environment, limit };
        let (mut said, begun) = (Vec::new(), Instant::now());
        let outcome = run.run(&mut || goes_on, &mut |line| said.push(line.to_owned()));
        (outcome, said, begun.elapsed())
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn it_has_its_own_environment_and_what_it_prints_is_the_answer() {
        let (outcome, said, _) = run("echo one >&2; env | sort; echo \"$@\"", LONG, true);
        let outcome = outcome.unwrap();
        assert_eq!(said, ["one"]);
        let names: Vec<&str> = outcome.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
        assert_eq!(names, ["LC_ALL", "PATH", "PWD", "SNAPSHOT_NAME"], "{outcome}");
        assert!(outcome.ends_with("\na b\n"), "{outcome}");
    }

    #[test]
    fn it_ends_with_its_group_when_its_time_is_over_or_nobody_waits() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let hang = format!("sleep 600 & echo $! > {}; wait", pid.display());
        for (limit, goes_on, text) in [
            (
                Duration::from_millis(500),
                true,
                "snapshot-command has not ended within 0 s (snapshot-timeout)",
            ),
            (LONG, false, "is not waited for any more"),
        ] {
            let _ = fs::remove_file(&pid);
            let (outcome, _, took) = run(&hang, limit, goes_on);
            let why = outcome.unwrap_err();
            assert!(why.contains(text) && took < LONG / 2, "{why} {took:?}");
            if let Ok(pid) = fs::read_to_string(&pid) {
                let stat = fs::read_to_string(format!("/proc/{}/stat", pid.trim())).unwrap_or_default();
                assert!(stat.is_empty() || stat.contains(") Z"), "{stat}");
            }
        }
    }

    #[test]
    fn what_is_no_success_is_told() {
        for (script, text) in [
            ("exit 3", "snapshot-command has failed: exit status 3"),
            ("kill -9 $$", "snapshot-command has failed: ended by signal 9"),
            ("printf '\\377'", "has printed what is not UTF-8"),
            ("head -c 1048577 /dev/zero", "has printed more than 1048576 bytes"),
            ("setsid sleep 3 & sleep 0.5", "holds its stdout"),
        ] {
            let (outcome, ..) = run(script, LONG, true);
            let why = outcome.unwrap_err();
            assert!(why.contains(text), "{script}: {why}");
        }
        let missing = CommandWords::parse("/nowhere/command").unwrap();
        let run =
            CommandRun { name: "snapshot-command", words: &missing, environment: Vec::new(), limit: LONG };
        let why = run.run(&mut || true, &mut |_| ()).unwrap_err();
        assert!(why.contains("'/nowhere/command' cannot be started: No such file"), "{why}");
    }
}
