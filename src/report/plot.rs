//! A plot of bars over time as inline SVG.
//!
//! Places along the time are percentages and heights are pixels, so one drawing fits every width and its letters stay as
//! large as they are. Widths of bars follow from CSS. Each bar leads to the row of its backup.

use super::axis::{Tick, TimeAxis, share};
use super::markup::Markup;

/// Pixels from the base line to the top.
const HEIGHT: f64 = 168.0;

/// One bar.
#[derive(Debug)]
pub(super) struct PlotBar {
    /// Between 0 and 1.
    pub(super) at: f64,
    /// How high, with the class of the colour; painted in this order over each other.
    pub(super) parts: Vec<(&'static str, u64)>,
    /// What a pointer that rests on it is told.
    pub(super) title: String,
    /// The id of the row.
    pub(super) row: String,
}

/// A run that has failed: a cross, and the freeze that it has cost.
#[derive(Debug)]
pub(super) struct Cross {
    pub(super) at: f64,
    pub(super) frozen_ms: Option<u64>,
    pub(super) title: String,
    pub(super) row: String,
}

/// Everything in one plot.
#[derive(Debug)]
pub(super) struct Plot<'a> {
    pub(super) title: &'static str,
    /// Class and name of each colour.
    pub(super) legend: &'a [(&'static str, &'static str)],
    pub(super) bars: Vec<PlotBar>,
    pub(super) crosses: &'a [Cross],
    /// The value at the top.
    pub(super) top: u64,
    pub(super) ticks: Vec<Tick>,
    pub(super) time: &'a TimeAxis,
    pub(super) slots: u32,
    /// What it shows, for those who cannot see it.
    pub(super) label: String,
}

impl Plot<'_> {
    /// Draws it.
    pub(super) fn draw(&self, page: &mut Markup) {
        page.element("figure", &[("class", "plot")], |page| {
            page.element("figcaption", &[], |page| {
                page.leaf("span", &[("class", "name")], self.title);
                for (class, name) in self.legend {
                    page.element("span", &[("class", "key")], |page| {
                        page.element("i", &[("class", class)], |_| {});
                        page.text(name);
                    });
                }
            });
            let slots = format!("--slots:{}", self.slots);
            page.element("div", &[("class", "canvas"), ("style", &slots)], |page| {
                page.element("svg", &[("role", "group"), ("aria-label", &self.label)], |page| {
                    self.grid(page);
                    self.bars.iter().for_each(|bar| self.bar(page, bar));
                    self.crosses.iter().for_each(|cross| self.cross(page, cross));
                });
            });
        });
    }

    fn grid(&self, page: &mut Markup) {
        for tick in &self.ticks {
            let y = pixels(tick.at);
            let class = if tick.at == 0.0 { "base" } else { "grid" };
            page.void("line", &[("class", class), ("x1", "0"), ("x2", "100%"), ("y1", &y), ("y2", &y)]);
            let text = [("x", "-8"), ("y", y.as_str()), ("dy", "4"), ("text-anchor", "end")];
            page.leaf("text", &text, &tick.label);
        }
        let (below, end) = (format!("{}", HEIGHT + 5.0), format!("{}", HEIGHT + 20.0));
        for tick in self.time.ticks() {
            let (x, minor) = (percent(tick.at), if tick.is_minor { "minor" } else { "major" });
            let base = pixels(0.0);
            page.void("line", &[("class", "base"), ("x1", &x), ("x2", &x), ("y1", &base), ("y2", &below)]);
            page.leaf(
                "text",
                &[("class", minor), ("x", &x), ("y", &end), ("text-anchor", "middle")],
                &tick.label,
            );
        }
    }

    fn bar(&self, page: &mut Markup, bar: &PlotBar) {
        let (x, base) = (percent(bar.at), pixels(0.0));
        page.element("a", &[("href", &format!("#{}", bar.row))], |page| {
            page.leaf("title", &[], &bar.title);
            // The whole height takes the pointer, not the little that is painted.
            let top = pixels(1.0);
            page.void("line", &[("class", "touch"), ("x1", &x), ("x2", &x), ("y1", &base), ("y2", &top)]);
            for (class, value) in &bar.parts {
                let y = pixels(share(*value, self.top));
                let class = format!("bar {class}");
                page.void("line", &[("class", &class), ("x1", &x), ("x2", &x), ("y1", &base), ("y2", &y)]);
            }
        });
    }

    fn cross(&self, page: &mut Markup, cross: &Cross) {
        let (x, base) = (percent(cross.at), pixels(0.0));
        page.element("a", &[("href", &format!("#{}", cross.row))], |page| {
            page.leaf("title", &[], &cross.title);
            if let Some(frozen) = cross.frozen_ms {
                let y = pixels(share(frozen, self.top));
                page.void("line", &[("class", "bar bad"), ("x1", &x), ("x2", &x), ("y1", &base), ("y2", &y)]);
            }
            let y = format!("{}", HEIGHT - 7.0);
            page.element("svg", &[("x", &x), ("y", &y), ("class", "cross")], |page| {
                page.void("circle", &[("r", "8")]);
                page.void("path", &[("d", "M-4,-4L4,4M4,-4L-4,4")]);
            });
        });
    }
}

/// A height, between 0 and 1, as a place from above.
fn pixels(at: f64) -> String {
    format!("{:.1}", HEIGHT * (1.0 - at.clamp(0.0, 1.0)))
}

fn percent(at: f64) -> String {
    format!("{:.3}%", at * 100.0)
}
