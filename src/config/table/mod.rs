//! The one table of settings: what each is called, what it takes and does, what holds without it, and how its text is read.
//!
//! A new setting is an entry in one of the chapters and the field of [`Settings`](super::Settings) that the entry writes. From
//! the entry come its name in option files, its variable `WSREP_SST_BACKUP_<NAME>`, its value, `wsrep_sst_backup.cnf(5)`,
//! `doc/configuration.md`, the option file in `packaging/`, and the help of commands that have it as a flag ([`flag`]).

mod capture;
mod chapter;
mod dump;
mod encryption;
mod entry;
mod flag;
mod flag_help;
mod monitoring;
mod repository;
mod retention;
mod s3;
mod speed;
mod sql;
mod time_limits;

pub use chapter::Chapter;
pub(super) use entry::RawValue;
pub use entry::{Example, SettingSpec, Unset};
pub use flag::{Flag, flag};
pub use flag_help::{EVERY_COMMAND, FlagHelp};

/// All of them, in the order in which a person meets them.
///
/// They are read in this order: of two wrong values the first here is the one that is told.
pub const SETTINGS: &[Chapter] = &[
    repository::CHAPTER,
    capture::CHAPTER,
    dump::CHAPTER,
    speed::CHAPTER,
    encryption::CHAPTER,
    time_limits::CHAPTER,
    retention::CHAPTER,
    monitoring::CHAPTER,
    sql::CHAPTER,
    s3::CHAPTER,
];

/// Every setting, without its chapter.
pub(super) fn entries() -> impl Iterator<Item = &'static SettingSpec> + Clone {
    SETTINGS.iter().flat_map(|chapter| chapter.settings)
}

/// The setting of that name, in its normalised form.
pub(super) fn find(name: &str) -> Option<&'static SettingSpec> {
    entries().find(|entry| entry.name == name)
}

/// Whether the setting of that name, with this value, is a password or key.
pub fn is_secret(name: &str, value: &str) -> bool {
    // A proxy has a password where there is a user before its host.
    let has_one = name != "s3-proxy" || value.contains('@');
    has_one && find(name).is_some_and(|entry| entry.secret)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn every_setting_is_there_once_in_the_form_that_is_compared() {
        let names: Vec<&str> = entries().map(|entry| entry.name).collect();
        let once: BTreeSet<&str> = names.iter().copied().collect();
        assert_eq!(names.len(), once.len(), "one is there twice: {names:?}");
        for name in names {
            assert_eq!(crate::config::names::normalise(name), name);
        }
    }

    #[test]
    fn nothing_is_left_empty_and_every_meaning_is_a_sentence() {
        for entry in entries() {
            let texts = [entry.name, entry.value, entry.unset.words(), entry.meaning];
            assert!(texts.iter().all(|text| !text.is_empty() && !text.contains("  ")), "{entry:?}");
            assert!(entry.meaning.ends_with('.'), "{entry:?}");
            assert!(entry.note.is_empty() || entry.note.ends_with('.'), "{entry:?}");
        }
    }

    #[test]
    fn what_has_no_value_as_its_default_has_an_example() {
        for entry in entries() {
            let has_default = matches!(entry.unset, Unset::Is(_));
            assert!(has_default || !matches!(entry.example, Example::Default), "{entry:?}");
        }
    }
}
