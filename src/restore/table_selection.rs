//! The files of the tables that are wanted, and of what they cannot do without.
//!
//! Three things of a table do not bear its name. A **trigger** has a file `NAME.TRN`, which names the table; without it
//! `SHOW CREATE TRIGGER` fails, and with it every dump. A **FULLTEXT** index keeps its words in `FTS_<number>_…` files; without
//! them InnoDB ends the server at the first MATCH or DELETE. The number is known to the system tablespace only, so all of
//! them in the database come along. The rows of a **MERGE** table are in other tables, which its `.MRG` names.

use std::collections::{BTreeMap, BTreeSet};

use super::error::RestoreError;
use super::pattern::TablePattern;
use super::tables::{Key, TableFile, TableFileRole, name_of, table_files};
use crate::archive::Index;
use crate::model::{Member, encode_name};

/// The tables that are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selection(pub Vec<TablePattern>);

/// What they are and what belongs to them.
#[derive(Debug)]
pub(super) struct Chosen<'a> {
    /// Every file, `db.opt` included.
    pub(super) files: Vec<TableFile<'a>>,
    /// Names of the tables of the `.TRN` files, by their places in the tar stream.
    pub(super) triggers: BTreeMap<u64, String>,
    /// Names of the other tables of the backup.
    pub(super) others: BTreeSet<String>,
    /// What a person should know of them.
    pub(super) notes: Vec<String>,
}

/// The contents of small members, by their places in the tar stream; one that is damaged is missing.
pub(super) type SmallContents = BTreeMap<u64, Vec<u8>>;

/// Reads small members.
pub(super) type ReadMembers<'r> = &'r dyn Fn(&[&Member]) -> Result<SmallContents, RestoreError>;

impl Selection {
    /// The files of the wanted tables; an error where a pattern fits none. `for_server`: a server will start on them.
    pub(super) fn choose<'a>(
        &self,
        index: &'a Index,
        for_server: bool,
        read: ReadMembers<'_>,
    ) -> Result<Chosen<'a>, RestoreError> {
        let all = table_files(index);
        let known: BTreeSet<Key<'_>> =
            all.iter().filter(|file| file.makes_a_table()).map(TableFile::key).collect();
        let mut wanted = BTreeSet::new();
        for pattern in &self.0 {
            let found: Vec<Key<'_>> =
                known.iter().filter(|(database, table)| pattern.fits(database, table)).copied().collect();
            if found.is_empty() {
                return Err(no_such_table(pattern, &all, &known, index));
            }
            wanted.extend(found);
        }
        let mut notes = Vec::new();
        merged(&all, &known, &mut wanted, read, &mut notes)?;
        let triggers = triggers(&all, &wanted, read, &mut notes)?;
        let databases: BTreeSet<&[u8]> = wanted.iter().map(|(database, _)| *database).collect();
        let fulltext = fulltext(&all, &wanted, for_server, &mut notes);
        let is_kept = |file: &TableFile<'_>| match file.role() {
            TableFileRole::Table => wanted.contains(&file.key()),
            TableFileRole::Trigger => triggers.contains_key(&file.member.header_offset),
            TableFileRole::Options => databases.contains(file.database()),
            TableFileRole::Fulltext => fulltext.contains(file.database()),
            TableFileRole::Unnamed => false,
        };
        let kept: Vec<bool> = all.iter().map(is_kept).collect();
        let others = known.difference(&wanted).map(|key| name_of(*key)).collect();
        let files = all.into_iter().zip(kept).filter_map(|(file, kept)| kept.then_some(file)).collect();
        Ok(Chosen { files, triggers, others, notes })
    }
}

fn no_such_table(
    pattern: &TablePattern,
    all: &[TableFile<'_>],
    known: &BTreeSet<Key<'_>>,
    index: &Index,
) -> RestoreError {
    let is_trigger = |file: &&TableFile<'_>| {
        file.role() == TableFileRole::Trigger && pattern.fits(file.database(), file.table())
    };
    let other_case = known.iter().find(|(database, table)| pattern.fits_in_another_case(database, table));
    let hint = if all.iter().any(|file| is_trigger(&file)) {
        "it is the name of a trigger, and triggers come with their table".to_owned()
    } else if let Some(key) = other_case {
        format!("there is '{}': capital letters count", name_of(*key))
    } else {
        "'ls --match' shows what there is".to_owned()
    };
    RestoreError::Usage(format!(
        "--only '{}': backup '{}' holds no file of such a table ({hint})",
        pattern.text, index.header.id
    ))
}

/// The tables that a MERGE table stands for: their names, one a line, with `./DATABASE/` where it is another one.
fn merged<'a>(
    all: &'a [TableFile<'_>],
    known: &BTreeSet<Key<'a>>,
    wanted: &mut BTreeSet<Key<'a>>,
    read: ReadMembers<'_>,
    notes: &mut Vec<String>,
) -> Result<(), RestoreError> {
    let is_merge = |file: &&TableFile<'_>| file.has_ending("MRG") && wanted.contains(&file.key());
    let merges: Vec<&TableFile<'_>> = all.iter().filter(is_merge).collect();
    let contents = read_all(&merges, read)?;
    for file in merges {
        let Some(content) = contents.get(&file.member.header_offset) else { continue };
        let mut names = Vec::new();
        for line in content.split(|byte| *byte == b'\n') {
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let path = line.strip_prefix(b"./").unwrap_or(line);
            let mut parts = path.rsplit(|byte| *byte == b'/');
            let table = parts.next().unwrap_or_default();
            let database = parts.next().unwrap_or_else(|| file.database());
            names.push(name_of((database, table)));
            wanted.extend(known.iter().filter(|key| **key == (database, table)));
        }
        notes.push(format!(
            "{} is a MERGE table: its rows are those of {}, which come along.",
            file.name(),
            names.join(", ")
        ));
    }
    Ok(())
}

/// The `.TRN` files of the triggers of these tables, by their places, with the names of the tables.
fn triggers(
    all: &[TableFile<'_>],
    wanted: &BTreeSet<Key<'_>>,
    read: ReadMembers<'_>,
    notes: &mut Vec<String>,
) -> Result<BTreeMap<u64, String>, RestoreError> {
    let with_triggers: BTreeSet<Key<'_>> = all
        .iter()
        .filter(|file| file.has_ending("TRG") && wanted.contains(&file.key()))
        .map(TableFile::key)
        .collect();
    let databases: BTreeSet<&[u8]> = with_triggers.iter().map(|(database, _)| *database).collect();
    let is_candidate =
        |file: &&TableFile<'_>| file.role() == TableFileRole::Trigger && databases.contains(file.database());
    let candidates: Vec<&TableFile<'_>> = all.iter().filter(is_candidate).collect();
    let contents = read_all(&candidates, read)?;
    let mut kept = BTreeMap::new();
    for file in candidates {
        match contents.get(&file.member.header_offset).and_then(|content| table_of_trigger(content)) {
            Some(table) => {
                let key = (file.database(), table.as_bytes());
                if with_triggers.contains(&key) {
                    kept.insert(file.member.header_offset, name_of(key));
                }
            }
            None => notes.push(format!(
                "'{}' cannot be read, so it is left out; if that trigger is one of these tables, mariadb-dump needs \
                 --skip-triggers.",
                file.member.path
            )),
        }
    }
    Ok(kept)
}

/// What a `.TRN` file says, as files bear it.
fn table_of_trigger(content: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(content).ok()?;
    text.lines().find_map(|line| line.strip_prefix("trigger_table=")).map(encode_name)
}

fn read_all(files: &[&TableFile<'_>], read: ReadMembers<'_>) -> Result<SmallContents, RestoreError> {
    if files.is_empty() {
        return Ok(SmallContents::new());
    }
    let members: Vec<&Member> = files.iter().map(|file| file.member).collect();
    read(&members)
}

/// The databases whose `FTS_…` files are needed: those of every table that InnoDB may have.
fn fulltext<'a>(
    all: &'a [TableFile<'_>],
    wanted: &BTreeSet<Key<'a>>,
    for_server: bool,
    notes: &mut Vec<String>,
) -> BTreeSet<&'a [u8]> {
    let of_another_engine: BTreeSet<Key<'_>> = all
        .iter()
        .filter(|file| file.role() == TableFileRole::Table && file.holds_rows() && !file.has_ending("ibd"))
        .map(TableFile::key)
        .collect();
    // One without a file for rows may be in the system tablespace.
    let databases: BTreeSet<&[u8]> =
        wanted.difference(&of_another_engine).map(|(database, _)| *database).collect();
    let files: Vec<&TableFile<'_>> = all
        .iter()
        .filter(|file| file.role() == TableFileRole::Fulltext && databases.contains(file.database()))
        .collect();
    if files.is_empty() {
        return BTreeSet::new();
    }
    if !for_server {
        notes.push(
            "The files of FULLTEXT indexes (FTS_…) are left out: only the server that made them can use them. Make such an \
             index anew."
                .into(),
        );
        return BTreeSet::new();
    }
    notes.push(format!(
        "All files of FULLTEXT indexes (FTS_…) of the database come along, {} files with {} MiB: which table one belongs \
         to, its name does not tell, and without its own a table with such an index ends the server.",
        files.len(),
        files.iter().map(|file| file.member.size).sum::<u64>().div_ceil(1 << 20)
    ));
    databases
}
