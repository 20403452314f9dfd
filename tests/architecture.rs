//! doc/architecture.md is true of the source: each folder stands in its table of layers, imports point down, each name of a
//! type is defined once, and the files that the page sends a newcomer to are there.

#[path = "architecture/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use source::{Source, circles, code};

fn source() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn page() -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("doc/architecture.md")).unwrap()
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

#[test]
fn each_folder_has_a_layer_and_imports_point_down() {
    let (page, source) = (page(), Source::read(&source()));
    let mut layers = BTreeMap::new();
    for (number, row) in rows(&page, "## Layers").iter().enumerate() {
        for name in quoted(row.split('|').nth(1).unwrap()) {
            let name = top(name.trim_end_matches('/')).to_owned();
            let earlier = layers.insert(name.clone(), number);
            assert!(earlier.is_none_or(|earlier| earlier == number), "{name} has two layers");
        }
    }
    let folders: BTreeSet<&str> =
        source.texts.keys().map(|file| top(file)).filter(|name| *name != "lib").collect();
    assert_eq!(layers.keys().map(String::as_str).collect::<BTreeSet<_>>(), folders, "the table of layers");
    let mut upwards = Vec::new();
    let mut followed = 0;
    // `main.rs`, `cli.rs` and `commands` are one layer, the first.
    let is_upward = |own: &str, imported: &str| {
        imported != own && layers[imported] <= layers[own] && layers[own] != 0 && imported != "lib"
    };
    // The text finds what is named by `crate::`, also what is not there; the graph finds what is named in other ways.
    for (module, text) in &source.modules {
        let (file, code) = (&source.files[module], &text.code);
        if file == "lib.rs" {
            continue;
        }
        let is_plain =
            !code.contains("crate::{") && !code.contains("crate as ") && !code.contains("crate::*");
        assert!(is_plain, "{file}: one import a line, so that this test can read it");
        for found in code.split("crate::").skip(1) {
            let imported = source::words(found).next().unwrap_or_default();
            if !layers.contains_key(imported) {
                continue;
            }
            followed += 1;
            if is_upward(top(file), imported) {
                upwards.push(format!("{file} imports crate::{imported}"));
            }
        }
    }
    for (file, used) in source.graph() {
        let above = used.iter().filter(|used| is_upward(top(file), top(used)));
        upwards.extend(above.map(|used| format!("{file} uses {used}")));
    }
    assert!(upwards.is_empty(), "not downwards:\n{}", upwards.join("\n"));
    assert!(followed > 500, "{followed} imports are not all");
}

#[test]
fn each_name_of_a_type_is_defined_once() {
    let mut places: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (file, text) in Source::read(&source()).texts {
        // What is indented is the associated type of a trait, is local to a function or a test, or is public in a module.
        let code = code(&text);
        let inner = code.lines().filter(|line| line.trim_start().starts_with("pub") && line.starts_with(' '));
        for line in text.lines().filter(|line| !line.starts_with([' ', '/', '#'])).chain(inner) {
            let words: Vec<&str> =
                line.split([' ', '<', '(', ';', '{', '=', ':']).filter(|word| !word.is_empty()).collect();
            let at =
                words.iter().position(|word| ["struct", "enum", "trait", "type", "union"].contains(word));
            let is_definition = at == Some(0) || words.first() == Some(&"pub");
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

/// A `mod.rs` whose types its files speak of while it calls them: the circle is known, and why it stays.
const ARGUED: [(&str, &str); 2] = [
    (
        "catalog/mod.rs",
        "a record holds what its files find out of it (evidence, doubt), and they look at records; what tells a reader of the \
         whole catalog stands in one place",
    ),
    (
        "config/files/mod.rs",
        "`OptionFiles` is what the search fills and what reading begins; its fields are nobody else's",
    ),
];

#[test]
fn no_files_of_a_folder_lead_to_each_other() {
    let source = Source::read(&source());
    let graph = source.graph();
    let edges: usize = graph.values().map(BTreeSet::len).sum();
    assert!(edges > 1500, "{edges} uses are not all");
    let without = |passed: &[&str]| {
        let mut graph = graph.clone();
        for (file, used) in &mut graph {
            // Another folder that uses such a `mod.rs` is none of its files.
            used.retain(|used| {
                !passed.iter().any(|top| used == top && file.starts_with(top.trim_end_matches("mod.rs")))
            });
        }
        circles(&graph)
    };
    let argued = ARGUED.map(|(file, _)| file);
    let found = without(&argued);
    assert!(found.is_empty(), "what both speak of belongs into a file of its own: {found:#?}");
    for one in argued {
        let others: Vec<&str> = argued.into_iter().filter(|other| *other != one).collect();
        assert!(!without(&others).is_empty(), "{one} is in no circle any more: take it from the list");
    }
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = [Source::read(&source()).texts, source::texts(&folder.join("tests"))];
    let long = files.iter().flatten().map(|(file, text)| (file, text.lines().count()));
    let long: Vec<_> = long.filter(|(_, lines)| *lines > 350).collect();
    assert!(long.is_empty(), "more than 350 lines: {long:?}");
}
