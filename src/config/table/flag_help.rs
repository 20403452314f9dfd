//! What the help of commands says of a setting.

/// The commands of which a setting is a flag, and what their help says of it.
#[derive(Debug, Clone, Copy)]
pub struct FlagHelp {
    /// The commands, or [`EVERY_COMMAND`].
    pub commands: &'static [&'static str],
    /// What its value is there, where that is less than in the option files.
    pub value: Option<&'static str>,
    /// What it does there.
    pub help: &'static str,
}

/// In place of a command: all of them have that flag.
pub const EVERY_COMMAND: &str = "every command";

pub(super) const fn flag_help(commands: &'static [&'static str], help: &'static str) -> FlagHelp {
    FlagHelp { commands, value: None, help }
}
