//! One setting: its name, its default, its texts, and how a text becomes its value.

use super::flag_help::FlagHelp;
use crate::config::names::bool_value;
use crate::config::settings::Settings;
use crate::config::values::secret::Secret;
use crate::config::values::{ValueError, utf8};

/// A setting. Each takes a field of [`Settings`] for its own.
#[derive(Debug, Clone, Copy)]
pub struct SettingSpec {
    /// Its name in option files.
    pub name: &'static str,
    /// What its value is, with the unit, such as `TIME`.
    pub value: &'static str,
    /// Its default.
    pub unset: Unset,
    /// What it does. Plain text, whole sentences.
    pub meaning: &'static str,
    /// What stands above it in the option file that is shipped; empty where it belongs to the one before it.
    pub note: &'static str,
    /// What it is set to there.
    pub example: Example,
    /// Whether it is a password or key, which other users should not read.
    pub secret: bool,
    /// The commands that have it as a flag. A flag overrides the environment, which overrides the option files.
    pub flags: &'static [FlagHelp],
    pub(super) read: Setter,
}

/// The value of a setting that no layer has set.
#[derive(Debug, Clone, Copy)]
pub enum Unset {
    /// This value, read as if it stood in an option file.
    Is(&'static str),
    /// What these words say: there is no value, or it depends on others.
    Described(&'static str),
    /// What these words say, and the function finds.
    Found(&'static str, fn(&mut Settings)),
}

impl Unset {
    /// In words, for people.
    pub fn words(&self) -> &'static str {
        match self {
            Self::Is(words) | Self::Described(words) | Self::Found(words, _) => words,
        }
    }
}

/// What the option file that is shipped shows, commented out.
#[derive(Debug, Clone, Copy)]
pub enum Example {
    /// The default.
    Default,
    /// A value that could be used.
    Value(&'static str),
    /// Words in place of a value. The line is commented out twice: it could not be used as it is.
    Words(&'static str),
}

/// How a text or a switch becomes a field of the settings.
#[derive(Debug, Clone, Copy)]
pub(super) enum Setter {
    /// `name=text`.
    Text(fn(&mut Settings, &str) -> Result<(), ValueError>),
    /// The same; each line of the option files adds to those before it. Another layer replaces them all.
    List(fn(&mut Settings, &str) -> Result<(), ValueError>),
    /// `name=on`, `name`, `skip-name`, `disable-name`, `enable-name`.
    Switch(fn(&mut Settings, bool)),
}

/// A setting as one layer has it, before it is read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::config) enum RawValue {
    /// `name=text`.
    Text(Secret),
    /// `name` alone.
    Bare,
    /// `skip-name`, `enable-name` and the like.
    Switched(bool),
}

/// A setting that needs a value.
pub(super) const fn text(read: fn(&mut Settings, &str) -> Result<(), ValueError>) -> SettingSpec {
    entry(Setter::Text(read))
}

/// A setting that needs a value, which is a password or key.
pub(super) const fn secret(read: fn(&mut Settings, &str) -> Result<(), ValueError>) -> SettingSpec {
    SettingSpec { secret: true, ..entry(Setter::Text(read)) }
}

/// A setting of which each line of the option files adds to those before it.
pub(super) const fn list(read: fn(&mut Settings, &str) -> Result<(), ValueError>) -> SettingSpec {
    entry(Setter::List(read))
}

/// A setting that is on or off.
pub(super) const fn switch(put: fn(&mut Settings, bool)) -> SettingSpec {
    SettingSpec { value: "on | off", ..entry(Setter::Switch(put)) }
}

const fn entry(read: Setter) -> SettingSpec {
    SettingSpec {
        name: "",
        value: "",
        unset: Unset::Described(""),
        meaning: "",
        note: "",
        example: Example::Default,
        secret: false,
        flags: &[],
        read,
    }
}

/// Puts a value that was read into its field.
pub(super) fn set<T, F: From<T>>(field: &mut F, read: Result<T, ValueError>) -> Result<(), ValueError> {
    *field = read?.into();
    Ok(())
}

impl SettingSpec {
    /// Whether `skip-`, `disable-` and `enable-` apply to it, and a bare name is on.
    pub(in crate::config) fn is_switch(&self) -> bool {
        matches!(self.read, Setter::Switch(_))
    }

    /// Whether each line of the option files adds to those before it.
    pub(in crate::config) fn is_list(&self) -> bool {
        matches!(self.read, Setter::List(_))
    }

    /// Puts what one layer has said into its field.
    pub(in crate::config) fn take(&self, into: &mut Settings, said: &RawValue) -> Result<(), ValueError> {
        match (self.read, said) {
            (_, RawValue::Text(text)) => return self.read_text(into, text.expose()),
            (Setter::Switch(put), RawValue::Bare) => put(into, true),
            (Setter::Switch(put), RawValue::Switched(on)) => put(into, *on),
            (Setter::Text(_) | Setter::List(_), RawValue::Bare | RawValue::Switched(_)) => {
                return Err(ValueError::new(format!("needs a value: {}=…", self.name)));
            }
        }
        Ok(())
    }

    /// Puts what this text means into its field.
    pub(in crate::config) fn read_text(&self, into: &mut Settings, text: &str) -> Result<(), ValueError> {
        match self.read {
            Setter::Text(read) | Setter::List(read) => utf8(text).and_then(|text| read(into, text)),
            Setter::Switch(put) => {
                let wrong = || ValueError::new(format!("'{text}' is not one of 1, on, true, 0, off, false"));
                put(into, bool_value(text).ok_or_else(wrong)?);
                Ok(())
            }
        }
    }
}
