//! The texts of the licences, from the sources of the crates; each text once, with the crates that have it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

use crate::metadata::{Graph, Package};

/// How the files are called.
const NAMES: [&str; 6] = ["LICENSE", "LICENCE", "COPYING", "NOTICE", "COPYRIGHT", "UNLICENSE"];

pub(crate) fn text(graph: &Graph) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut list = String::from("The crates that are linked into wsrep_sst_backup, and their licences:\n\n");
    for package in graph.linked()? {
        let (name, licence) = (format!("{} {}", package.name, package.version), package.licence()?);
        list.push_str(&format!("{name}: {licence}\n"));
        for text in files(package)? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    list.push_str(
        "\nThe C library of the system where it was built, GNU libc (LGPL-2.1-or-later), is linked in too.\n",
    );
    let mut texts: Vec<(Vec<String>, String)> = texts.into_iter().map(|(text, of)| (of, text)).collect();
    texts.sort();
    for (of, text) in texts {
        list.push_str(&format!("\n{}\n{}:\n\n{text}\n", "=".repeat(78), of.join(", ")));
    }
    Ok(list)
}

/// The texts in the folder of a crate.
fn files(package: &Package) -> Result<Vec<String>> {
    let folder = package.manifest_path.parent().context("a manifest without a folder")?;
    let mut texts = Vec::new();
    for entry in fs::read_dir(folder).with_context(|| format!("cannot read '{}'", folder.display()))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().to_ascii_uppercase();
        if entry.path().is_file() && NAMES.iter().any(|known| name.starts_with(known)) {
            let bytes = fs::read(entry.path())?;
            texts.push(String::from_utf8_lossy(&bytes).replace('\r', "").trim().to_owned());
        }
    }
    texts.sort();
    Ok(texts)
}
