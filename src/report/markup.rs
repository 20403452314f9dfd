//! Markup that cannot be broken out of: every text and every value goes through one place that escapes it, every element
//! is closed. What comes out is HTML and well-formed XML at once.

use std::fmt::Write;

use crate::ui::is_harmless;

/// A document that grows.
#[derive(Debug, Default)]
pub(super) struct Markup(String);

/// Names and values of an element.
pub(super) type Attributes<'a> = &'a [(&'static str, &'a str)];

impl Markup {
    /// The text.
    pub(super) fn finish(self) -> String {
        self.0
    }

    /// What is written here and comes from nowhere else, as it is.
    pub(super) fn raw(&mut self, own: &'static str) {
        self.0.push_str(own);
    }

    /// An element with what is in it.
    pub(super) fn element(
        &mut self,
        tag: &'static str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.start(tag, attributes);
        self.0.push('>');
        content(self);
        let _ = write!(self.0, "</{tag}>");
    }

    /// An element with a text in it.
    pub(super) fn leaf(&mut self, tag: &'static str, attributes: Attributes<'_>, text: &str) {
        self.element(tag, attributes, |markup| markup.text(text));
    }

    /// An element that has nothing in it, ever.
    pub(super) fn void(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        self.start(tag, attributes);
        self.0.push_str("/>");
    }

    fn start(&mut self, tag: &'static str, attributes: Attributes<'_>) {
        let _ = write!(self.0, "<{tag}");
        for (name, value) in attributes {
            let _ = write!(self.0, " {name}=\"");
            self.text(value);
            self.0.push('"');
        }
    }

    /// A text, whoever has written it.
    pub(super) fn text(&mut self, text: &str) {
        for letter in text.chars() {
            match letter {
                '&' => self.0.push_str("&amp;"),
                '<' => self.0.push_str("&lt;"),
                '>' => self.0.push_str("&gt;"),
                '"' => self.0.push_str("&quot;"),
                '\'' => self.0.push_str("&#39;"),
                // The same to a browser; a terminal that the page is printed on gets no line of somebody else's.
                '\n' => self.0.push_str("&#10;"),
                '\t' => self.0.push_str("&#9;"),
                // XML has no way to write the first of these; others turn round what stands behind them, or are not seen.
                letter if !is_harmless(letter) => self.0.push(char::REPLACEMENT_CHARACTER),
                letter => self.0.push(letter),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_text_becomes_markup() {
        let mut markup = Markup::default();
        markup.element("p", &[("title", "\"><script>")], |p| {
            p.text("</p><script>alert('1')</script> &\n\u{1b}[31m\0\r\u{202e}");
            p.void("br", &[]);
        });
        assert_eq!(
            markup.finish(),
            "<p title=\"&quot;&gt;&lt;script&gt;\">&lt;/p&gt;&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp;&#10;\
             \u{fffd}[31m\u{fffd}\u{fffd}\u{fffd}<br/></p>"
        );
    }
}
