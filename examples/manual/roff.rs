//! The little of roff that is needed beside `clap_mangen`.

/// Text in which nothing is taken for a command.
pub(crate) fn text(plain: &str) -> String {
    let escaped = plain.replace('\\', "\\e").replace('-', "\\-");
    escaped.lines().map(guarded).collect::<Vec<_>>().join("\n")
}

/// A line that begins with a dot or an apostrophe would be a command.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}

/// In bold.
pub(crate) fn bold(plain: &str) -> String {
    format!("\\fB{}\\fR", text(plain))
}

/// In italics.
pub(crate) fn italic(plain: &str) -> String {
    format!("\\fI{}\\fR", text(plain))
}

/// The head of a page. The string `Aq` is the apostrophe of `clap_mangen`.
pub(crate) fn title(name: &str, section: u8) -> String {
    format!(
        ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n.TH \"{}\" \"{section}\" \"\" \"{} {}\" \"\"\n",
        text(name),
        env!("CARGO_PKG_NAME"),
        env!("CARGO_PKG_VERSION")
    )
}

/// A section with its heading.
pub(crate) fn section(heading: &str, body: &str) -> String {
    format!(".SH \"{heading}\"\n{body}\n")
}

/// Terms with what they mean; both in roff already.
pub(crate) fn terms<'a>(of: impl IntoIterator<Item = (String, &'a str)>) -> String {
    of.into_iter().map(|(term, meaning)| format!(".TP\n{term}\n{}\n", text(meaning))).collect()
}

/// Lines as they are, indented.
pub(crate) fn example(lines: &str) -> String {
    format!(".PP\n.RS 4\n.nf\n{}\n.fi\n.RE\n", text(lines))
}
