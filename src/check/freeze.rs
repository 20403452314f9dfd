//! How long the server will be frozen where `limit-rate` holds the donor back.

use std::num::NonZeroU64;
use std::time::Duration;

use super::finding::Finding;
use super::space::DataSize;
use crate::throttle::millis;
use crate::ui::{bytes, duration_ms};

const TOPIC: &str = "freeze";

/// What is to be told of the limit. The donor refuses what is an error here.
pub(super) fn judge(data: &DataSize, rate: NonZeroU64, freeze_timeout: Duration) -> Finding {
    let limit = u64::try_from(freeze_timeout.as_millis()).unwrap_or(u64::MAX);
    // Holes are not read; what else is in the sizes (files that no backup has) is little.
    let (least, most) = (millis(data.allocated.min(data.apparent), rate), millis(data.apparent, rate));
    let takes = format!(
        "limit-rate ({} a second) keeps the server frozen for {}, while {} of data are read",
        bytes(rate.get()),
        duration_ms(most),
        bytes(data.apparent)
    );
    let cure = || {
        let enough = u128::from(data.apparent) * 1000 / u128::from(limit.max(1));
        let enough = enough / (1 << 20) + 1;
        format!("set limit-rate to {enough}M or more, or freeze-timeout to {}s or more", most / 1000 + 1)
    };
    let allowed = duration_ms(limit);
    if least > limit {
        Finding::error(TOPIC, format!("{takes}; freeze-timeout allows {allowed}: the donor refuses"), cure())
    } else if most > limit {
        let text = format!("{takes}, or less where files have holes; freeze-timeout allows {allowed}");
        Finding::warning(TOPIC, text, cure())
    } else {
        Finding::ok(TOPIC, format!("{takes}; freeze-timeout allows {allowed}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;

    #[test]
    fn a_limit_that_the_freeze_cannot_keep_is_told_with_one_that_it_can() {
        let data = DataSize { apparent: 96 << 30, allocated: 48 << 30, ..DataSize::default() };
        let of = |mib: u64| judge(&data, NonZeroU64::new(mib << 20).unwrap(), Duration::from_secs(3600));
        for (mib, level, text) in [
            (
                100,
                Level::Ok,
                "limit-rate (100 MiB a second) keeps the server frozen for 16 min 23 s, while 96.0 GiB",
            ),
            (28, Level::Ok, "58 min 30 s"),
            (
                27,
                Level::Warning,
                "1 h 00 min, while 96.0 GiB of data are read, or less where files have holes",
            ),
            (14, Level::Warning, "freeze-timeout allows 1 h 00 min"),
            (13, Level::Error, "freeze-timeout allows 1 h 00 min: the donor refuses"),
        ] {
            let finding = of(mib);
            assert!(finding.level == level && finding.text.contains(text), "{mib}: {finding:?}");
        }
        let cure = of(1).cure.unwrap();
        assert_eq!(cure, "set limit-rate to 28M or more, or freeze-timeout to 98305s or more");
    }
}
