//! A long wait that is told: lines that stay, and on a terminal a bar that moves below them. All on stderr.

use std::io::{IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::{TextPage, visible};

/// Lines and a bar.
#[derive(Debug)]
pub struct LiveLines {
    bar: Option<ProgressBar>,
}

impl Default for LiveLines {
    fn default() -> Self {
        Self::new()
    }
}

impl LiveLines {
    /// Without a bar yet.
    pub fn new() -> Self {
        Self { bar: None }
    }

    /// A line that stays.
    pub fn line(&self, text: &str) {
        self.page(&TextPage::of(text));
    }

    /// Lines that stay.
    pub fn page(&self, page: &TextPage) {
        let print = || {
            let _ = write!(std::io::stderr(), "{}", page.as_str());
        };
        match &self.bar {
            Some(bar) => bar.suspend(print),
            None => print(),
        }
    }

    /// The bar: bytes done, and words behind them. Nothing where stderr is no terminal.
    pub fn bar(&mut self, done: u64, total: Option<u64>, words: &str) {
        if !std::io::stderr().is_terminal() {
            return;
        }
        let bar = self.bar.get_or_insert_with(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
            bar.enable_steady_tick(std::time::Duration::from_millis(200));
            bar
        });
        let template = match total {
            Some(_) => {
                "{bar:24} {percent:>3}%  {binary_bytes} of {binary_total_bytes}  {binary_bytes_per_sec}  {eta} left  {msg}"
            }
            None => "{spinner} {elapsed}  {msg}",
        };
        if bar.length() != total || total.is_none() {
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style.progress_chars("=> "));
            }
            if let Some(total) = total {
                bar.set_length(total);
                bar.reset_eta();
            }
        }
        bar.set_position(done);
        bar.set_message(visible(words).into_owned());
    }

    /// Takes the bar away.
    pub fn clear(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for LiveLines {
    fn drop(&mut self) {
        self.clear();
    }
}
