//! What `logical` dumps, and with which arguments.

use super::ValueError;

/// The settings of a dump.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DumpSettings {
    /// `databases`; empty for all.
    pub databases: Vec<String>,
    /// `ignore-tables`: `database.table`.
    pub ignore_tables: Vec<String>,
    /// `ignore-global-priv`.
    pub ignore_global_priv: bool,
    /// `dump-args`.
    pub args: Vec<String>,
    /// `dump-retries`.
    pub retries: u32,
}

impl DumpSettings {
    /// Whether everything is dumped.
    pub fn is_whole(&self) -> bool {
        self.databases.is_empty() && self.ignore_tables.is_empty()
    }
}

/// Names between commas.
pub(in crate::config) fn names(text: &str) -> Result<Vec<String>, ValueError> {
    let names: Vec<String> =
        text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    if names.is_empty() { Err(ValueError::new("it names nothing".to_owned())) } else { Ok(names) }
}

/// `database.table`, between commas.
pub(in crate::config) fn tables(text: &str) -> Result<Vec<String>, ValueError> {
    let names = names(text)?;
    let is_table = |name: &String| {
        name.split_once('.').is_some_and(|(database, table)| !database.is_empty() && !table.is_empty())
    };
    match names.iter().find(|name| !is_table(name)) {
        Some(name) => Err(ValueError::new(format!("'{name}' is not of the form database.table"))),
        None => Ok(names),
    }
}

/// Arguments of `mariadb-dump` that change how a dump is written, and nothing of what is in it or of when it is from.
const SWITCHES: [&str; 15] = [
    "add-drop-database",
    "add-drop-table",
    "add-drop-trigger",
    "allow-keywords",
    "complete-insert",
    "create-options",
    "disable-keys",
    "dump-history",
    "extended-insert",
    "hex-blob",
    "insert-ignore",
    "no-autocommit",
    "order-by-primary",
    "order-by-size",
    "tz-utc",
];
/// The same with a value.
const VALUES: [&str; 2] = ["max-allowed-packet", "net-buffer-length"];

/// Why others are refused; the beginning of a name stands for it, as the program takes it.
const REFUSED: [(&str, &str, &str); 49] = [
    ("lock-all-tables", "x", "it locks every table for the whole dump"),
    ("lock-tables", "l", "it locks the tables for the whole dump, and ends the consistent snapshot"),
    ("single-transaction", "", "it is there always: without it the dump is of many moments"),
    (
        "opt",
        "",
        "what it stands for is there already, but for locks, which would end the consistent snapshot",
    ),
    ("quick", "q", "without it whole tables are held in memory"),
    ("no-data", "d", "it leaves out the rows"),
    ("no-create-info", "t", "it leaves out the definitions of tables"),
    ("no-create-db", "n", "it leaves out the databases"),
    ("no-data-med", "", "it leaves out rows"),
    ("where", "w", "it leaves out rows"),
    ("as-of", "", "it dumps another moment than that of the backup"),
    ("ignore-table", "", "use the setting ignore-tables, so that the backup says what is not in it"),
    ("ignore-table-data", "", "it leaves out rows"),
    ("ignore-database", "", "use the setting databases, so that the backup says what is in it"),
    ("all-databases", "A", "use the setting databases (without it all are dumped)"),
    ("databases", "B", "use the setting databases"),
    ("tables", "", "use the settings databases and ignore-tables"),
    ("system", "", "users and grants are dumped apart, into an object of their own"),
    ("routines", "R", "they are dumped always"),
    ("events", "E", "they are dumped always"),
    ("triggers", "", "they are dumped always"),
    ("tab", "T", "it writes files on the server, which no backup would have"),
    ("dir", "", "it writes files in place of one stream"),
    ("parallel", "j", "it writes files in place of one stream"),
    ("result-file", "r", "the dump would not come to the backup"),
    ("log-error", "", "errors would not be seen"),
    ("force", "f", "errors would be passed over, and the dump would look complete"),
    ("compact", "", "it leaves out the last line, without which no dump counts as whole"),
    ("comments", "i", "without comments the last line is missing, without which no dump counts as whole"),
    ("dump-date", "", "the backup's own name says when it was taken"),
    ("xml", "X", "no server can be restored from it"),
    ("add-locks", "", "LOCK TABLES does not work on a Galera node"),
    (
        "flush-logs",
        "F",
        "it makes the program lock all tables, and rotates the logs of a server that stands still",
    ),
    ("flush-privileges", "", "it is of no use without the tables of the database mysql"),
    ("delete-master-logs", "", "it removes binary logs of the server"),
    ("master-data", "", "it makes the program lock all tables; the backup has the position anyway"),
    ("dump-slave", "", "it stops the server's replication while it dumps"),
    ("gtid", "", "the backup has the position anyway"),
    ("apply-slave-statements", "", "it changes the replication of a server that takes the dump"),
    ("include-master-host-port", "", "it belongs to dump-slave"),
    ("password", "p", "others could read it; use the setting password"),
    ("user", "u", "use the setting user"),
    ("host", "h", "the server of this backup is dumped"),
    ("port", "P", "the server of this backup is dumped"),
    ("socket", "S", "the server of this backup is dumped; use the setting socket"),
    ("protocol", "", "the server of this backup is dumped, over its socket"),
    ("set-charset", "N", "a dump says in which characters it is written"),
    ("default-character-set", "", "dumps are written in utf8mb4, which has every character"),
    ("quote-names", "Q", "names that are words of SQL would break the dump"),
];

/// Arguments between blanks.
pub(in crate::config) fn arguments(text: &str) -> Result<Vec<String>, ValueError> {
    text.split_whitespace().map(|word| argument(word).map(|()| word.to_owned())).collect()
}

fn argument(word: &str) -> Result<(), ValueError> {
    let refuse = |why: &str| Err(ValueError::new(format!("'{word}' is refused: {why}")));
    let Some(long) = word.strip_prefix("--").filter(|name| !name.is_empty()) else {
        let short = word.strip_prefix('-').and_then(|letters| letters.chars().next()).map(String::from);
        let known = REFUSED.iter().find(|(_, letter, _)| Some(*letter) == short.as_deref());
        return refuse(
            known.map_or("write arguments with two dashes and their whole name", |(.., why)| *why),
        );
    };
    let (name, value) = long.split_once('=').map_or((long, None), |(name, value)| (name, Some(value)));
    let name = name.to_ascii_lowercase().replace('_', "-");
    let bare = ["skip-", "disable-", "enable-", "loose-"].iter().find_map(|prefix| name.strip_prefix(prefix));
    let bare = bare.filter(|_| name != "disable-keys").unwrap_or(&name);
    match value {
        // Switches take a value as well.
        None | Some("0" | "1" | "on" | "off") if SWITCHES.contains(&bare) => return Ok(()),
        Some(value) if VALUES.contains(&name.as_str()) && !value.is_empty() => return Ok(()),
        _ => {}
    }
    let stands_for = |known: &str| known == bare || (bare.len() > 1 && known.starts_with(bare));
    let exact = REFUSED.iter().find(|(known, ..)| *known == bare);
    match exact.or_else(|| REFUSED.iter().find(|(known, ..)| stands_for(known))) {
        Some((known, _, why)) if *known == bare => refuse(why),
        Some((known, _, why)) => refuse(&format!("it stands for --{known}: {why}")),
        None => refuse(&format!(
            "whether a dump keeps its promises with it is not known; there are --{} (each also with skip-), --{}=N",
            SWITCHES.join(", --"),
            VALUES.join("=N, --")
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arguments_that_change_the_form_only_are_taken() {
        let line = "--skip-extended-insert --order-by-primary --hex_blob=1  --net-buffer-length=1M --disable-keys \
                    --skip-disable-keys --enable-complete-insert";
        assert_eq!(arguments(line).unwrap().len(), 7);
        assert_eq!(arguments(" ").unwrap(), Vec::<String>::new());
    }

    #[test]
    fn what_breaks_the_promise_is_refused_with_the_reason_however_it_is_written() {
        for (word, why) in [
            ("--lock-all-tables", "it locks every table for the whole dump"),
            ("--lock-all", "it stands for --lock-all-tables"),
            ("-x", "it locks every table"),
            ("--skip-single-transaction", "without it the dump is of many moments"),
            ("--single-transaction=0", "without it the dump is of many moments"),
            ("--single_trans", "it stands for --single-transaction"),
            ("--lock-tables", "ends the consistent snapshot"),
            ("--no-data", "leaves out the rows"),
            ("-d", "leaves out the rows"),
            ("--where=1", "leaves out rows"),
            ("-wa=1", "leaves out rows"),
            ("--tab=/x", "writes files on the server"),
            ("--result-file=/x", "would not come to the backup"),
            ("--res=/x", "it stands for --result-file"),
            ("--compact", "the last line"),
            ("--skip-comments", "the last line"),
            ("--disable-comments", "the last line"),
            ("--comments=0", "the last line"),
            ("--skip-dump-date", "the backup's own name"),
            ("--force", "errors would be passed over"),
            ("--all-databases", "use the setting databases"),
            ("--databases", "use the setting databases"),
            ("--flush-logs", "lock all tables"),
            ("--delete-master-logs", "removes binary logs"),
            ("--master-data=2", "lock all tables"),
            ("--password=x", "others could read it"),
            ("-psecret", "others could read it"),
            ("--pass=x", "it stands for --password"),
            ("--skip-opt", "locks, which would end"),
            ("--loose-lock-all-tables", "it locks every table"),
            ("--ignore-table=a.b", "use the setting ignore-tables"),
            ("--made-up", "is not known; there are --add-drop-database"),
            ("db1", "two dashes"),
            ("--", "two dashes"),
            ("--max-allowed-packet", "is not known"),
        ] {
            let refused = arguments(word).map_err(|error| error.to_string());
            assert!(matches!(&refused, Err(text) if text.contains(why)), "{word}: {refused:?}");
        }
    }

    #[test]
    fn names_stand_between_commas() {
        assert_eq!(names("a, b,").unwrap(), ["a", "b"]);
        assert_eq!(tables("a.b,c.d.e").unwrap(), ["a.b", "c.d.e"]);
        assert!(names(" , ").is_err() && tables("a").is_err() && tables(".b").is_err());
    }
}
