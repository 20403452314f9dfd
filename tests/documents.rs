//! What the documents say about files, headings, messages and settings is true.

#[path = "../examples/manual/markdown.rs"]
mod markdown;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// `README.md`, `CONTRIBUTING.md`, `CHANGELOG.md` and `doc/*.md` with their texts.
fn documents() -> BTreeMap<PathBuf, String> {
    let listed = fs::read_dir(root().join("doc")).unwrap().map(|entry| entry.unwrap().path());
    let doc = listed.filter(|path| path.extension().is_some_and(|extension| extension == "md"));
    let all = doc.chain(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root().join(name)));
    all.map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

/// The lines outside blocks of code.
fn prose(text: &str) -> impl Iterator<Item = &str> {
    let mut in_block = false;
    text.lines().filter(move |line| {
        let is_fence = line.trim_start().starts_with("```");
        in_block ^= is_fence;
        !in_block && !is_fence
    })
}

/// The anchors of the headings, as GitHub makes them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text).filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#'));
    let mut found = BTreeSet::new();
    for heading in headings {
        let kept = heading.trim().chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
        let plain = kept.collect::<String>().to_lowercase().replace(' ', "-");
        let again = (1..).map(|number| format!("{plain}-{number}"));
        let name = std::iter::once(plain.clone()).chain(again).find(|name| !found.contains(name));
        found.insert(name.expect("numbers do not end"));
    }
    found
}

/// The targets of `[text](target)`.
fn links(text: &str) -> Vec<String> {
    let prose = prose(text).collect::<Vec<_>>().join("\n");
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
    targets.map(|(target, _)| target.to_owned()).collect()
}

#[test]
fn every_link_leads_to_a_file_and_a_heading() {
    let documents = documents();
    let mut wrong = Vec::new();
    let mut followed = 0;
    for (path, text) in &documents {
        for link in links(text).iter().filter(|link| !link.contains("://") && !link.starts_with("mailto:")) {
            followed += 1;
            let (file, anchor) = link.split_once('#').map_or((link.as_str(), None), |(f, a)| (f, Some(a)));
            let target = if file.is_empty() { path.clone() } else { path.parent().unwrap().join(file) };
            let Ok(target) = target.canonicalize() else {
                wrong.push(format!("{}: {link}: no such file", path.display()));
                continue;
            };
            let known = fs::read_to_string(&target).map(|text| anchors(&text)).unwrap_or_default();
            if anchor.is_some_and(|anchor| !known.contains(anchor)) {
                wrong.push(format!("{}: {link}: no such heading; there are {known:?}", path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(followed > 30, "{followed} links are not all");
}

#[test]
fn the_readme_and_the_index_name_every_document() {
    let documents = documents();
    for (index, folder) in [("README.md", "doc/"), ("doc/README.md", "")] {
        let listed = links(&documents[&root().join(index)]);
        for path in documents.keys().filter(|path| path.parent().unwrap().ends_with("doc")) {
            let name = format!("{folder}{}", path.file_name().unwrap().display());
            assert!(
                name == "README.md" || listed.iter().any(|link| link.split('#').next() == Some(&name)),
                "{index} does not link to {name}"
            );
        }
    }
}

/// Where the packages put documents, and what of the source they put there, by its path below that.
fn shipped() -> BTreeMap<String, String> {
    let layout = fs::read_to_string(root().join("packaging/layout")).unwrap();
    let lines = layout.lines().filter(|line| !line.starts_with('#'));
    let fields = lines.map(|line| line.split_whitespace().collect::<Vec<_>>());
    let fields =
        fields.filter(|fields| fields.len() == 4 && fields[0] == "all" && !fields[3].starts_with('@'));
    let below = |place: &str| place.strip_prefix("/usr/share/doc/wsrep-sst-backup/").map(ToOwned::to_owned);
    fields.filter_map(|fields| Some((below(fields[2])?, fields[3].to_owned()))).collect()
}

#[test]
fn the_packages_have_every_document_and_what_it_links_to() {
    let shipped = shipped();
    for (place, source) in &shipped {
        assert_eq!(place, source, "links between documents hold where they lie as in the source");
    }
    // The licence has a place of its own in each format; who changes the program has its source.
    let elsewhere = ["LICENSE", "CONTRIBUTING.md"];
    for (path, text) in documents() {
        let name = path.strip_prefix(root()).unwrap().display().to_string();
        if elsewhere.contains(&name.as_str()) {
            continue;
        }
        assert!(shipped.contains_key(&name), "no package has {name}");
        for link in links(&text).iter().filter(|link| !link.contains("://") && !link.starts_with('#')) {
            let file = link.split('#').next().unwrap_or_default();
            let target = path.parent().unwrap().join(file).canonicalize().unwrap();
            let target = target.strip_prefix(root().canonicalize().unwrap()).unwrap().display().to_string();
            let known = shipped.contains_key(&target) || elsewhere.contains(&target.as_str());
            assert!(known, "{name} links to {target}, which no package has");
        }
    }
}

/// All texts of the program, with the breaks of long literals taken out.
fn source() -> String {
    fn collect(folder: &Path, into: &mut String) {
        for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if entry.is_dir() {
                collect(&entry, into);
            } else if entry.extension().is_some_and(|extension| extension == "rs") {
                into.push_str(&fs::read_to_string(&entry).unwrap());
            }
        }
    }
    let mut all = String::new();
    collect(&root().join("src"), &mut all);
    let mut lines = all.lines();
    let mut joined = String::new();
    while let Some(line) = lines.next() {
        let mut line = line.to_owned();
        while let Some(first) = line.strip_suffix('\\') {
            line = format!("{first}{}", lines.next().unwrap_or_default().trim_start());
        }
        joined.push_str(&line);
        joined.push('\n');
    }
    joined
}

#[test]
fn every_message_of_troubleshooting_is_one_of_the_program() {
    let text = fs::read_to_string(root().join("doc/troubleshooting.md")).unwrap();
    let (ours, servers) = text.split_once("\n## What the server and garbd say\n").unwrap();
    let source = source();
    let messages = ours.lines().filter_map(|line| line.strip_prefix("### `")?.strip_suffix('`'));
    let mut seen = 0;
    for message in messages {
        seen += 1;
        for part in message.split('…').map(|part| part.trim_matches([' ', '\'', '(', ')', ';', ':', ','])) {
            assert!(source.contains(part), "the program never says '{part}' (of '{message}')");
        }
    }
    assert!(seen > 40, "{seen} messages");
    assert!(servers.contains("not from this program"));
}

/// The names of the findings that `check` can print.
fn findings() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(root().join("src/check")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path()).unwrap();
        let starts =
            ["TOPIC: &str =", "REPLICATION: &str =", "Finding::ok(", "Finding::warning(", "Finding::error("];
        let after = starts.iter().flat_map(|start| text.split(start).skip(1));
        let names = after.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split_once('"'));
        found.extend(names.map(|(name, _)| name.to_owned()));
    }
    found
}

#[test]
fn the_table_of_check_has_every_finding_and_no_other() {
    let text = fs::read_to_string(root().join("doc/check.md")).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `"));
    let listed: Vec<&str> = rows.filter_map(|row| Some(row.split_once('`')?.0)).collect();
    let names: BTreeSet<String> = listed.iter().map(ToString::to_string).collect();
    assert_eq!(names, findings());
    assert_eq!(listed.len(), names.len(), "a name stands twice: {listed:?}");
    assert!(names.len() >= 18, "{names:?}");
    let columns = text.lines().filter(|line| line.starts_with("| ")).map(|line| line.matches(" |").count());
    assert!(columns.into_iter().all(|count| count == 6), "a row has not six columns");
}

#[test]
fn the_configuration_reference_is_that_of_the_program() {
    let path = root().join("doc/configuration.md");
    let wanted = markdown::page();
    let found = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == wanted,
        "write it anew: cargo run --example manual -- configuration > doc/configuration.md\n{wanted}"
    );
}

/// With a path on which nothing else is to be found, so that one that begins its work fails.
#[test]
fn every_script_prints_its_usage_where_that_is_asked_for() {
    let programs = tempfile::tempdir().unwrap();
    for name in ["dirname", "sed"] {
        symlink(Path::new("/usr/bin").join(name), programs.path().join(name)).unwrap();
    }
    let scripts = fs::read_dir(root().join("scripts")).unwrap().map(|entry| entry.unwrap().path());
    let mut seen = 0;
    for script in scripts.filter(|path| path.is_file()) {
        for flag in ["--help", "-h"] {
            let ran = Command::new("/bin/bash").arg(&script).arg(flag).env("PATH", programs.path()).output();
            let ran = ran.unwrap();
            let usage = format!("\nusage: scripts/{}", script.file_name().unwrap().display());
            let said = String::from_utf8_lossy(&ran.stdout);
            assert!(
                ran.status.success() && ran.stderr.is_empty() && said.contains(&usage),
                "{script:?}: {ran:?}"
            );
            assert!(said.lines().all(|line| !line.starts_with('#')), "{said}");
        }
        seen += 1;
    }
    assert!(seen >= 15, "{seen}");
}
