//! Narration.

use std::io::{IsTerminal, Write};

/// A line that begins a part.
pub(crate) fn heading(text: &str) {
    println!("\n{}", styled("1;36", &format!("── {text}")));
    flush();
}

/// A line within a part.
pub(crate) fn say(text: &str) {
    println!("   {text}");
    flush();
}

/// What a program or a log said, or a table.
pub(crate) fn show(text: &str) {
    for line in text.lines() {
        println!("   {} {line}", styled("2", "│"));
    }
    flush();
}

/// Text that stands out on a terminal.
pub(crate) fn styled(code: &str, text: &str) -> String {
    let plain = !std::io::stdout().is_terminal() || std::env::var_os("NO_COLOR").is_some();
    if plain { text.to_owned() } else { format!("\x1b[{code}m{text}\x1b[0m") }
}

/// Into a file or a pipe, too, each line comes when it happens.
fn flush() {
    let _ = std::io::stdout().flush();
}
