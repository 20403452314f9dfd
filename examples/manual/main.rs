//! Writes the manual pages and the completions for shells, from the definitions that the program itself has.
//!
//! usage: `cargo run --example manual -- DIRECTORY`, or `… -- configuration` for the text of `doc/configuration.md` and
//! `… -- option-file` for that of `packaging/wsrep_sst_backup.cnf`
//!
//! `scripts/package` runs the first. It is no part of the program, which therefore does not carry it along.
#![forbid(unsafe_code)]

mod commands;
mod completions;
mod markdown;
mod option_file;
mod roff;
mod settings;

use std::fs;
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

fn main() -> Result<()> {
    let directory =
        std::env::args_os().nth(1).context("usage: manual DIRECTORY | configuration | option-file")?;
    let document = match directory.to_str() {
        Some("configuration") => Some(markdown::page()),
        Some("option-file") => Some(option_file::text()),
        _ => None,
    };
    if let Some(document) = document {
        std::io::stdout().write_all(document.as_bytes())?;
        return Ok(());
    }
    let directory = Path::new(&directory);
    write(&directory.join("man/wsrep_sst_backup.1"), commands::page()?)?;
    write(&directory.join("man/wsrep_sst_backup.cnf.5"), settings::page())?;
    completions::write_all(directory)
}

fn write(file: &Path, content: impl AsRef<[u8]>) -> Result<()> {
    let folder = file.parent().context("a file without a folder")?;
    fs::create_dir_all(folder).with_context(|| format!("cannot make '{}'", folder.display()))?;
    fs::write(file, content).with_context(|| format!("cannot write '{}'", file.display()))
}
