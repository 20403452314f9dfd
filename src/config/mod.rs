//! Option files, the environment and flags, resolved once into settings.
//!
//! Two things are configured in the files that every MariaDB program reads: we ourselves (group
//! `[wsrep_sst_backup]`, see [`Settings`]) and the server whose data we copy (its own groups, see
//! [`ServerOptions`]). Both start from [`OptionFiles`], which finds and parses the files as `mysys/my_default.c`
//! does. This layer depends on nothing else in the crate but `model` and the keys of `seal`, and nothing above it reads
//! a file, a flag or an environment variable to learn a setting.
//!
//! `files` finds and reads option files; `server` has what stands in them for the server; `table` has all settings of
//! ours, `values` the kinds of values they take, and `settings` puts both together.
//!
//! `table` and `settings` know each other, and only they do: an entry of the table writes its own field of [`Settings`], so that a setting
//! is one entry and one field; and `settings` goes through the table. Two lists that must agree would be the alternative.

mod files;
mod names;
mod server;
mod settings;
mod table;
mod values;

pub use files::{DefaultsArgs, OptionFileError, OptionFiles, Setting};
pub use server::{Given, ServerOptions, server_groups};
pub use settings::{ConfigError, PRIMARY_TIMEOUT, SettingOrigin, Settings, SettingsOverrides, environment};
pub use table::{
    Chapter, EVERY_COMMAND, Example, Flag, FlagHelp, SETTINGS, SettingSpec, Unset, flag, is_secret,
};
pub use values::ValueError;
pub use values::choice::{BinlogChoice, MethodChoice};
pub use values::command::CommandWords;
pub use values::dump::DumpSettings;
pub use values::duration::parse as parse_duration;
pub use values::repository::{RepositoryUrl, named_here};
pub use values::retention::Retention;
pub use values::s3::{S3Proxy, S3Settings, ServerEncryption};
pub use values::secret::Secret;
