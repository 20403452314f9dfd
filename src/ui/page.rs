//! What a command prints for a person: lines, of which none can become two.

use super::{Table, visible};

/// Lines that grow. There is no way to put a text on it that has not become harmless ([`visible`]).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TextPage(String);

impl TextPage {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A page of one line.
    pub fn of(text: impl AsRef<str>) -> Self {
        let mut page = Self::new();
        page.line(text);
        page
    }

    /// One line, whatever is in the text.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(&visible(text.as_ref()));
        self.0.push('\n');
    }

    /// An empty line.
    pub fn blank(&mut self) {
        self.0.push('\n');
    }

    /// A table.
    pub fn table(&mut self, table: &Table) {
        for line in table.render().lines() {
            self.line(line);
        }
    }

    /// Another page below.
    pub fn append(&mut self, page: &Self) {
        self.0.push_str(&page.0);
    }

    /// All of it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ui::Align;

    #[test]
    fn a_line_stays_one_line() {
        let mut page = TextPage::of("a\nb\r\u{1b}[2J");
        page.blank();
        let mut table = Table::new(&[("ID", Align::Left), ("NOTE", Align::Left)]);
        table.row(vec!["x\ny".into(), "n".into()]);
        page.table(&table);
        page.append(&TextPage::of("end"));
        assert_eq!(page.as_str(), "a\\nb\\r\\x1b[2J\n\nID    NOTE\nx\\ny  n\nend\n");
    }
}
