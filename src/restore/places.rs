//! Where each member goes.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::unistd::geteuid;

use super::{Request, RestoreError};
use crate::archive::{GRASTATE_MEMBER, IDENTITY_MEMBER, Index, SUMS_MEMBER};
use crate::capture::{group_id, user_id};
use crate::model::{ArchivePath, Manifest, Member, MemberKind, Origin};

/// `--map VAR=DIR`: the files of a variable go to another directory than they came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Map {
    /// A server variable, `data_directory`, or `symlink`.
    pub variable: String,
    /// The new directory, absolute.
    pub directory: PathBuf,
}

impl FromStr for Map {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (variable, directory) = text.split_once('=').ok_or("it has the form VARIABLE=DIRECTORY")?;
        let directory: PathBuf = Path::new(directory).components().collect();
        if variable.trim().is_empty() {
            return Err("it names no variable".into());
        }
        if !directory.is_absolute() {
            return Err(format!("'{}' is not an absolute path", directory.display()));
        }
        Ok(Self { variable: variable.trim().replace('-', "_"), directory })
    }
}

/// Numeric owner of a file on this machine.
pub(super) type Owner = (u32, u32);

/// The plan: destinations, owners, and what has to be written differently than it was.
pub struct Places {
    target: PathBuf,
    /// The data directory on the donor.
    datadir: PathBuf,
    /// (variable, root on the donor) to the directory here.
    roots: BTreeMap<(String, PathBuf), PathBuf>,
    /// Owner of the data, for what we make ourselves; none when this process may not set it.
    owner: Option<Owner>,
    owner_name: String,
    system_tablespaces: Vec<PathBuf>,
}

impl Places {
    /// Plans the destinations of a backup whose data directory was `datadir`; refuses a `--map` that fits nothing.
    pub fn new(datadir: &Path, index: &Index, request: &Request) -> Result<Self, RestoreError> {
        refuse_paths_behind_links(index)?;
        let mut found: BTreeMap<String, BTreeSet<PathBuf>> = BTreeMap::new();
        for origin in index.members.iter().filter_map(|member| member.origin.as_ref()) {
            found.entry(origin.variable.clone()).or_default().insert(origin.root.as_path().to_path_buf());
        }
        let mut roots = BTreeMap::new();
        for (variable, origins) in &found {
            let map = request.maps.iter().rev().find(|map| map.variable == *variable);
            for origin in origins {
                let place = match map {
                    None => origin.clone(),
                    Some(map) if origins.len() == 1 => map.directory.clone(),
                    // Several roots keep their own paths below the new directory.
                    Some(map) => map.directory.join(origin.strip_prefix("/").unwrap_or(origin)),
                };
                roots.insert((variable.clone(), origin.clone()), place);
            }
        }
        for map in &request.maps {
            if !found.contains_key(&map.variable) {
                let known: Vec<&str> = found.keys().map(String::as_str).collect();
                let known = if known.is_empty() {
                    "nothing outside its data directory".into()
                } else {
                    known.join(", ")
                };
                return Err(RestoreError::Usage(format!("--map {}: the backup holds {known}", map.variable)));
            }
        }
        let mut places = Self {
            target: request.target.clone(),
            datadir: datadir.to_path_buf(),
            roots,
            owner: None,
            owner_name: String::new(),
            system_tablespaces: Vec::new(),
        };
        places.system_tablespaces = index
            .members
            .iter()
            .filter(|member| member.system_tablespace)
            .filter_map(|member| places.of(member))
            .collect();
        let data = index.members.iter().find(|member| member.system_tablespace);
        if places.system_tablespaces.is_empty() {
            return Err(RestoreError::Refused("the archive holds no InnoDB system tablespace".into()));
        }
        if let Some(data) = data {
            places.owner_name = data.user.clone().unwrap_or_else(|| data.uid.to_string());
            places.owner = geteuid().is_root().then(|| owner_here(data));
        }
        Ok(places)
    }

    /// The destination of a member; none for what a restore leaves out.
    pub fn of(&self, member: &Member) -> Option<PathBuf> {
        if let Some(origin) = &member.origin {
            return Some(self.of_origin(origin));
        }
        let name = member.path.as_bytes();
        let ours = [IDENTITY_MEMBER, SUMS_MEMBER, GRASTATE_MEMBER].iter().any(|own| own.as_bytes() == name);
        (!ours).then(|| member.path.below(&self.target))
    }

    fn of_origin(&self, origin: &Origin) -> PathBuf {
        let root = origin.root.as_path();
        let key = (origin.variable.clone(), root.to_path_buf());
        let place = self.roots.get(&key).cloned().unwrap_or_else(|| root.to_path_buf());
        // A path that is not below its root would lead anywhere; its name alone is safe.
        let below = origin.path.as_path().strip_prefix(root).map(ArchivePath::new);
        match below {
            Ok(below) if below.as_bytes().is_empty() => place,
            Ok(below) if below.is_contained() => below.below(&place),
            _ => place.join(origin.path.file_name()),
        }
    }

    /// An absolute path of the donor as it is here: what lay below a directory that has moved, moves with
    /// it. None for what stays.
    ///
    /// The directories of `variable` come first: another one may have the same root and go elsewhere, as
    /// `DATA DIRECTORY` of InnoDB (`.isl`) and of MyISAM (links) do. Then all others, because a file that
    /// several links lead to is stored under one of them only; then the data directory itself.
    pub(super) fn translate(&self, variable: &str, path: &Path) -> Option<PathBuf> {
        let roots = |own: bool| {
            self.roots
                .iter()
                .filter(move |((name, _), _)| (name == variable) == own)
                .map(|((_, root), place)| (root, place))
        };
        let longest = |(root, _): &(&PathBuf, &PathBuf)| root.as_os_str().len();
        let above = |(root, _): &(&PathBuf, &PathBuf)| path.starts_with(root);
        let others = roots(false).chain([(&self.datadir, &self.target)]);
        let (root, place) = roots(true)
            .filter(above)
            .max_by_key(longest)
            .or_else(|| others.filter(above).max_by_key(longest))
            .filter(|(root, place)| root != place)?;
        let below = path.strip_prefix(root).unwrap_or(Path::new(""));
        Some(place.join(below).components().collect())
    }

    /// What a small file that holds paths must say here: `.isl` files and the binlog index.
    pub(super) fn rewritten(&self, member: &Member, content: &[u8]) -> Option<Vec<u8>> {
        let is_isl = member.path.as_path().extension().is_some_and(|extension| extension == "isl");
        let variable = match member.kind {
            MemberKind::Generated => "log_bin",
            _ if is_isl => "data_directory",
            _ => return None,
        };
        let mut changed = false;
        let mut text = Vec::new();
        for line in content.split_inclusive(|byte| *byte == b'\n') {
            let (path, end) = line.strip_suffix(b"\n").map_or((line, &b""[..]), |path| (path, &b"\n"[..]));
            match self.translate(variable, Path::new(std::ffi::OsStr::from_bytes(path))) {
                Some(here) => {
                    changed = true;
                    text.extend_from_slice(here.as_os_str().as_bytes());
                }
                None => text.extend_from_slice(path),
            }
            text.extend_from_slice(end);
        }
        changed.then_some(text)
    }

    /// The new data directory.
    pub(super) fn target(&self) -> &Path {
        &self.target
    }

    /// Directories outside the data directory that will be filled.
    pub fn external_roots(&self) -> BTreeSet<PathBuf> {
        self.roots.values().cloned().collect()
    }

    /// (variable, directory on the donor, directory here).
    pub fn external(&self) -> impl Iterator<Item = (&str, &Path, &Path)> {
        self.roots
            .iter()
            .map(|((variable, origin), place)| (variable.as_str(), origin.as_path(), place.as_path()))
    }

    /// The file whose appearance makes a server of the directory.
    pub(super) fn start_file(&self) -> Option<&Path> {
        self.system_tablespaces.first().map(PathBuf::as_path)
    }

    /// Owner for what we make ourselves.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    /// Owner of one member, by name where this machine knows it, else by number.
    pub(super) fn owner_of(&self, member: &Member) -> Option<Owner> {
        self.owner.map(|_| owner_here(member))
    }

    /// Whose the files should be, where this process could not give them away.
    pub(super) fn owner_kept(&self) -> Option<String> {
        let mine =
            user_id(&self.owner_name) == Some(geteuid().as_raw()) || self.owner_name == geteuid().to_string();
        (self.owner.is_none() && !mine).then(|| self.owner_name.clone())
    }
}

/// A member behind a link of the archive's own would be written to wherever the link points. Our
/// archives have none: what a link points to is stored with its origin.
fn refuse_paths_behind_links(index: &Index) -> Result<(), RestoreError> {
    let links: BTreeSet<&Path> = index
        .members
        .iter()
        .filter(|member| member.kind == MemberKind::Symlink)
        .map(|member| member.path.as_path())
        .collect();
    let behind =
        |member: &&Member| member.path.as_path().ancestors().skip(1).any(|above| links.contains(above));
    match index.members.iter().find(behind) {
        Some(member) => {
            let what = "it lies behind a symbolic link of the archive".to_owned();
            Err(RestoreError::Damaged { path: member.path.to_string(), what })
        }
        None => Ok(()),
    }
}

fn owner_here(member: &Member) -> Owner {
    (
        member.user.as_deref().and_then(user_id).unwrap_or(member.uid),
        member.group.as_deref().and_then(group_id).unwrap_or(member.gid),
    )
}

/// A sentence for a manifest of a backup whose positions cannot serve a replica.
pub(super) fn replica_position(manifest: &Manifest) -> Option<&str> {
    manifest.mariadb_gtid.binlog_pos.as_deref().filter(|position| !position.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{BackupId, Compression, FORMAT, IndexHeader, WsrepGtid};

    fn member(path: &str, kind: MemberKind, origin: Option<(&str, &str, &str)>) -> Member {
        let text = format!(
            r#"{{"path":"{path}","kind":"file","mode":432,"uid":0,"gid":0,"mtime":0,"size":0,"stored":0,
                "header_offset":0,"end_offset":0}}"#
        );
        let mut member: Member = serde_json::from_str(&text).unwrap();
        member.kind = kind;
        member.system_tablespace = path == "ibdata1";
        member.origin = origin.map(|(variable, root, path)| Origin {
            variable: variable.into(),
            root: ArchivePath::new(root),
            path: ArchivePath::new(path),
        });
        member
    }

    fn places(maps: &[&str]) -> Places {
        let header = IndexHeader {
            format: FORMAT,
            id: BackupId::new("2026-11-20T12:00:00Z".parse().unwrap(), "n1"),
            gtid: WsrepGtid { uuid: String::new(), seqno: 1, domain_id: None },
            compression: Compression::None,
        };
        let members = vec![
            member("ibdata1", MemberKind::File, None),
            member("x1", MemberKind::File, Some(("data_directory", "/far", "/far/d/t.ibd"))),
            member("x2", MemberKind::File, Some(("symlink", "/far", "/far/m.MYD"))),
            member("x3", MemberKind::File, Some(("symlink", "/far/linked", "/far/linked/t.ibd"))),
        ];
        let request = Request {
            target: "/new".into(),
            purpose: super::super::Purpose::Node,
            maps: maps.iter().map(|text| text.parse().unwrap()).collect(),
            threads: 1,
        };
        Places::new(Path::new("/old"), &Index { header, members, blocks: Vec::new(), raw_bytes: 0 }, &request)
            .unwrap()
    }

    #[test]
    fn variables_with_the_same_root_move_to_their_own_places() {
        let places = places(&["data_directory=/isl", "symlink=/links"]);
        let isl = member("d/t.isl", MemberKind::File, None);
        assert_eq!(places.rewritten(&isl, b"/far/d/t.ibd").unwrap(), b"/isl/d/t.ibd");
        let link = places.translate("symlink", Path::new("/far/m.MYD"));
        assert_eq!(link, Some("/links/far/m.MYD".into()));
        let database = places.translate("symlink", Path::new("/far/linked"));
        assert_eq!(database, Some("/links/far/linked".into()));
    }

    #[test]
    fn paths_into_the_data_directory_move_with_it() {
        let places = places(&[]);
        let index = member("mysql-bin.index", MemberKind::Generated, None);
        assert_eq!(places.rewritten(&index, b"/old/mysql-bin.000007\n").unwrap(), b"/new/mysql-bin.000007\n");
        assert_eq!(places.rewritten(&index, b"./mysql-bin.000007\n"), None);
    }

    #[test]
    fn what_is_not_mapped_keeps_its_paths() {
        let places = places(&["symlink=/links"]);
        let isl = member("d/t.isl", MemberKind::File, None);
        assert_eq!(places.rewritten(&isl, b"/far/d/t.ibd"), None);
        assert_eq!(places.translate("data_directory", Path::new("/far/d/t.ibd")), None);
    }
}
