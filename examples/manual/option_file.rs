//! `packaging/wsrep_sst_backup.cnf`: the option file of the packages, with every setting commented out.

use std::fmt::Write;

use wsrep_sst_backup::config::{Example, SETTINGS, SettingSpec};

const HEAD: &str = "# wsrep_sst_backup: backups of a Galera Cluster, taken by a donor.
#
# Copy to /etc/mysql/mariadb.conf.d/60-wsrep_sst_backup.cnf (Debian, Ubuntu) or to
# /etc/my.cnf.d/wsrep_sst_backup.cnf (RHEL, SUSE), readable for the server's user only if it holds a
# password. What is commented out is the default. The donor reads this file at each backup: no
# restart is needed.

[wsrep_sst_backup]
";

const TAIL: &str = "
# Another repository for 'copy', with --to-defaults-group-suffix=_offsite; all commands use it with
# --defaults-group-suffix=_offsite. What it does not set is as above; an empty s3-… setting takes that back.
##[wsrep_sst_backup_offsite]
##repository = s3://offsite/galera
";

/// Letters in a line of a note.
const WIDTH: usize = 118;

/// The file.
pub(crate) fn text() -> String {
    let entries = SETTINGS.iter().flat_map(|chapter| chapter.settings);
    entries.fold(HEAD.to_owned(), |file, entry| file + &note(entry) + &line(entry)) + TAIL
}

/// What stands above the setting, as comments.
fn note(entry: &SettingSpec) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in entry.note.split_whitespace() {
        match lines.last_mut().filter(|line| line.chars().count() + 1 + word.chars().count() <= WIDTH) {
            Some(line) => write!(line, " {word}").unwrap_or_default(),
            None => lines.push(format!("# {word}")),
        }
    }
    if lines.is_empty() { String::new() } else { format!("\n{}\n", lines.join("\n")) }
}

fn line(entry: &SettingSpec) -> String {
    let (mark, value) = match entry.example {
        Example::Default => ("#", entry.unset.words()),
        Example::Value(value) => ("#", value),
        Example::Words(words) => ("##", words),
    };
    format!("{mark}{} = {value}", entry.name).trim_end().to_owned() + "\n"
}
