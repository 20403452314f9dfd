//! Option files, the environment and flags, resolved once into settings.
//!
//! Two things are configured in the files that every MariaDB program reads: we ourselves (group
//! `[wsrep_sst_backup]`, see [`Settings`]) and the server whose data we copy (its own groups, see
//! [`ServerOptions`]). Both start from [`OptionFiles`], which finds and parses the files as `mysys/my_default.c`
//! does. This layer depends on nothing else in the crate, and nothing above it reads a file, a flag or an
//! environment variable to learn a setting.

mod duration;
mod error;
mod expand;
mod gathered;
mod names;
mod option_files;
mod origin;
mod overrides;
mod parse;
mod repository;
mod retention;
mod s3;
mod search;
mod secret;
mod server_args;
mod server_groups;
mod server_options;
mod settings;
mod size;
mod table;
mod together;
mod value;

pub use duration::parse as parse_duration;
pub use error::ConfigError;
pub use gathered::environment;
pub use option_files::{DefaultsArgs, OptionFileError, OptionFiles, Setting};
pub use origin::Origin;
pub use overrides::SettingsOverrides;
pub use repository::{RepositoryUrl, named_here};
pub use retention::Retention;
pub use s3::{S3Proxy, S3Settings, ServerEncryption};
pub use secret::Secret;
pub use server_groups::server_groups;
pub use server_options::{Given, ServerOptions};
pub use settings::{PRIMARY_TIMEOUT, Settings};
pub use table::{Chapter, EVERY_COMMAND, Entry, Example, Flag, SETTINGS, Told, Unset, flag, is_secret};
pub use value::{BinlogChoice, Method, ValueError};
