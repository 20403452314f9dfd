//! Who may keep the server from being frozen, and what that would cost it.

use std::time::Duration;

use super::finding::Finding;
use super::sql::LoginTrial;
use crate::cluster::NodeReport;

const TOPIC: &str = "lock";

/// The finding. The donor looks who holds a lock before it asks mysqld for the freeze; `lock_wait_timeout` bounds what comes
/// in between.
pub(super) fn judge(
    report: &NodeReport,
    flush_timeout: Duration,
    login: Option<&LoginTrial>,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(login) = login.filter(|login| !login.holders.is_empty()) {
        let text = format!("a backup would have to wait now: {}", login.holders);
        findings.push(Finding::warning(
            TOPIC,
            text,
            "wait for the end of that session, or KILL its thread".to_owned(),
        ));
    }
    let Some(seconds) = report.variable("lock_wait_timeout").and_then(|value| value.parse::<u64>().ok())
    else {
        return findings;
    };
    let enough = flush_timeout.as_secs().max(1);
    findings.push(if seconds <= enough {
        Finding::ok(TOPIC, format!("mysqld waits {seconds} s at most for the lock of the freeze (lock_wait_timeout)"))
    } else {
        let text = format!(
            "mysqld waits up to {seconds} s for the lock of the freeze (lock_wait_timeout), and all writes on this node with it, should \
             somebody lock a table in the moment before; the end of the donor's program does not end that"
        );
        let cure = format!(
            "SET GLOBAL lock_wait_timeout={enough}, and the same in [mysqld]; it holds for new sessions, whose DDL then waits no longer either"
        );
        Finding::warning(TOPIC, text, cure)
    });
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::sql::Endpoint;

    #[test]
    fn a_wait_without_end_is_told_and_so_is_who_holds_a_lock() {
        let of = |value: &str, holders: &str| {
            let report = NodeReport::of(Endpoint::Socket("/s".into()), &[("lock_wait_timeout", value)], &[]);
            let login = LoginTrial { holders: holders.into(), ..LoginTrial::default() };
            judge(&report, Duration::from_secs(60), Some(&login))
        };
        assert_eq!(of("60", "")[0].level, Level::Ok);
        let [long] = &of("86400", "")[..] else { panic!() };
        assert!(long.level == Level::Warning && long.text.contains("up to 86400 s"), "{long:?}");
        assert!(long.cure.as_deref().unwrap().starts_with("SET GLOBAL lock_wait_timeout=60,"), "{long:?}");
        let both = of("86400", "thread 7 holds LOCK TABLES d.t WRITE");
        assert!(both.len() == 2 && both[0].text.contains("thread 7") && both[0].cure.is_some(), "{both:?}");
    }
}
