//! The page around the clusters.

use super::attention::{level, points};
use super::cluster::{pill, section};
use super::data::ReportData;
use super::markup::Markup;
use super::text::minute;

/// Nothing is fetched and nothing runs, whatever has got into the page.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; img-src data:";
const STYLE: &str = include_str!("style.css");

/// The whole document.
pub(super) fn page(report: &ReportData) -> String {
    let mut page = Markup::default();
    page.raw("<!DOCTYPE html>\n");
    page.element("html", &[("lang", "en"), ("xmlns", "http://www.w3.org/1999/xhtml")], |page| {
        page.element("head", &[], |page| head(page, report));
        page.raw("\n");
        page.element("body", &[], |page| body(page, report));
    });
    page.raw("\n");
    page.finish()
}

fn head(page: &mut Markup, report: &ReportData) {
    page.void("meta", &[("charset", "utf-8")]);
    page.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    page.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.void("meta", &[("name", "robots"), ("content", "noindex")]);
    page.void("link", &[("rel", "icon"), ("href", "data:,")]);
    let of = match &report.clusters[..] {
        [one] => format!(" of {}", one.folder),
        _ => String::new(),
    };
    page.leaf("title", &[], &format!("Backups{of}, {}", report.now.strftime("%Y-%m-%d")));
    page.element("style", &[], |page| page.raw(STYLE));
}

fn body(page: &mut Markup, report: &ReportData) {
    page.element("header", &[], |page| {
        page.leaf("h1", &[], "Galera backups");
        page.element("p", &[], |page| {
            page.leaf("code", &[], &report.repository);
            page.leaf("span", &[], &format!("as of {}", minute(report.now)));
        });
        if report.clusters.len() > 1 {
            contents(page, report);
        }
    });
    page.element("main", &[], |page| {
        if !report.unknown.is_empty() {
            unknown(page, &report.unknown);
        } else if report.clusters.is_empty() {
            nothing(page);
        }
        for (nth, cluster) in report.clusters.iter().enumerate() {
            page.raw("\n");
            section(page, cluster, nth, report.now);
        }
    });
    page.element("footer", &[], |page| {
        let made = format!(
            "Made by wsrep_sst_backup {} at {}. All times are UTC; ages are those of that moment.",
            report.version,
            report.now.strftime("%Y-%m-%d %H:%M:%S UTC")
        );
        page.leaf("p", &[], &made);
    });
}

/// The clusters, each with its state.
fn contents(page: &mut Markup, report: &ReportData) {
    page.element("nav", &[], |page| {
        for (nth, cluster) in report.clusters.iter().enumerate() {
            page.element("a", &[("href", &format!("#c{nth}"))], |page| {
                page.leaf("span", &[], &cluster.folder);
                pill(page, level(&points(cluster, report.now)));
            });
        }
    });
}

/// What is not on this page, although it may be there.
fn unknown(page: &mut Markup, unknown: &[String]) {
    page.element("section", &[("class", "nothing")], |page| {
        page.leaf("h2", &[], "Not everything could be looked into.");
        for why in unknown {
            page.leaf("p", &[], &format!("{why}: whatever backups are there are not on this page."));
        }
    });
}

fn nothing(page: &mut Markup) {
    page.element("section", &[("class", "nothing")], |page| {
        page.leaf("h2", &[], "There are no backups.");
        page.element("p", &[], |page| {
            page.leaf("code", &[], "wsrep_sst_backup check");
            page.text(" on a node says whether one would work, ");
            page.leaf("code", &[], "wsrep_sst_backup backup");
            page.text(" takes one.");
        });
    });
}
