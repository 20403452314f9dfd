//! Users and groups by `/etc/passwd` and `/etc/group`.
//!
//! The binary is static, and a static glibc cannot ask NSS safely: `getpwuid_r` ends in SIGSEGV where `nsswitch.conf` names a
//! service beside `files` and the uid has no entry (seen). So nothing here calls it, and `clippy.toml` refuses to. The accounts
//! that matter (mysql, root) are local ones; one of LDAP or SSSD, or a container's uid without an entry, is its number.

use std::fs;
use std::path::PathBuf;

/// The field `wanted` of the line in which field `key` is `value`.
fn look_up(file: &str, key: usize, value: &str, wanted: usize) -> Option<String> {
    find(&String::from_utf8_lossy(&fs::read(file).ok()?), key, value, wanted)
}

fn find(text: &str, key: usize, value: &str, wanted: usize) -> Option<String> {
    text.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        (fields.get(key) == Some(&value)).then(|| fields.get(wanted).map(ToString::to_string))?
    })
}

/// Name of a user.
pub fn user_name(uid: u32) -> Option<String> {
    look_up("/etc/passwd", 2, &uid.to_string(), 0)
}

/// Name of a group.
pub fn group_name(gid: u32) -> Option<String> {
    look_up("/etc/group", 2, &gid.to_string(), 0)
}

/// Number of a user.
pub fn user_id(name: &str) -> Option<u32> {
    look_up("/etc/passwd", 0, name, 2)?.parse().ok()
}

/// Number of a group.
pub fn group_id(name: &str) -> Option<u32> {
    look_up("/etc/group", 0, name, 2)?.parse().ok()
}

/// Number of a user's own group.
pub fn primary_group(uid: u32) -> Option<u32> {
    look_up("/etc/passwd", 2, &uid.to_string(), 3)?.parse().ok()
}

/// Home folder of a user.
pub fn home(name: &str) -> Option<PathBuf> {
    look_up("/etc/passwd", 0, name, 5).map(PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwd_lines_are_read_by_field() {
        let text = "root:x:0:0:root:/root:/bin/sh\nmysql:x:103:110::/nonexistent:/bin/false\n";
        assert_eq!(find(text, 2, "103", 0).as_deref(), Some("mysql"));
        assert_eq!(find(text, 0, "mysql", 2).as_deref(), Some("103"));
        assert_eq!(find(text, 2, "10", 0), None);
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!((group_id("root"), primary_group(0)), (Some(0), Some(0)));
    }
}
