//! `doc/configuration.md`: the settings, from the table that the program reads them by.

use wsrep_sst_backup::config::{SETTINGS, SettingSpec};

const HEAD: &str = "# Configuration reference

Every setting, from the table in the program itself that `man wsrep_sst_backup.cnf` is made of too. This file is generated
(`cargo run --example manual -- configuration`), and a test compares it with the program.

Settings stand in the group `[wsrep_sst_backup]` of MariaDB's option files:

```ini
# /etc/mysql/mariadb.conf.d/60-wsrep_sst_backup.cnf  (or /etc/my.cnf.d/…)
[wsrep_sst_backup]
repository  = s3://my-bucket/galera
keep-daily  = 7
keep-weekly = 5
```

- Files are searched as by every MariaDB program: `/etc/my.cnf` and `/etc/mysql/my.cnf` with what they include, or what
  `--defaults-file` and `--defaults-extra-file` name. The donor gets these two from mysqld, and reads the files anew at each backup: the
  server need not be restarted.
- A dash and an underscore are the same in a name, and the last word on a setting counts.
- An environment variable `WSREP_SST_BACKUP_<NAME>` overrides the files, and a flag of a command overrides both. The donor's
  environment is that of mysqld.
- A name that does not exist is an error, unless it begins with `loose-`.
- With `--defaults-group-suffix=X` the group `[wsrep_sst_backupX]` is read too.

What they are for: [storage](storage.md), [speed and priority](backup.md#speed-and-priority), [encryption](encryption.md),
[retention](retention.md), [monitoring](monitoring.md), [an account for SQL](install.md#an-account-for-sql).
";

/// The page.
pub(crate) fn page() -> String {
    let mut page = HEAD.to_owned();
    for chapter in SETTINGS {
        page += &format!("\n## {}\n\n", chapter.title);
        if !chapter.text.is_empty() {
            page += &format!("{}\n\n", chapter.text);
        }
        page += "| setting | value | default | meaning |\n|---|---|---|---|\n";
        page.extend(chapter.settings.iter().map(row));
    }
    page
}

fn row(setting: &SettingSpec) -> String {
    format!(
        "| `{}` | `{}` | {} | {} |\n",
        setting.name,
        cell(setting.value),
        cell(setting.unset.words()),
        cell(setting.meaning)
    )
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
