//! doc/architecture.md is true of the source: each folder stands in its table of layers, imports point down, each name of a
//! type is defined once, and the files that the page sends a newcomer to are there.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/architecture.md")).unwrap()
}

/// Every file of the program by its path below `src`, with its text.
fn files() -> BTreeMap<String, String> {
    fn collect(folder: &Path, into: &mut BTreeMap<String, String>) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                collect(&path, into);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(source()).unwrap().to_str().unwrap().to_owned();
                into.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    collect(&source(), &mut all);
    all
}

/// The words in backquotes.
fn quoted(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// The rows of the table below a heading, without its head.
fn rows<'a>(page: &'a str, heading: &str) -> Vec<&'a str> {
    let behind = page.split_once(heading).expect("the heading is there").1;
    let table =
        behind.lines().skip_while(|line| !line.starts_with('|')).take_while(|line| line.starts_with('|'));
    table.skip(2).collect()
}

/// The name of the module at the top that a file belongs to.
fn top(file: &str) -> &str {
    file.split('/').next().unwrap_or_default().trim_end_matches(".rs")
}

/// What stands in a file without comments and without the tests at its end.
fn code(text: &str) -> String {
    let text = text.split("\n#[cfg(test)]\nmod ").next().unwrap_or_default();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn each_folder_has_a_layer_and_imports_point_down() {
    let (page, files) = (page(), files());
    let mut layers = BTreeMap::new();
    for (number, row) in rows(&page, "## Layers").iter().enumerate() {
        for name in quoted(row.split('|').nth(1).unwrap()) {
            let name = top(name.trim_end_matches('/')).to_owned();
            let earlier = layers.insert(name.clone(), number);
            assert!(earlier.is_none_or(|earlier| earlier == number), "{name} has two layers");
        }
    }
    let folders: BTreeSet<&str> = files.keys().map(|file| top(file)).filter(|name| *name != "lib").collect();
    assert_eq!(layers.keys().map(String::as_str).collect::<BTreeSet<_>>(), folders, "the table of layers");
    let mut upwards = Vec::new();
    let mut followed = 0;
    for (file, text) in files.iter().filter(|(file, _)| !file.contains("test") && *file != "lib.rs") {
        let (code, own) = (code(text), top(file));
        assert!(!code.contains("crate::{"), "{file}: one import a line, so that this test can read it");
        for found in code.split("crate::").skip(1) {
            let imported: String =
                found.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect();
            let Some(layer) = layers.get(&imported) else { continue };
            followed += 1;
            // `main.rs`, `cli.rs` and `commands` are one layer, the first.
            if imported != own && *layer <= layers[own] && layers[own] != 0 {
                upwards.push(format!("{file} imports crate::{imported}"));
            }
        }
    }
    assert!(upwards.is_empty(), "not downwards:\n{}", upwards.join("\n"));
    assert!(followed > 500, "{followed} imports are not all");
}

#[test]
fn each_name_of_a_type_is_defined_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in files() {
        for line in text.lines() {
            // What is indented is the associated type of a trait, or is local to a function.
            let words: Vec<&str> =
                line.split([' ', '<', '(', ';', '{', '=', ':']).filter(|word| !word.is_empty()).collect();
            let at = words.iter().position(|word| ["struct", "enum", "trait", "type"].contains(word));
            let is_definition =
                !line.starts_with([' ', '/', '#']) && (at == Some(0) || words.first() == Some(&"pub"));
            if let Some(name) = at.filter(|_| is_definition).and_then(|at| words.get(at + 1)) {
                places.entry((*name).to_owned()).or_default().push(file.clone());
            }
        }
    }
    assert!(places.len() > 300, "{} types are not all", places.len());
    let twice: Vec<_> = places.iter().filter(|(_, files)| files.len() > 1).collect();
    assert!(twice.is_empty(), "one name, one meaning: {twice:?}");
}

#[test]
fn the_files_that_the_page_names_are_there() {
    let page = page();
    let mut followed = 0;
    for name in quoted(&page) {
        let is_path = Path::new(name).extension().is_some_and(|end| end == "rs")
            || (name.ends_with('/') && !name.contains(' '));
        if !is_path || name.starts_with("tests/") || ["packaging/", "mod.rs"].contains(&name) {
            continue;
        }
        followed += 1;
        assert!(source().join(name).exists(), "the page names src/{name}, which is not there");
    }
    assert!(followed > 50, "{followed} names are not all");
}
