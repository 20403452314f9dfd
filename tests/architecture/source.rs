//! The program's source as a graph: which file uses an item that another file defines.
//!
//! It reads text, as the code is formatted by `cargo fmt`: what stands at the beginning of a line is an item of the file.
//! A method that another file adds to a type is not seen, only names are.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// One file of the program, without its comments and its tests.
#[derive(Debug, Default)]
pub(crate) struct Module {
    pub(crate) code: String,
    /// The code without the `use` statements.
    rest: String,
    children: BTreeSet<String>,
    defines: BTreeSet<String>,
    uses: Vec<Use>,
}

#[derive(Debug, Clone)]
struct Use {
    path: Vec<String>,
    name: String,
    is_public: bool,
}

/// Each module by its path (`storage::s3`), and the path of its file below `src`.
pub(crate) struct Source {
    pub(crate) modules: BTreeMap<String, Module>,
    pub(crate) files: BTreeMap<String, String>,
    /// Every file below `src`, those of tests too, with its text.
    pub(crate) texts: BTreeMap<String, String>,
}

impl Source {
    /// Reads the folder; what only tests compile is left out of `modules`.
    pub(crate) fn read(folder: &Path) -> Self {
        let texts = texts(folder);
        let mut source = Self { modules: BTreeMap::new(), files: BTreeMap::new(), texts };
        source.add(String::new(), "lib.rs");
        source.add("main".to_owned(), "main.rs");
        source
    }

    fn add(&mut self, path: String, file: &str) {
        let module = Module::read(&self.texts[file]);
        for child in module.children.clone() {
            let inside = if path.is_empty() { child.clone() } else { format!("{path}::{child}") };
            let stem = inside.replace("::", "/");
            let found = [format!("{stem}.rs"), format!("{stem}/mod.rs")];
            let found = found.iter().find(|file| self.texts.contains_key(*file));
            let found = found.unwrap_or_else(|| panic!("{file} has `mod {child}`, whose file is not found"));
            self.add(inside, &found.clone());
        }
        self.files.insert(path.clone(), file.to_owned());
        self.modules.insert(path, module);
    }

    /// For each file the files whose items it uses. A mere re-export is no use.
    pub(crate) fn graph(&self) -> BTreeMap<&str, BTreeSet<&str>> {
        self.modules.iter().map(|(path, module)| (self.file(path), self.used_by(path, module))).collect()
    }

    fn file(&self, module: &str) -> &str {
        &self.files[module]
    }

    fn used_by(&self, path: &str, module: &Module) -> BTreeSet<&str> {
        // A method or function of the same name is another thing.
        let mentioned = module.rest.replace(" fn ", " fn_").replace('.', "._");
        let mentioned: BTreeSet<&str> = words(&mentioned).collect();
        let imported =
            module.uses.iter().filter(|one| !one.is_public || mentioned.contains(one.name.as_str()));
        let mut used: Vec<Vec<String>> = imported.map(|one| one.path.clone()).collect();
        used.extend(paths(&module.rest));
        let mut files: BTreeSet<&str> = used
            .iter()
            .filter_map(|used| self.defined_in(path, used, 0))
            .map(|found| self.file(&found))
            .collect();
        files.remove(self.file(path));
        files
    }

    /// The module that defines what a path means inside another one; none for what is not the program's, or is a module.
    fn defined_in(&self, inside: &str, path: &[String], depth: usize) -> Option<String> {
        let mut now = inside.to_owned();
        for (at, name) in path.iter().enumerate() {
            let module = self.modules.get(&now)?;
            match name.as_str() {
                "crate" | "wsrep_sst_backup" => now.clear(),
                "self" => {}
                "super" => now.truncate(now.rfind("::").unwrap_or(0)),
                "*" => return Some(now),
                name if module.children.contains(name) => {
                    now = if now.is_empty() { name.to_owned() } else { format!("{now}::{name}") };
                }
                name if module.defines.contains(name) => return Some(now),
                name if depth < 9 => {
                    return module.uses.iter().filter(|one| one.name == name || one.name == "*").find_map(
                        |one| {
                            let mut whole = one.path.clone();
                            if one.name == "*" {
                                whole.pop();
                                whole.push(name.to_owned());
                            }
                            whole.extend_from_slice(&path[at + 1..]);
                            // `use hosts;` in a module that has no such child means another crate.
                            let is_same = whole == path && now == inside;
                            (!is_same).then(|| self.defined_in(&now, &whole, depth + 1)).flatten()
                        },
                    );
                }
                _ => return None,
            }
        }
        None
    }
}

impl Module {
    fn read(text: &str) -> Self {
        let code = code(text);
        let mut module = Self::default();
        let mut statement: Option<String> = None;
        for line in code.lines() {
            if let Some(begun) = &mut statement {
                begun.push_str(line.trim());
            } else if is_use(line) {
                statement = Some(line.trim().to_owned());
            } else {
                module.item(line);
                // `mod ask;` names a file, and does not use what `pub use ask::ask;` shows.
                if !line.ends_with(';') || !line.contains("mod ") {
                    module.rest.push_str(line);
                    module.rest.push('\n');
                }
            }
            if statement.as_ref().is_some_and(|begun| begun.ends_with(';')) {
                module.uses.extend(expanded(&statement.take().unwrap_or_default()));
            }
        }
        module.rest = without_strings(&module.rest);
        module.code = code;
        module
    }

    /// What a line at the margin defines.
    fn item(&mut self, line: &str) {
        if line.starts_with([' ', '}', ')', '#', ']']) {
            return;
        }
        let mut name = words(line).skip_while(|word| {
            ["pub", "crate", "super", "in", "self", "const", "async", "unsafe", "extern"].contains(word)
                && !(line.contains("const ") && *word == "const" && !line.contains(" fn "))
        });
        let (kind, name) = (name.next().unwrap_or_default(), name.next().unwrap_or_default());
        let kinds = ["struct", "enum", "trait", "type", "fn", "const", "static"];
        if kind == "mod" && line.ends_with(';') {
            self.children.insert(name.to_owned());
        } else if kinds.contains(&kind) || kind == "mod" {
            self.defines.insert(name.to_owned());
        }
    }
}

/// Every Rust file below a folder, by its path there.
pub(crate) fn texts(folder: &Path) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    collect(folder, folder, &mut texts);
    texts
}

fn collect(root: &Path, folder: &Path, into: &mut BTreeMap<String, String>) {
    for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            collect(root, &path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
            into.insert(name, fs::read_to_string(&path).unwrap());
        }
    }
}

/// What stands in a file without comments and without what only its tests compile, wherever that stands.
pub(crate) fn code(text: &str) -> String {
    let mut kept = Vec::new();
    let mut lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    while let Some(line) = lines.next() {
        if line != "#[cfg(test)]" {
            kept.push(line.split(" // ").next().unwrap_or_default().trim_end());
            continue;
        }
        let item = lines.by_ref().find(|line| !line.starts_with('#')).unwrap_or_default();
        if !item.ends_with([';', '}']) {
            lines.by_ref().find(|line| line.starts_with('}'));
        }
    }
    kept.join("\n")
}

/// The text with nothing between the quotes of its strings.
fn without_strings(text: &str) -> String {
    let (mut kept, mut letters) = (String::new(), text.chars().peekable());
    let mut hashes = 0;
    while let Some(letter) = letters.next() {
        kept.push(letter);
        match letter {
            // A quote or a backslash as a character: '"', '\\', '\''.
            '\'' if letters.peek() == Some(&'"') => hashes = 0,
            '\'' if letters.peek() == Some(&'\\') => _ = letters.nth(1),
            '#' => hashes += 1,
            '"' if kept.ends_with("'\"") && letters.peek() == Some(&'\'') => _ = letters.next(),
            '"' => {
                let is_raw =
                    kept.trim_end_matches(['#', '"']).ends_with('r') && (hashes > 0 || kept.ends_with("r\""));
                let end = if is_raw { format!("\"{}", "#".repeat(hashes)) } else { "\"".to_owned() };
                let mut inside = String::new();
                while !inside.ends_with(&end) || (!is_raw && is_escaped(&inside)) {
                    let Some(next) = letters.next() else { break };
                    inside.push(next);
                }
                kept.push('"');
                hashes = 0;
            }
            _ => hashes = 0,
        }
    }
    kept
}

/// Whether the quote at the end of a string's text belongs to it.
fn is_escaped(inside: &str) -> bool {
    let before = &inside[..inside.len() - 1];
    (before.len() - before.trim_end_matches('\\').len()) % 2 == 1
}

fn is_use(line: &str) -> bool {
    let line = line.trim_start();
    line.starts_with("use ") || (line.starts_with("pub") && line.contains(" use ") && !line.contains('='))
}

/// The words of a text, as Rust sees names.
pub(crate) fn words(text: &str) -> impl Iterator<Item = &str> {
    text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter(|word| !word.is_empty())
}

/// `use a::{b, c::D as E};` as its single imports.
fn expanded(statement: &str) -> Vec<Use> {
    let is_public = statement.starts_with("pub");
    let tree = statement.split_once("use ").map_or("", |(_, tree)| tree).trim_end_matches(';');
    let mut all = Vec::new();
    branches("", tree, &mut all);
    all.into_iter()
        .map(|path| {
            let (path, alias) =
                path.split_once(" as ").map_or((path.as_str(), None), |(path, name)| (path, Some(name)));
            let mut path: Vec<String> = path.split("::").map(|part| part.trim().to_owned()).collect();
            if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
                path.pop();
            }
            let name = alias.map_or_else(|| path.last().cloned().unwrap_or_default(), str::to_owned);
            Use { path, name, is_public }
        })
        .collect()
}

fn branches(before: &str, tree: &str, into: &mut Vec<String>) {
    let Some((stem, inner)) = tree.split_once('{') else {
        into.push(format!("{before}{}", tree.trim()));
        return;
    };
    let inner = inner.trim().strip_suffix('}').expect("a `use` is closed as it is opened");
    let before = format!("{before}{}", stem.trim());
    let (mut depth, mut from) = (0, 0);
    for (at, letter) in inner.char_indices().chain([(inner.len(), ',')]) {
        match letter {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                if !inner[from..at].trim().is_empty() {
                    branches(&before, inner[from..at].trim(), into);
                }
                from = at + 1;
            }
            _ => {}
        }
    }
}

/// Each path of two names or more that stands in a text: `super::hold::read`.
fn paths(text: &str) -> Vec<Vec<String>> {
    let chains = text.split(|letter: char| !letter.is_alphanumeric() && letter != '_' && letter != ':');
    let whole = chains.map(|chain| chain.trim_matches(':')).filter(|chain| chain.contains("::"));
    whole.map(|chain| chain.split("::").map(str::to_owned).collect()).collect()
}

/// The files that lead to each other, as sets of more than one.
pub(crate) fn circles(graph: &BTreeMap<&str, BTreeSet<&str>>) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&str, BTreeSet<&str>> =
        graph.keys().map(|file| (*file, reach(graph, file))).collect();
    let mut all: Vec<BTreeSet<String>> = Vec::new();
    for (file, behind) in &reached {
        let circle: BTreeSet<String> = behind
            .iter()
            .filter(|other| reached[**other].contains(file))
            .map(|&other| other.to_owned())
            .collect();
        if !circle.is_empty() && !all.contains(&circle) {
            all.push(circle);
        }
    }
    all
}

fn reach<'a>(graph: &BTreeMap<&'a str, BTreeSet<&'a str>>, from: &str) -> BTreeSet<&'a str> {
    let (mut seen, mut open) = (BTreeSet::new(), vec![from]);
    while let Some(file) = open.pop() {
        for next in &graph[file] {
            if seen.insert(*next) {
                open.push(next);
            }
        }
    }
    seen
}
