//! The settings that commands have as flags.

use super::SETTINGS;

/// A setting as the flag of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flag {
    /// Its name, without dashes; that of the setting.
    pub name: &'static str,
    /// What its value is, for the help.
    pub value: &'static str,
    /// What it does there, for the help.
    pub help: &'static str,
}

/// The setting of that name as a flag of that command, for a `const`.
///
/// # Panics
///
/// Where the table does not have it, which in a `const` is an error of the compiler.
#[allow(clippy::panic, reason = "in a const it is an error of the compiler")]
pub const fn flag(name: &str, command: &str) -> Flag {
    let mut chapter = 0;
    while chapter < SETTINGS.len() {
        let mut setting = 0;
        while setting < SETTINGS[chapter].settings.len() {
            let entry = &SETTINGS[chapter].settings[setting];
            let mut at = 0;
            while is(entry.name, name) && at < entry.flags.len() {
                let told = &entry.flags[at];
                if has(told.commands, command) {
                    let value = match told.value {
                        Some(value) => value,
                        None => entry.value,
                    };
                    return Flag { name: entry.name, value, help: told.help };
                }
                at += 1;
            }
            setting += 1;
        }
        chapter += 1;
    }
    panic!("no such setting, or it is no flag of that command")
}

const fn has(commands: &[&str], command: &str) -> bool {
    let mut at = 0;
    while at < commands.len() {
        if is(commands[at], command) {
            return true;
        }
        at += 1;
    }
    false
}

/// `==`, which a `const fn` cannot call yet.
const fn is(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut at = 0;
    while at < one.len() && at < other.len() && one[at] == other[at] {
        at += 1;
    }
    at == one.len() && at == other.len()
}

#[cfg(test)]
mod tests {
    use super::super::flag_help::EVERY_COMMAND;
    use super::*;

    #[test]
    fn a_flag_is_told_as_its_command_tells_it() {
        let (verify, copy) = (flag("limit-rate", "verify"), flag("limit-rate", "copy"));
        assert_eq!((verify.name, verify.value), ("limit-rate", "RATE"));
        assert!(verify.help.starts_with("Read no more") && copy.help.starts_with("Copy no more"));
        assert_eq!(flag("repository", EVERY_COMMAND).value, "DIR");
    }

    #[test]
    fn names_are_compared_whole() {
        assert!(is("", "") && is("keep-last", "keep-last"));
        assert!(!is("keep", "keep-last") && !is("keep-last", "keep") && !is("keep-lasx", "keep-last"));
    }
}
