//! The layout of a server with some tables only: every file lies inside the target, wherever it lay on the donor.
//!
//! Such a server is started beside others, often on a node: nothing of it may go to a directory that a running server uses.
//! So the files of `innodb_data_home_dir` and its like come to the top of the target, those of `DATA DIRECTORY` and of links
//! into the folders of their databases, without link and `.isl` file (InnoDB looks in the folder of the database first; seen
//! on 10.11.19, also that `SHOW CREATE TABLE` then knows no `DATA DIRECTORY`, so that a dump cannot bring the table into the
//! scratch directory of another server). Binary logs and the state of replication stay behind.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::table_selection::Chosen;
use super::tables::{Links, TableFile, is_database, is_system, table_files};
use crate::archive::{IDENTITY_MEMBER, Index};
use crate::model::{ArchivePath, Member, MemberKind};

/// Beginnings of names of files that make a server a replica.
const REPLICATION: [&[u8]; 4] = [b"master.info", b"master-", b"multi-master.", b"relay-"];

/// Paths below the data directory, by the places of members in the tar stream.
pub(super) type ServerPaths = BTreeMap<u64, PathBuf>;

/// Members that go elsewhere than their path in the archive says.
#[derive(Debug, Default)]
pub(super) struct RelocatedMembers(BTreeMap<u64, Member>);

impl RelocatedMembers {
    /// Leaves in the index what has a path here, under that path, and the identity of the backup.
    pub(super) fn apply(index: &mut Index, paths: &ServerPaths) -> Self {
        let mut moved = BTreeMap::new();
        index.members.retain_mut(|member| {
            let Some(path) = paths.get(&member.header_offset) else {
                return member.path.as_bytes() == IDENTITY_MEMBER.as_bytes();
            };
            if member.origin.is_some() || member.path.as_path() != path {
                moved.insert(member.header_offset, member.clone());
                member.path = ArchivePath::new(path);
                member.origin = None;
            }
            true
        });
        Self(moved)
    }

    /// The member as the archive has it.
    pub(super) fn stored<'a>(&'a self, member: &'a Member) -> &'a Member {
        self.0.get(&member.header_offset).unwrap_or(member)
    }
}

/// Where everything goes that a server needs which has no other tables than these.
pub(super) fn server_with(index: &Index, chosen: &Chosen<'_>) -> ServerPaths {
    let all = table_files(index);
    let sorter = Sorter {
        links: Links::of(index),
        databases: chosen.files.iter().map(TableFile::database).collect(),
        tables: chosen.files.iter().map(|file| (file.member.header_offset, file.path.as_path())).collect(),
        in_folders: all.iter().map(|file| (file.member.header_offset, file.path.as_path())).collect(),
        binlogs: index.members.iter().filter_map(base_of_binlogs).collect(),
    };
    // What lay elsewhere was in use; a file of that name in the data directory was left over.
    let (first, then): (Vec<&Member>, Vec<&Member>) =
        index.members.iter().partition(|member| member.system_tablespace || member.origin.is_some());
    let mut taken = BTreeSet::new();
    let mut paths = ServerPaths::new();
    for member in first.into_iter().chain(then) {
        let Some(mut path) = sorter.path(member) else { continue };
        if member.kind != MemberKind::Directory && !taken.insert(path.clone()) {
            if !member.system_tablespace {
                continue;
            }
            // Two files of innodb_data_file_path with the same name, in two directories.
            path = PathBuf::from(format!("{}-{}", taken.len(), path.display()));
            taken.insert(path.clone());
        }
        paths.insert(member.header_offset, path);
    }
    paths
}

/// Tells what a server with some tables needs.
struct Sorter<'a> {
    links: Links<'a>,
    /// Those of the wanted tables.
    databases: BTreeSet<&'a [u8]>,
    tables: BTreeMap<u64, &'a Path>,
    /// Everything in folders of databases, wanted or not.
    in_folders: BTreeMap<u64, &'a Path>,
    binlogs: Vec<&'a [u8]>,
}

impl Sorter<'_> {
    /// Where this member goes, if it is needed.
    fn path(&self, member: &Member) -> Option<PathBuf> {
        let path = member.path.as_path();
        match member.kind {
            MemberKind::Symlink | MemberKind::Generated | MemberKind::Pages => None,
            MemberKind::Directory => {
                (member.origin.is_none() && !self.is_in_other_database(path)).then(|| path.to_path_buf())
            }
            MemberKind::File if path.extension().is_some_and(|ending| ending == "isl") => None,
            MemberKind::File => self.path_of_file(member),
        }
    }

    fn path_of_file(&self, member: &Member) -> Option<PathBuf> {
        let path = member.path.as_path();
        if let Some(path) = self.tables.get(&member.header_offset) {
            return Some(path.to_path_buf());
        }
        let seen = self.links.place(member);
        let origin = member.origin.as_ref().map(|origin| origin.path.as_path());
        let name = seen.as_deref().or(origin)?.file_name()?;
        if member.system_tablespace || is_server_file(name.as_bytes()) {
            return Some(name.into());
        }
        if let Some(path) = self.in_folders.get(&member.header_offset) {
            let database = path.parent().map_or(&b""[..], |folder| folder.as_os_str().as_bytes());
            return is_system(database).then(|| path.to_path_buf());
        }
        let stays = member.origin.is_none()
            && (path.components().count() == 1 || !self.is_in_other_database(path))
            && !REPLICATION.iter().any(|start| member.path.as_bytes().starts_with(start))
            && !self.binlogs.iter().any(|base| is_binlog(base, member.path.as_bytes()));
        stays.then(|| path.to_path_buf())
    }

    /// Whether this is below, or is, the folder of a database that is not wanted.
    fn is_in_other_database(&self, path: &Path) -> bool {
        let Some(Component::Normal(first)) = path.components().next() else { return false };
        let name = first.as_bytes();
        is_database(Path::new(first)) && !self.databases.contains(name) && !is_system(name)
    }
}

/// Files of InnoDB and Aria that are no tables: undo tablespaces, redo log, Aria's log.
fn is_server_file(name: &[u8]) -> bool {
    let is_numbered = |start: &[u8]| {
        name.strip_prefix(start).is_some_and(|rest| !rest.is_empty() && rest.iter().all(u8::is_ascii_digit))
    };
    let is_archived = |rest: &[u8]| rest.len() == 16 && rest.iter().all(u8::is_ascii_hexdigit);
    name == b"aria_log_control"
        || name.strip_prefix(b"ib_").and_then(|rest| rest.strip_suffix(b".log")).is_some_and(is_archived)
        || [&b"undo"[..], b"undo_", b"ib_logfile", b"aria_log."].iter().any(|start| is_numbered(start))
}

/// The name of the binary logs without their number, from that of their index.
fn base_of_binlogs(member: &Member) -> Option<&[u8]> {
    let is_index = member.kind == MemberKind::Generated && member.origin.is_none();
    is_index.then(|| member.path.as_bytes().strip_suffix(b".index"))?
}

fn is_binlog(base: &[u8], name: &[u8]) -> bool {
    let number = name.strip_prefix(base).and_then(|rest| rest.strip_prefix(b"."));
    number.is_some_and(|number| number.len() >= 6 && number.iter().all(u8::is_ascii_digit))
}
