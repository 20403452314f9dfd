//! The marked blocks of a document.

use std::collections::BTreeSet;

use super::TEXT;

const MARK: &str = "<!-- step: ";

/// The names of all steps.
fn steps() -> Vec<String> {
    let names = TEXT.split(MARK).skip(1).map(|rest| rest.split_once(" -->").expect("the end of a mark").0);
    names.collect::<BTreeSet<_>>().into_iter().map(str::to_owned).collect()
}

/// The source text of a test has the name of each of them in quotes.
#[track_caller]
pub fn assert_each_is_run_by(source: &str) {
    let forgotten: Vec<String> =
        steps().into_iter().filter(|step| !source.contains(&format!("\"{step}\""))).collect();
    assert_eq!(forgotten, Vec::<String>::new());
}

/// The blocks of a step, in their order, as one script; with other values for what its first lines assign.
pub fn script(step: &str, values: &[(&str, &str)]) -> String {
    let mark = format!("{MARK}{step} -->\n");
    let script: String = TEXT.split(&mark).skip(1).map(block).collect();
    let is_assignment = |line: &&str| line.split_once('=').is_some_and(|(name, _)| is_name(name));
    let top: Vec<&str> = script.lines().take_while(is_assignment).collect();
    assert_eq!(
        top.iter().filter_map(|line| line.split('=').next()).collect::<Vec<_>>(),
        values.iter().map(|(name, _)| *name).collect::<Vec<_>>(),
        "what {step} assigns at its top is what is replaced, and nothing else is"
    );
    let mut lines: Vec<String> = values.iter().map(|(name, value)| format!("{name}='{value}'")).collect();
    lines.extend(script.lines().skip(top.len()).map(str::to_owned));
    lines.push(String::new());
    lines.join("\n")
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_uppercase() || c == '_')
}

/// The block that begins the text, without the indentation of its list.
fn block(rest: &str) -> String {
    let (indent, rest) = rest.split_once("```sh\n").expect("a block of shell behind its mark");
    assert!(indent.trim().is_empty(), "something stands between a mark and its block: {indent}");
    let (body, _) = rest.split_once("```").expect("the end of the block");
    let line = |line: &str| format!("{}\n", line.strip_prefix(indent).unwrap_or_else(|| line.trim_start()));
    let mut lines: Vec<String> = body.lines().map(line).collect();
    // The indentation of the closing fence.
    lines.pop_if(|last| last.trim().is_empty());
    lines.concat()
}
