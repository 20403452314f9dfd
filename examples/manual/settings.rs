//! `wsrep_sst_backup.cnf(5)`: the settings, from the table that the program reads them by.

use wsrep_sst_backup::config::{SETTINGS, SettingSpec};

use crate::roff::{bold, example, italic, section, text, title};

/// The page.
pub(crate) fn page() -> String {
    let mut page = title("wsrep_sst_backup.cnf", 5);
    page += &section(
        "NAME",
        "wsrep_sst_backup.cnf \\- settings of wsrep_sst_backup, in the option files of MariaDB",
    );
    page += &section("SYNOPSIS", &example("[wsrep_sst_backup]\nname = value"));
    page += &section("DESCRIPTION", &description());
    for chapter in SETTINGS {
        let mut body = text(chapter.text);
        body.extend(chapter.settings.iter().map(entry));
        page += &section(&chapter.title.to_uppercase(), &body);
    }
    page += &section(
        "EXAMPLE",
        &example("[wsrep_sst_backup]\nrepository = s3://my-bucket/galera\nkeep-daily = 7\nkeep-weekly = 5"),
    );
    page +=
        &section("SEE ALSO", &format!("{}(1), {}(1)", bold("wsrep_sst_backup"), bold("my_print_defaults")));
    page
}

fn description() -> String {
    [
        "Settings stand in the group [wsrep_sst_backup] of the files that every MariaDB program reads, /etc/my.cnf and \
         /etc/mysql/my.cnf with what they include, and are read anew at each backup: the server need not be restarted.",
        "A dash and an underscore are the same in a name; the last word on a setting counts; an environment variable \
         WSREP_SST_BACKUP_NAME overrides the files, and a flag of a command overrides both. A name that does not exist is an \
         error, unless it begins with loose-.",
        "Keys and passwords may stand here: the packages make the file readable for root and the group mysql only.",
    ]
    .map(text)
    .join("\n.PP\n")
}

fn entry(setting: &SettingSpec) -> String {
    format!(
        "\n.TP\n{} = {}\n{}\n.br\nDefault: {}",
        bold(setting.name),
        italic(setting.value),
        text(setting.meaning),
        text(setting.unset.words())
    )
}
