//! The repository, files and settings as the donor program will see them: the child of [`super::probe`] looks as the server's user.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns};
use nix::unistd::{Gid, Uid, chdir, chroot, fchdir, setgid, setgroups, setuid};

use super::probe::{DonorSettings, ProbeAnswer};
use super::probe_request::{ProbeRequest, ProbeUser};
use super::repository::RepositoryView;
use super::{bucket, files, program, repository, sql};
use crate::capture::{self, free_space, is_replication_state};
use crate::config::{OptionFiles, RepositoryUrl, Settings, SettingsOverrides};
use crate::model::Compression;

/// What our environment variables begin with.
const OURS: &str = "WSREP_SST_BACKUP_";

/// Does what the request asks for.
pub fn look(request: &ProbeRequest) -> ProbeAnswer {
    let entered = request.enter.map_or(Ok(()), enter);
    // Read before root is given up: a program may be executable and not readable.
    let found = program::search(&request.path);
    let became = request.become_user.as_ref().map_or(Ok(()), become_user);
    let astray = entered.err().or(became.err());
    if let Some(datadir) = &request.datadir {
        // The donor program's working directory: relative paths in its options count from there.
        let _ = std::env::set_current_dir(datadir);
    }
    let settings = settings(request);
    let as_server = request.become_user.is_some() && astray.is_none();
    let mut answer = ProbeAnswer {
        programs: program::with_permissions(found),
        astray,
        gcache_free: request.gcache.as_deref().and_then(free_space),
        is_replica: request.datadir.as_deref().is_some_and(is_replica),
        ..ProbeAnswer::default()
    };
    if let (Ok((settings, _)), Some(datadir)) = (&settings, &request.datadir) {
        let look = files::DonorFiles::prepare(request, datadir, settings);
        answer.unfrozen = look.unfrozen();
        // Others may not read what the donor may.
        answer.overlap = look.overlap();
        if as_server {
            let (mut seen, measured) = look.take();
            answer.overlap = answer.overlap.take().or(seen.overlap.take());
            (answer.files, answer.data) = (Some(seen), measured);
        } else {
            answer.data = look.measure();
        }
    }
    if let Ok((settings, _)) = &settings {
        let cluster = settings.cluster.as_deref().or(request.cluster.as_deref());
        answer.repository = match &settings.repository {
            RepositoryUrl::Directory(path) => repository::look(path, cluster, as_server),
            RepositoryUrl::S3 { .. } if as_server => bucket::look(settings, &|name| variable(request, name)),
            RepositoryUrl::S3 { .. } => RepositoryView::default(),
        };
        if let (true, Some(socket)) = (as_server, &request.socket) {
            answer.login = Some(sql::try_donor(settings, socket));
        }
    }
    answer.settings = Some(settings.map(|(settings, warnings)| DonorSettings {
        warnings,
        compressed: settings.compression != Compression::None,
        repository: settings.repository,
        method: settings.method.to_string(),
        cluster: settings.cluster,
        allow_rocksdb: settings.allow_rocksdb,
        limit_rate: settings.limit_rate,
        freeze_timeout: settings.freeze_timeout,
        flush_timeout: settings.flush_timeout,
        allow_sync_donor: settings.allow_sync_donor,
    }));
    answer
}

/// Whether there are files that make a server know a master.
fn is_replica(datadir: &Path) -> bool {
    let names = std::fs::read_dir(datadir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.map(|name| name.to_string_lossy().into_owned()).any(|name| is_replication_state(&name))
}

/// Enters a process's mount namespace and its root directory, and with them sees its file systems.
fn enter(pid: i32) -> Result<(), String> {
    let open = |name: &str| {
        let path = format!("/proc/{pid}/{name}");
        File::open(&path).map_err(|error| format!("cannot open '{path}': {error}"))
    };
    let failed = |what: &str, errno: Errno| format!("cannot enter {what}: {}", std::io::Error::from(errno));
    // In the namespace there need be no /proc, or one of other processes.
    let (namespace, root) = (open("ns/mnt")?, open("root")?);
    setns(namespace, CloneFlags::CLONE_NEWNS)
        .map_err(|errno| failed("the server's mount namespace", errno))?;
    fchdir(&root)
        .and_then(|()| chroot("."))
        .and_then(|()| chdir("/"))
        .map_err(|errno| failed("the server's root directory", errno))
}

fn become_user(identity: &ProbeUser) -> Result<(), String> {
    if nix::unistd::geteuid().as_raw() == identity.uid {
        return Ok(());
    }
    let groups: Vec<Gid> = identity.groups.iter().copied().map(Gid::from_raw).collect();
    setgroups(&groups)
        .and_then(|()| setgid(Gid::from_raw(identity.gid)))
        .and_then(|()| setuid(Uid::from_raw(identity.uid)))
        .map_err(|errno| format!("cannot become user {}: {}", identity.uid, std::io::Error::from(errno)))
}

/// A variable of the server's environment.
fn variable(request: &ProbeRequest, name: &str) -> Option<String> {
    request.environment.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone())
}

/// As the donor program resolves them.
fn settings(request: &ProbeRequest) -> Result<(Settings, Vec<String>), String> {
    let variable = |name: &str| variable(request, name).map(OsString::from);
    let files = OptionFiles::read_with(&request.defaults(), &variable).map_err(|error| error.to_string())?;
    let ours = request.environment.iter().filter(|(name, _)| name.starts_with(OURS)).cloned();
    let flags = SettingsOverrides::default();
    let settings = capture::settings(&files, ours, &flags).map_err(|error| error.to_string())?;
    // Among them: files that this user may not read, which MariaDB's rules pass over.
    let warnings = files.warnings().iter().chain(&settings.warnings).cloned().collect();
    Ok((settings, warnings))
}
