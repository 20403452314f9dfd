//! What cargo says: packages (`cargo metadata`), and which of them are linked into the program (`cargo tree`).
//!
//! Both are needed: the graph of `cargo metadata` has features that only tests switch on, `cargo tree` has no licences.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

/// The packages and their dependencies.
#[derive(Debug, Deserialize)]
pub(crate) struct Graph {
    packages: Vec<Package>,
    resolve: Resolve,
    /// `name version` of those that are linked.
    #[serde(skip)]
    linked: BTreeSet<String>,
}

/// A crate.
#[derive(Debug, Deserialize)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    id: String,
    license: Option<String>,
    license_file: Option<PathBuf>,
    pub(crate) manifest_path: PathBuf,
}

#[derive(Debug, Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
    root: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Node {
    id: String,
    deps: Vec<Edge>,
}

#[derive(Debug, Deserialize)]
struct Edge {
    pkg: String,
    dep_kinds: Vec<Kind>,
}

#[derive(Debug, Deserialize)]
struct Kind {
    /// None for an ordinary dependency; `dev`, `build`.
    kind: Option<String>,
}

impl Package {
    /// Its name everywhere.
    pub(crate) fn url(&self) -> String {
        format!("pkg:cargo/{}@{}", self.name, self.version)
    }

    /// Its licence as an SPDX expression; the slash of old crates means "or". A text without a name is a reference.
    pub(crate) fn licence(&self) -> Result<String> {
        match (&self.license, &self.license_file) {
            (Some(text), _) => Ok(text.replace('/', " OR ")),
            (None, Some(_)) => Ok(format!("LicenseRef-{}-{}", self.name, self.version)),
            (None, None) => bail!("{} has no licence", self.name),
        }
    }
}

impl Graph {
    /// From `cargo metadata`, and the lines `name vVERSION …` of `cargo tree --edges normal --prefix none`.
    pub(crate) fn read(metadata: impl Read, tree: &str) -> Result<Self> {
        let mut graph: Self =
            serde_json::from_reader(metadata).context("this is not the output of cargo metadata")?;
        // Macros run in the compiler only.
        let crates = tree.lines().filter(|line| !line.contains("(proc-macro)"));
        let named = crates.filter_map(|line| {
            let mut words = line.split(' ');
            Some(format!("{} {}", words.next()?, words.next()?.strip_prefix('v')?))
        });
        graph.linked = named.collect();
        Ok(graph)
    }

    pub(crate) fn root(&self) -> Result<&Package> {
        let id = self.resolve.root.as_ref().context("cargo metadata names no root")?;
        self.package(id)
    }

    /// What is linked into the program, by name.
    pub(crate) fn linked(&self) -> Result<Vec<&Package>> {
        let root = &self.root()?.id;
        let others = self.packages.iter().filter(|package| package.id != *root && self.is_linked(package));
        let mut linked: Vec<&Package> = others.collect();
        linked.sort_by_key(|package| (&package.name, &package.version));
        Ok(linked)
    }

    /// Names of what a package itself depends on.
    pub(crate) fn direct(&self, package: &Package) -> Vec<String> {
        let node = self.resolve.nodes.iter().find(|node| node.id == package.id);
        let is_ordinary = |edge: &&Edge| edge.dep_kinds.iter().any(|kind| kind.kind.is_none());
        let edges = node.into_iter().flat_map(|node| node.deps.iter().filter(is_ordinary));
        let packages = edges.filter_map(|edge| self.package(&edge.pkg).ok());
        let names: BTreeSet<String> =
            packages.filter(|other| self.is_linked(other)).map(Package::url).collect();
        names.into_iter().collect()
    }

    fn is_linked(&self, package: &Package) -> bool {
        self.linked.contains(&format!("{} {}", package.name, package.version))
    }

    fn package(&self, id: &str) -> Result<&Package> {
        self.packages.iter().find(|package| package.id == id).with_context(|| format!("no package '{id}'"))
    }
}
