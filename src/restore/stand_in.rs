//! An index for a backup whose single files are not known before it is prepared.

use std::path::Path;

use crate::archive::Index;
use crate::model::{ArchivePath, Manifest, Member, MemberKind, Owner};
use crate::users::{group_id, group_name, primary_group, user_id};

/// What the rest of a restore wants to know of the files: there is a system tablespace, whose it is, and how much there is.
pub(super) fn stand_in(manifest: &Manifest, index: &Index) -> Index {
    let owner = manifest.server.owner.clone();
    let Owner { uid, gid, user, group } =
        owner.unwrap_or(Owner { uid: 0, gid: 0, user: Some("mysql".into()), group: Some("mysql".into()) });
    let here = user.as_deref().and_then(user_id).unwrap_or(uid);
    let is_root = |gid: u32| gid == 0 && here != 0;
    let group_here = group.as_deref().and_then(group_id).unwrap_or(gid);
    // A data directory may be of group root; its files are not, and nothing that a stream decides on runs with that group.
    let (gid, group) = match primary_group(here).filter(|_| is_root(group_here)) {
        Some(own) => (own, group_name(own)),
        None => (gid, group),
    };
    let member = Member {
        path: ArchivePath::new(system_tablespace(manifest)),
        kind: MemberKind::File,
        mode: 0o660,
        uid,
        gid,
        user,
        group,
        mtime: 0,
        mtime_nsec: 0,
        size: manifest.data_bytes,
        stored: manifest.data_bytes,
        sha256: Some(String::new()),
        sparse: false,
        header_offset: 0,
        end_offset: 0,
        target: None,
        origin: None,
        system_tablespace: true,
        listed: None,
        live_redo: None,
        place: None,
        early: false,
        pages: None,
        changed: false,
    };
    Index::of_files(index.header.clone(), vec![member])
}

/// The first file of `innodb_data_file_path`; mariadb-backup keeps its name and drops its place.
fn system_tablespace(manifest: &Manifest) -> String {
    let path = manifest.server.options.get("innodb_data_file_path").map_or("ibdata1", String::as_str);
    let first = path.split([':', ';']).next().unwrap_or_default();
    let name = Path::new(first).file_name().map(|name| name.to_string_lossy().into_owned());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "ibdata1".into())
}
