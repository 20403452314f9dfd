//! File names as `fn_format(…, MY_UNPACK_FILENAME)` of MariaDB's mysys reads them.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};

use crate::users;

/// Replaces a leading `~/` by `$HOME` (given as `home`) and `~user/` by that user's home, and collapses `x/..`
/// textually, without looking at symbolic links, as `cleanup_dirname()` does.
pub(super) fn expand(name: &[u8], home: Option<&OsStr>) -> PathBuf {
    let name = unpack_home(name, home);
    let mut out = PathBuf::new();
    for part in name.components() {
        let last_is_name = matches!(out.components().next_back(), Some(Component::Normal(_)));
        let at_root = matches!(out.components().next_back(), Some(Component::RootDir));
        match part {
            Component::ParentDir if last_is_name => {
                out.pop();
            }
            Component::ParentDir if at_root => {}
            Component::CurDir => {}
            other => out.push(other),
        }
    }
    out
}

fn unpack_home(name: &[u8], home: Option<&OsStr>) -> PathBuf {
    let literal = || PathBuf::from(OsString::from_vec(name.to_vec()));
    let Some(rest) = name.strip_prefix(b"~") else {
        return literal();
    };
    let Some(slash) = rest.iter().position(|&b| b == b'/') else {
        return literal();
    };
    let (user, tail) = rest.split_at(slash);
    let folder = if user.is_empty() {
        home.filter(|home| !home.is_empty()).map(PathBuf::from)
    } else {
        std::str::from_utf8(user).ok().and_then(users::home)
    };
    folder.map_or_else(literal, |folder| folder.join(Path::new(OsStr::from_bytes(&tail[1..]))))
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expectations are the names that my_print_defaults 10.11.19 passed to stat(2), seen with strace.
    #[test]
    fn names_are_expanded_as_fn_format_does() {
        let home = Some(OsStr::new("/h"));
        for (name, wanted) in [
            ("lnk/../x.cnf", "x.cnf"),
            ("/a/home/../x.cnf", "/a/x.cnf"),
            ("/a//x.cnf", "/a/x.cnf"),
            ("/a/~/h.cnf", "/a/~/h.cnf"),
            ("~/h.cnf", "/h/h.cnf"),
            ("~", "~"),
            ("~root/h.cnf", "/root/h.cnf"),
            ("/../x.cnf", "/x.cnf"),
            ("../x.cnf", "../x.cnf"),
        ] {
            assert_eq!(expand(name.as_bytes(), home), Path::new(wanted), "{name}");
        }
        assert_eq!(expand(b"~/h.cnf", None), Path::new("~/h.cnf"));
    }
}
