//! How far the redo log had come that the program has followed: `xtrabackup_checkpoints` has a line `to_lsn = 12345` (`mariadb_backup_checkpoints`
//! from 11.1 on).

use crate::archive::XbstreamContent;

/// The LSN at which the files stand when they are prepared.
pub(super) fn to_lsn(content: &XbstreamContent) -> Option<u64> {
    let told = String::from_utf8_lossy(content.told("checkpoints")?);
    let value = |line: &str| line.strip_prefix("to_lsn")?.trim_start().strip_prefix('=')?.trim().parse().ok();
    told.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lsn_is_read_under_both_names() {
        let text = b"backup_type = full-backuped\nfrom_lsn = 0\nto_lsn = 48217\nlast_lsn = 48225\n";
        for (name, content, wanted) in [
            ("xtrabackup_checkpoints", &text[..], Some(48_217)),
            ("mariadb_backup_checkpoints", text, Some(48_217)),
            ("xtrabackup_checkpoints", b"to_lsn = soon\n", None),
            ("xtrabackup_info", text, None),
        ] {
            let about = [(name.to_owned(), content.to_vec())].into();
            let found = to_lsn(&XbstreamContent { about, ..XbstreamContent::default() });
            assert_eq!(found, wanted, "{name}");
        }
    }
}
