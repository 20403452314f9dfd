//! Paths that lead to other places than on the donor: in links, `.isl` files and the index of the binary logs.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::destinations::Destinations;
use crate::model::{Member, MemberKind};

impl Destinations {
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

    /// A path that stands in the data directory, in its subdirectory `folder`, as it must be here; none for one that
    /// can stay. A relative one that leads out of the data directory would lead from the new one to another place.
    pub(super) fn moved(&self, variable: &str, folder: &Path, path: &Path) -> Option<PathBuf> {
        if path.is_absolute() {
            return self.translate(variable, path);
        }
        let there = lexical(&self.datadir.join(folder).join(path));
        if path.as_os_str().is_empty() || there.starts_with(&self.datadir) {
            return None;
        }
        let here = self.translate(variable, &there).unwrap_or(there);
        (lexical(&self.target.join(folder).join(path)) != here).then_some(here)
    }

    /// The target of a symbolic link as it must be here; none for what is no link.
    pub(super) fn link_text(&self, member: &Member) -> Option<PathBuf> {
        let (target, here) = (member.target.as_ref()?.as_path(), self.link_leads(member)?);
        let stays = match self.of(member)?.parent() {
            Some(folder) if target.is_relative() => lexical(&folder.join(target)) == here,
            _ => false,
        };
        Some(if stays { target.to_path_buf() } else { here })
    }

    /// Where a link leads here.
    fn link_leads(&self, member: &Member) -> Option<PathBuf> {
        let target = member.target.as_ref()?.as_path();
        let link = match &member.origin {
            Some(origin) => origin.path.as_path().to_path_buf(),
            None => member.path.below(&self.datadir),
        };
        let there = lexical(&link.parent().unwrap_or(Path::new("/")).join(target));
        Some(self.translate("symlink", &there).unwrap_or(there))
    }

    /// Whether a link stays in places that the operator knows of: the data directory and those that he has named. What
    /// leads elsewhere would make the server, or who works on its files, use a place that an index has chosen.
    pub(super) fn link_is_wanted(&self, member: &Member) -> bool {
        // Behind another link `..` is not the directory that the text says.
        let mut names = member.target.iter().flat_map(|target| target.as_path().components());
        let turns_back = names
            .by_ref()
            .skip_while(|part| !matches!(part, Component::Normal(_)))
            .any(|part| part == Component::ParentDir);
        let Some(leads) = self.link_leads(member) else { return true };
        let known = || std::iter::once(&self.target).chain(self.roots.values()).chain(&self.named);
        !turns_back && known().any(|directory| leads.starts_with(directory))
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
            match self.moved(variable, Path::new(""), Path::new(OsStr::from_bytes(path))) {
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
}

/// Without `.` and `..`, by the names alone: the directories are not here.
fn lexical(path: &Path) -> PathBuf {
    path.components().fold(PathBuf::new(), |mut whole, part| {
        match part {
            Component::ParentDir => drop(whole.pop()),
            Component::CurDir => {}
            part => whole.push(part),
        }
        whole
    })
}

#[cfg(test)]
mod tests {
    use super::super::request::{Purpose, RestoreRequest};
    use super::*;
    use crate::archive::Index;
    use crate::model::{
        ArchivePath, BackupId, Compression, Content, FORMAT, FilesState, IndexHeader, Origin, WsrepGtid,
    };

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

    fn header() -> IndexHeader {
        IndexHeader {
            format: FORMAT,
            id: BackupId::new("2026-11-20T12:00:00Z".parse().unwrap(), "n1"),
            content: Content::Datadir,
            files_state: FilesState::Clean,
            gtid: Some(WsrepGtid { uuid: String::new(), seqno: 1, domain_id: None }),
            compression: Compression::None,
        }
    }

    fn places(maps: &[&str]) -> Destinations {
        let header = header();
        let members = vec![
            member("ibdata1", MemberKind::File, None),
            member("x1", MemberKind::File, Some(("data_directory", "/far", "/far/d/t.ibd"))),
            member("x2", MemberKind::File, Some(("symlink", "/far", "/far/m.MYD"))),
            member("x3", MemberKind::File, Some(("symlink", "/far/linked", "/far/linked/t.ibd"))),
        ];
        let request = RestoreRequest {
            target: "/new".into(),
            purpose: Purpose::Node,
            wsrep_home: None,
            maps: maps.iter().map(|text| text.parse().unwrap()).collect(),
            external: vec![super::super::AllowedDirectory("/".into())],
            init_file: None,
            threads: 1,
            only: None,
        };
        Destinations::new(Path::new("/old"), &Index::of_files(header, members), &request).unwrap()
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
    fn relative_paths_out_of_the_data_directory_become_absolute() {
        let places = places(&["symlink=/links"]);
        let index = member("mysql-bin.index", MemberKind::Generated, None);
        // Both data directories have the same parent, so that the path still leads there.
        assert_eq!(places.rewritten(&index, b"../logs/bin.000007\n"), None);
        assert_eq!(
            places.moved("symlink", Path::new("db"), Path::new("../../far/m.MYD")),
            Some("/links/far/m.MYD".into())
        );
        assert_eq!(places.moved("symlink", Path::new("db"), Path::new("../other/t.MYD")), None);
        let request = RestoreRequest {
            target: "/srv/deep/new".into(),
            purpose: Purpose::Node,
            wsrep_home: None,
            maps: Vec::new(),
            external: vec![super::super::AllowedDirectory("/".into())],
            init_file: None,
            threads: 1,
            only: None,
        };
        let header = header();
        let deep = Index::of_files(header, vec![member("ibdata1", MemberKind::File, None)]);
        let places = Destinations::new(Path::new("/old"), &deep, &request).unwrap();
        assert_eq!(places.rewritten(&index, b"../logs/bin.000007\n").unwrap(), b"/logs/bin.000007\n");
    }

    #[test]
    fn what_is_not_mapped_keeps_its_paths() {
        let places = places(&["symlink=/links"]);
        let isl = member("d/t.isl", MemberKind::File, None);
        assert_eq!(places.rewritten(&isl, b"/far/d/t.ibd"), None);
        assert_eq!(places.translate("data_directory", Path::new("/far/d/t.ibd")), None);
    }
}
