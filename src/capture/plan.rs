//! Everything that can be wrong with the files is better known while the server runs.

use super::demand::Demands;
use super::engines::Engines;
use super::error::CaptureError;
use super::facts::Facts;
use super::files::FileList;
use super::layout::ServerLayout;
use super::listings::look_ahead;
use super::tablespaces::Tablespaces;
use super::walk::ListOptions;
use crate::config::BinlogChoice;

/// What is listed under the freeze, and what must be in that list.
pub struct Plan {
    pub(super) options: ListOptions,
    pub(super) demands: Demands,
    /// Those that the server has; the text says why it does not tell.
    pub(super) tablespaces: Result<Tablespaces, String>,
    /// Engines that are not frozen.
    pub(super) engines: Engines,
}

impl Plan {
    /// Looks at a server that runs. The list of its files tells what is to be expected; it is made anew under the freeze.
    pub fn make(
        layout: &ServerLayout,
        facts: &mut Facts,
        binlogs: BinlogChoice,
        allow_unfrozen: bool,
    ) -> Result<(Self, FileList), CaptureError> {
        let engines = Engines::ask(facts, &layout.datadir);
        facts.warnings.extend(engines.admit(allow_unfrozen, &layout.datadir)?);
        let options = ListOptions {
            binlogs,
            allow_unfrozen,
            unfrozen: engines.unfrozen.clone(),
            ..ListOptions::default()
        };
        let (mut expected, demands) = look_ahead(layout, facts, &options)?;
        expected.refuse()?;
        log::info!("{} files and directories, {} MiB", expected.entries.len(), expected.bytes >> 20);
        if let Some(named) = demands.tablespaces() {
            log::info!("all {named} tablespaces that the server names are among them");
        }
        let tablespaces = Tablespaces::of_server(facts, &layout.datadir);
        if let Err(why) = &tablespaces {
            log::info!("cannot ask which tablespaces the server has: {why}");
        }
        Ok((Self { options, demands, tablespaces, engines }, expected))
    }

    /// Those that the server has, which tell a table whose file is damaged from a file that no table uses; the text says why it does not tell.
    pub fn tablespaces(&self) -> Result<&Tablespaces, &str> {
        self.tablespaces.as_ref().map_err(String::as_str)
    }
}
