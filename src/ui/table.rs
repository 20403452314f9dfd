//! Aligned columns.

use super::visible;

/// Which side of its column a cell keeps to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Align {
    /// Words.
    Left,
    /// Numbers.
    Right,
}

/// A table with a heading, two blanks between columns, no lines.
#[derive(Debug)]
pub struct Table {
    columns: Vec<(&'static str, Align)>,
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table.
    pub fn new(columns: &[(&'static str, Align)]) -> Self {
        Self { columns: columns.to_vec(), rows: Vec::new() }
    }

    /// One more row; missing cells are empty.
    pub fn row(&mut self, cells: Vec<String>) {
        // What is shown in place of a letter counts for the width of the column.
        self.rows.push(cells.into_iter().map(|cell| visible(&cell).into_owned()).collect());
    }

    /// The text, one line a row, without trailing blanks.
    pub fn render(&self) -> String {
        let heading: Vec<String> = self.columns.iter().map(|(name, _)| (*name).to_owned()).collect();
        let lines = || std::iter::once(&heading).chain(&self.rows);
        let widths: Vec<usize> = (0..self.columns.len())
            .map(|column| {
                lines().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
            })
            .collect();
        let mut text = String::new();
        for row in lines() {
            let mut line = String::new();
            for (column, (_, align)) in self.columns.iter().enumerate() {
                let cell = row.get(column).map_or("", String::as_str);
                let fill = " ".repeat(widths[column].saturating_sub(cell.chars().count()));
                let gap = if column == 0 { "" } else { "  " };
                match align {
                    Align::Left => line.extend([gap, cell, &fill]),
                    Align::Right => line.extend([gap, &fill, cell]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_by_characters() {
        let mut table = Table::new(&[("ID", Align::Left), ("SIZE", Align::Right), ("NODE", Align::Left)]);
        table.row(vec!["a".into(), "1.00 KiB".into(), "n\u{f6}de".into()]);
        table.row(vec!["bbb".into(), "7 B".into()]);
        assert_eq!(table.render(), "ID       SIZE  NODE\na    1.00 KiB  n\u{f6}de\nbbb       7 B\n");
    }
}
