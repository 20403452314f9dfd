//! The destination of each member of an archive: where it is written, and whose it will be.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::error::RestoreError;
use super::replication::REPLICA_FILE;
use super::request::RestoreRequest;
use super::{external_directories, no_follow, replication};
use crate::archive::{GRASTATE_MEMBER, IDENTITY_MEMBER, Index, SUMS_MEMBER};
use crate::model::{ArchivePath, Manifest, Member, MemberKind, Origin};
use crate::users::{group_id, user_id, user_name};

/// Numeric owner of a file on this machine.
pub(super) type FileOwner = (u32, u32);

/// The plan: destinations, owners, and what has to be written differently than it was. All places are without links.
pub struct Destinations {
    pub(super) target: PathBuf,
    /// The data directory on the donor.
    pub(super) datadir: PathBuf,
    /// The directories outside of it.
    pub(super) roots: external_directories::Roots,
    /// Directories that `--external` names.
    pub(super) named: Vec<PathBuf>,
    /// Owner of the data, for what we make ourselves; none when this process may not set it.
    owner: Option<FileOwner>,
    owner_name: String,
    system_tablespaces: Vec<PathBuf>,
    /// Members that go to the place of an earlier one, and are the same file.
    repeated: BTreeSet<ArchivePath>,
    /// Links that lead to places that the operator has not named.
    unwanted: BTreeSet<ArchivePath>,
}

impl Destinations {
    /// Plans the destinations of a backup whose data directory was `datadir`; refuses a `--map` that fits nothing, and
    /// places that nobody has named.
    pub fn new(datadir: &Path, index: &Index, request: &RestoreRequest) -> Result<Self, RestoreError> {
        let target = no_follow::resolve(&request.target)
            .map_err(|why| RestoreError::Refused(format!("'{}' {why}", request.target.display())))?;
        let Some(data) = index.members.iter().find(|member| member.system_tablespace) else {
            return Err(RestoreError::Refused(format!(
                "backup '{}' holds no InnoDB system tablespace: no server can start from it",
                index.header.id
            )));
        };
        let mut places = Self {
            roots: external_directories::roots(index, request, &target)?,
            target,
            datadir: datadir.to_path_buf(),
            named: external_directories::named(&request.external)?,
            owner: geteuid().is_root().then(|| owner_here(data)),
            owner_name: data.user.clone().unwrap_or_else(|| data.uid.to_string()),
            system_tablespaces: Vec::new(),
            repeated: BTreeSet::new(),
            unwanted: BTreeSet::new(),
        };
        places.system_tablespaces = index
            .members
            .iter()
            .filter(|member| member.system_tablespace)
            .filter_map(|member| places.of(member))
            .collect();
        let links = index.members.iter().filter(|member| member.kind == MemberKind::Symlink);
        places.unwanted =
            links.filter(|link| !places.link_is_wanted(link)).map(|link| link.path.clone()).collect();
        refuse_collisions(&mut places, index)?;
        Ok(places)
    }

    /// The destination of a member; none for what a restore leaves out.
    pub fn of(&self, member: &Member) -> Option<PathBuf> {
        if let Some(origin) = &member.origin {
            return Some(self.of_origin(origin));
        }
        let name = member.path.as_bytes();
        // The statements for a replica are left over from the restore that made the donor.
        let ours = [IDENTITY_MEMBER, SUMS_MEMBER, GRASTATE_MEMBER, REPLICA_FILE];
        let ours = ours.iter().any(|own| own.as_bytes() == name);
        (!ours && !replication::is_left(member)).then(|| member.path.below(&self.target))
    }

    /// Whether this member is not written: it is in the archive before, under another variable, and goes to the same
    /// place; or it is a link to a place that the operator has not named.
    pub(super) fn is_passed_over(&self, member: &Member) -> bool {
        self.repeated.contains(&member.path) || self.unwanted.contains(&member.path)
    }

    /// The links that are not made.
    pub(super) fn unwanted(&self) -> impl Iterator<Item = &ArchivePath> {
        self.unwanted.iter()
    }

    fn of_origin(&self, origin: &Origin) -> PathBuf {
        let root = origin.root.as_path();
        let key = (origin.variable.clone(), root.to_path_buf());
        let place = self.roots.get(&key).cloned().unwrap_or_else(|| root.to_path_buf());
        // The index is refused where a path is not below its root.
        let below = origin.path.as_path().strip_prefix(root).unwrap_or(Path::new(""));
        place.join(below).components().collect()
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
    pub(super) fn owner(&self) -> Option<FileOwner> {
        self.owner
    }

    /// Owner of one member, by name where this machine knows it, else by number. Nothing is root's where the data is
    /// not: what root owns is trusted by others than the server.
    pub(super) fn owner_of(&self, member: &Member) -> Option<FileOwner> {
        let (data_uid, data_gid) = self.owner?;
        let not_root = |id: u32, data: u32| if id == 0 { data } else { id };
        let (uid, gid) = owner_here(member);
        Some((not_root(uid, data_uid), not_root(gid, data_gid)))
    }

    /// Whether the data goes to whoever has its owner's number.
    pub(super) fn stranger(&self) -> Option<Stranger> {
        let (uid, _) = self.owner?;
        let is_number = self.owner_name.parse::<u32>().is_ok();
        (!is_number && user_id(&self.owner_name).is_none()).then(|| Stranger {
            name: self.owner_name.clone(),
            uid,
            here: user_name(uid),
        })
    }

    /// Whose the files should be, where this process could not give them away.
    pub(super) fn owner_kept(&self) -> Option<String> {
        let mine =
            user_id(&self.owner_name) == Some(geteuid().as_raw()) || self.owner_name == geteuid().to_string();
        (self.owner.is_none() && !mine).then(|| self.owner_name.clone())
    }
}

/// An owner whose name this machine does not know, so that the number decides who gets the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stranger {
    /// The name on the donor.
    pub name: String,
    /// The number there, and here.
    pub uid: u32,
    /// Who has that number here.
    pub here: Option<String>,
}

impl std::fmt::Display for Stranger {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { name, uid, here } = self;
        let name = name.escape_debug();
        write!(
            f,
            "there is no user '{name}' here, whose the files were: they go to the donor's number, {uid}, which is "
        )?;
        match here {
            Some(here) => write!(f, "'{here}' on this machine"),
            None => f.write_str("nobody's on this machine"),
        }
    }
}

/// Refuses two files that would be written to the same place, by a `--map` for example. One file that was
/// stored under two variables is no such case: see [`Destinations::is_repeated`].
fn refuse_collisions(places: &mut Destinations, index: &Index) -> Result<(), RestoreError> {
    let mut taken: BTreeMap<PathBuf, &Member> = BTreeMap::new();
    let mut repeated = BTreeSet::new();
    for member in index.members.iter().filter(|member| !places.unwanted.contains(&member.path)) {
        let Some(place) = places.of(member) else { continue };
        let Some(other) = taken.get(&place) else {
            taken.insert(place, member);
            continue;
        };
        let origin = |member: &Member| member.origin.as_ref().map(|origin| origin.path.clone());
        let is_same = origin(member).is_some() && origin(member) == origin(other);
        match (member.kind, other.kind) {
            (MemberKind::Directory, MemberKind::Directory) => {}
            _ if is_same && member.sha256 == other.sha256 && member.target == other.target => {
                repeated.insert(member.path.clone());
            }
            _ => {
                return Err(RestoreError::Usage(format!(
                    "'{}' and '{}' of the archive would both be written to '{}'; give them different places with --map",
                    other.path,
                    member.path,
                    place.display()
                )));
            }
        }
    }
    places.repeated = repeated;
    refuse_behind_links(&taken)
}

/// Nothing is written through a link that the restore itself makes: two members of an index may look apart and meet
/// here, when one `--map` leads to where a link of another directory goes.
fn refuse_behind_links(taken: &BTreeMap<PathBuf, &Member>) -> Result<(), RestoreError> {
    let links: BTreeSet<&Path> = taken
        .iter()
        .filter(|(_, member)| member.kind == MemberKind::Symlink)
        .map(|(place, _)| place.as_path())
        .collect();
    let behind = |place: &Path| place.ancestors().skip(1).any(|above| links.contains(above));
    let found = taken.iter().find(|(place, _)| !links.is_empty() && behind(place));
    found.map_or(Ok(()), |(place, member)| {
        Err(RestoreError::Usage(format!(
            "'{}' of the archive would be written to '{}', behind a symbolic link of the archive; give it another place \
             with --map",
            member.path,
            place.display()
        )))
    })
}

fn owner_here(member: &Member) -> FileOwner {
    (
        member.user.as_deref().and_then(user_id).unwrap_or(member.uid),
        member.group.as_deref().and_then(group_id).unwrap_or(member.gid),
    )
}

/// A sentence for a manifest of a backup whose positions cannot serve a replica.
pub(super) fn replica_position(manifest: &Manifest) -> Option<&str> {
    manifest.mariadb_gtid.binlog_pos.as_deref().filter(|position| !position.is_empty())
}
