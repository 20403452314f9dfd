//! Lists what is in the program: a software bill of materials (CycloneDX 1.5), and the licences of all of it.
//!
//! usage: `cargo metadata --format-version 1 --locked --filter-platform TARGET | sbom DIRECTORY TREE NAME=VERSION=LICENCE…`
//!
//! TREE is a file with what `cargo tree --edges normal --prefix none --target TARGET` says. The arguments behind it are
//! what cargo does not know of, such as the C library that is linked in.
//! `scripts/package` runs it. The same input gives the same bytes: no time, no random number.
#![forbid(unsafe_code)]

mod licences;
mod metadata;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use metadata::{Graph, Package};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: sbom DIRECTORY TREE NAME=VERSION=LICENCE…";
    let directory = arguments.next().context(usage)?;
    let tree = fs::read_to_string(arguments.next().context(usage)?).context("cannot read the tree")?;
    let graph = Graph::read(std::io::stdin().lock(), &tree)?;
    let foreign: Vec<Value> = arguments.map(|text| foreign(&text)).collect::<Result<_>>()?;
    let directory = Path::new(&directory);
    fs::create_dir_all(directory)?;
    let checksums = checksums(&fs::read_to_string("Cargo.lock").context("cannot read Cargo.lock")?);
    let bom = bill(&graph, &checksums, foreign)?;
    fs::write(directory.join("sbom.cdx.json"), format!("{bom:#}\n"))?;
    fs::write(directory.join("licences.txt"), licences::text(&graph)?)?;
    Ok(())
}

fn bill(graph: &Graph, checksums: &BTreeMap<String, String>, foreign: Vec<Value>) -> Result<Value> {
    let (root, others) = (graph.root()?, graph.linked()?);
    let mut components: Vec<Value> =
        others.iter().map(|package| component(package, checksums)).collect::<Result<_>>()?;
    components.extend(foreign);
    let dependencies: Vec<Value> = std::iter::once(root)
        .chain(others.iter().copied())
        .map(|package| json!({ "ref": package.url(), "dependsOn": graph.direct(package) }))
        .collect();
    Ok(json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {
            "component": {
                "type": "application", "bom-ref": root.url(), "name": root.name, "version": root.version,
                "purl": root.url(), "licenses": [{ "expression": root.licence()? }],
            },
        },
        "components": components,
        "dependencies": dependencies,
    }))
}

fn component(package: &Package, checksums: &BTreeMap<String, String>) -> Result<Value> {
    let checksum = checksums
        .get(&format!("{} {}", package.name, package.version))
        .with_context(|| format!("Cargo.lock has no checksum of {}", package.name))?;
    Ok(json!({
        "type": "library", "bom-ref": package.url(), "name": package.name, "version": package.version,
        "purl": package.url(), "licenses": [{ "expression": package.licence()? }],
        "hashes": [{ "alg": "SHA-256", "content": checksum }],
    }))
}

/// Something that is linked and is no crate.
fn foreign(text: &str) -> Result<Value> {
    let parts: Vec<&str> = text.split('=').collect();
    let [name, version, licence] = parts[..] else {
        anyhow::bail!("'{text}' is not NAME=VERSION=LICENCE");
    };
    ensure!(!version.is_empty(), "the version of {name} is empty");
    Ok(json!({
        "type": "library", "bom-ref": format!("{name}@{version}"), "name": name, "version": version,
        "licenses": [{ "expression": licence }],
    }))
}

/// `name version` → SHA-256, from the lock file. Its entries are blocks of `key = "value"`.
fn checksums(lock: &str) -> BTreeMap<String, String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
        line.strip_suffix('"').map(ToOwned::to_owned)
    };
    let entry = |block: &str| {
        let name = format!("{} {}", value(block, "name")?, value(block, "version")?);
        Some((name, value(block, "checksum")?))
    };
    lock.split("[[package]]").filter_map(entry).collect()
}
