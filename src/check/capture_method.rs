//! By which method a backup would be taken, how long the server would stand still, and why not by another one.

use super::finding::Finding;
use super::freeze::Forecast;
use super::space::DataSize;
use crate::ui::{bytes, duration_ms};

const TOPIC: &str = "method";
const RUN_TOPIC: &str = "run";

/// The finding; the donor refuses what is an error here.
pub(super) fn judge(wanted: &str, found: &Result<Forecast, String>, data: &DataSize) -> Finding {
    let forecast = match found {
        Ok(forecast) => forecast,
        Err(why) => {
            let cure = "set 'method' to one that works here, or to auto";
            return Finding::error(TOPIC, format!("{why}: the donor refuses"), cure);
        }
    };
    let cost = match (forecast.about, forecast.reading, forecast.method.as_str()) {
        (Some(time), _, "precopy") => format!(
            "about {} beyond its own flush, and while what has changed since it was copied ahead is read again",
            duration_ms(time.max(1))
        ),
        (Some(time), ..) => format!("about {} beyond its own flush", duration_ms(time.max(1))),
        _ if forecast.commanded.is_some() => {
            let limit = duration_ms(forecast.commanded.unwrap_or_default());
            format!("while snapshot-command is at work, {limit} at most, beyond its own flush")
        }
        (None, None, "mariadb-backup") => {
            "not by this program; mariadb-backup holds it up for a moment".into()
        }
        (None, ..) => format!("while {} of data are read and stored", bytes(data.allocated)),
    };
    let by = if wanted == "auto" { " (auto)" } else { "" };
    let mut text = format!("{}{by}: the server stands still {cost}", forecast.method);
    for passed in &forecast.passed {
        text.push_str("; not ");
        text.push_str(passed);
    }
    Finding::ok(TOPIC, text)
}

/// What `run` would do here, which asks for no state transfer; that it may do nothing is no fault of the server's. `powerless` is the account that would
/// have to desync the node, and may not.
pub(super) fn judge_run(wanted: &str, found: &Result<Forecast, String>, powerless: Option<&str>) -> Finding {
    let forecast = match found {
        Ok(forecast) => forecast,
        Err(why) => {
            return Finding::ok(
                RUN_TOPIC,
                format!("a backup without garbd ('run') is not taken here: {why}"),
            );
        }
    };
    let cost = match (forecast.about, forecast.commanded) {
        (_, Some(limit)) => format!(
            "the server is locked while snapshot-command is at work, {} at most, beyond the wait for its lock",
            duration_ms(limit)
        ),
        (Some(time), None) => {
            format!(
                "the server is locked for about {} beyond the wait for its lock",
                duration_ms(time.max(1))
            )
        }
        (None, None) => "mariadb-backup reads the server as it works, and holds it up for a moment".into(),
    };
    let by = if wanted == "auto" { " (auto)" } else { "" };
    let mut text = format!("a backup without garbd ('run') is taken by {}{by}: {cost}", forecast.method);
    for passed in &forecast.passed {
        text.push_str("; not ");
        text.push_str(passed);
    }
    match powerless {
        None => Finding::ok(RUN_TOPIC, text),
        Some(user) => Finding::warning(
            RUN_TOPIC,
            format!(
                "{text}; but '{user}' has not the right SUPER, so it would be refused when it desyncs the node (wsrep_desync)"
            ),
            format!("GRANT SUPER ON *.* TO '{user}'@localhost, unless 'run' is not used here"),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn the_method_is_told_with_its_cost_and_those_that_do_not_work() {
        let forecast = |method: &str, about| Forecast {
            method: method.into(),
            passed: Vec::new(),
            reading: None,
            about,
            commanded: None,
        };
        let by_command = Forecast { commanded: Some(30_000), ..forecast("snapshot", None) };
        let data = DataSize { allocated: 3 << 30, ..DataSize::default() };
        let tell = |wanted: &str, found| judge(wanted, &found, &data);
        let passed = Forecast { passed: vec!["snapshot: no clones".into()], ..forecast("freeze", None) };
        for (wanted, found, text) in [
            (
                "auto",
                forecast("snapshot", Some(31)),
                "snapshot (auto): the server stands still about 31 ms beyond its own flush",
            ),
            (
                "auto",
                forecast("precopy", Some(60)),
                "precopy (auto): the server stands still about 60 ms beyond its own flush, and while what has changed since it was copied ahead is \
                 read again",
            ),
            (
                "auto",
                by_command,
                "snapshot (auto): the server stands still while snapshot-command is at work, 30.0 s at most, beyond its own flush",
            ),
            (
                "auto",
                passed,
                "freeze (auto): the server stands still while 3.00 GiB of data are read and stored; not snapshot: no clones",
            ),
            (
                "mariadb-backup",
                forecast("mariadb-backup", None),
                "mariadb-backup: the server stands still not by this program; mariadb-backup holds it up for a moment",
            ),
        ] {
            let finding = tell(wanted, Ok(found));
            assert_eq!((finding.level, finding.text.as_str()), (Level::Ok, text));
        }
        let refused = tell("snapshot", Err("no method works on this server: snapshot: no clones".into()));
        assert!(refused.level == Level::Error && refused.text.ends_with("the donor refuses"), "{refused:?}");
    }

    #[test]
    fn what_run_would_take_is_told_with_its_reason() {
        let of = |method: &str, about| Forecast {
            method: method.into(),
            passed: Vec::new(),
            reading: None,
            about,
            commanded: None,
        };
        let by_command = Forecast { commanded: Some(30_000), ..of("snapshot", None) };
        let passed = Forecast { passed: vec!["snapshot: no clones".into()], ..of("mariadb-backup", None) };
        for (wanted, found, text) in [
            (
                "auto",
                Ok(by_command),
                "a backup without garbd ('run') is taken by snapshot (auto): the server is locked while snapshot-command is at work, 30.0 s at most, \
                 beyond the wait for its lock",
            ),
            (
                "auto",
                Ok(of("snapshot", Some(31))),
                "is taken by snapshot (auto): the server is locked for about 31 ms",
            ),
            ("auto", Ok(passed), "holds it up for a moment; not snapshot: no clones"),
            ("freeze", Err("method 'freeze' reads".to_owned()), "is not taken here: method 'freeze' reads"),
        ] {
            let finding = judge_run(wanted, &found, None);
            assert!(finding.level == Level::Ok && finding.text.contains(text), "{finding:?}");
            let finding = judge_run(wanted, &found, Some("mysql"));
            let level = if found.is_ok() { Level::Warning } else { Level::Ok };
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
    }
}
