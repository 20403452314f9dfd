//! Makes the fixtures of format 1: small repositories whose content is known without reading them.
//!
//! ```text
//! make_fixture DIRECTORY
//! ```
//!
//! Makes `DIRECTORY/<case>/repository/…` and `DIRECTORY/<case>/expected.json` for every case that is not there.
//! A case that is there is never touched: what was once released is what later versions must read. Two runs give
//! the same bytes (with the same libraries), but for the encrypted case, which has a random key inside.

mod expected;
mod other;
mod pages;
mod repository;
mod tree;

use std::path::Path;

use anyhow::{Context, Result};
use tree::Entry;
use wsrep_sst_backup::model::Compression;
use wsrep_sst_backup::seal::Recipient;

/// The key of the encrypted case. It protects nothing.
const SECRET_KEY: &str = "AGE-SECRET-KEY-1MGXYT3VHQ6L4TPCAF33GN8QC33S52MK93EEE5RDK8P5NR2ZC8P2Q5TWSRJ";
const PUBLIC_KEY: &str = "age1j4cux3c899ywg235hrrhyqd9gz5eyaxxvk7pfnmuuawv34mshfns6tf7vl";

/// How the archive of a case is made.
pub(crate) enum Writer {
    /// By the library, as a donor does.
    Ours(Compression),
    /// The same, encrypted for the key that is stored beside it.
    Encrypted(Compression),
    /// Allowed by the specification, and in everything unlike what the library writes.
    Other,
}

/// One fixture.
struct Case {
    name: &'static str,
    writer: Writer,
    entries: Vec<Entry>,
}

fn main() -> Result<()> {
    let directory = std::env::args_os().nth(1).context("usage: make_fixture DIRECTORY")?;
    let directory = Path::new(&directory);
    for case in cases() {
        let place = directory.join(case.name);
        if place.exists() {
            println!("{}: there already, left alone", case.name);
            continue;
        }
        make(&case, &place).with_context(|| format!("cannot make '{}'", place.display()))?;
        println!("{}: made", case.name);
    }
    Ok(())
}

fn cases() -> Vec<Case> {
    // Blocks have at least 256 KiB: the compressed cases have several, the plain one, which must stay small, two.
    let large = 1_200_000;
    let ours =
        |name, compression, bulk| Case { name, writer: Writer::Ours(compression), entries: tree::full(bulk) };
    vec![
        ours("zstd", Compression::Zstd, large),
        ours("gzip", Compression::Gzip, large),
        ours("bzip2", Compression::Bzip2, large),
        ours("none", Compression::None, 20_000),
        Case { name: "inside", writer: Writer::Ours(Compression::Zstd), entries: tree::inside(large) },
        Case {
            name: "encrypted",
            writer: Writer::Encrypted(Compression::Zstd),
            entries: tree::inside(large),
        },
        Case { name: "other-writer", writer: Writer::Other, entries: tree::full(100_000) },
    ]
}

fn make(case: &Case, place: &Path) -> Result<()> {
    let unfinished = place.with_extension("unfinished");
    if unfinished.exists() {
        std::fs::remove_dir_all(&unfinished)?;
    }
    let folder = unfinished.join("repository").join(repository::CLUSTER_FOLDER).join(repository::ID);
    std::fs::create_dir_all(&folder)?;
    match case.writer {
        Writer::Ours(compression) => repository::write(&folder, &case.entries, compression, &[])?,
        Writer::Encrypted(compression) => {
            let public = Recipient::read(PUBLIC_KEY).map_err(anyhow::Error::msg)?;
            repository::write(&folder, &case.entries, compression, &public)?;
            std::fs::write(unfinished.join("key.txt"), format!("{SECRET_KEY}\n"))?;
        }
        Writer::Other => other::write(&folder, &case.entries)?,
    }
    expected::write(&unfinished.join("expected.json"), case)?;
    std::fs::rename(&unfinished, place)?;
    Ok(())
}
