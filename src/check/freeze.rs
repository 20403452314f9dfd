//! How long the server will be frozen where `limit-rate` holds the donor back.

use std::num::NonZeroU64;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::finding::Finding;
use super::space::DataSize;
use crate::capture::{Choice, Estimate};
use crate::model::PassedMethod;
use crate::output::millis;
use crate::ui::{bytes, duration_ms};

const TOPIC: &str = "freeze";

/// What a backup of this server would be taken by, and how long it would stand still.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Forecast {
    /// The method's name.
    pub(super) method: String,
    /// Why methods before it are not taken.
    pub(super) passed: Vec<String>,
    /// Milliseconds, at least and at most, where it stands still while its data is read and that time is known.
    pub(super) reading: Option<(u64, u64)>,
    /// Milliseconds beyond its flush, where it does not stand still so long.
    pub(super) about: Option<u64>,
    /// Milliseconds at most, where it stands still while the administrator's own snapshot is taken.
    pub(super) commanded: Option<u64>,
}

impl From<Choice> for Forecast {
    fn from(choice: Choice) -> Self {
        let (reading, about) = match choice.estimate {
            Estimate::WhileRead { least, most } => (least.map(millis).zip(most.map(millis)), None),
            Estimate::About(time) => (None, Some(millis(time))),
            Estimate::Commanded(_) | Estimate::Unfrozen => (None, None),
        };
        let commanded =
            if let Estimate::Commanded(limit) = choice.estimate { Some(millis(limit)) } else { None };
        let passed = choice.passed.iter().map(PassedMethod::to_string).collect();
        Self { method: choice.method.name().into(), passed, reading, about, commanded }
    }
}

/// What is to be told of the limit. The donor refuses what is an error here.
pub(super) fn judge(
    forecast: &Forecast,
    data: &DataSize,
    rate: NonZeroU64,
    freeze_timeout: Duration,
) -> Option<Finding> {
    let limit = millis(freeze_timeout);
    let (least, most) = forecast.reading?;
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
    Some(if least > limit {
        Finding::error(TOPIC, format!("{takes}; freeze-timeout allows {allowed}: the donor refuses"), cure())
    } else if most > limit {
        let text = format!("{takes}, or less where files have holes; freeze-timeout allows {allowed}");
        Finding::warning(TOPIC, text, cure())
    } else {
        Finding::ok(TOPIC, format!("{takes}; freeze-timeout allows {allowed}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::METHODS;
    use crate::check::Level;
    use crate::quiesce::Files;
    use crate::throttle::time_for;

    #[test]
    fn a_limit_that_the_freeze_cannot_keep_is_told_with_one_that_it_can() {
        let data = DataSize { apparent: 96 << 30, allocated: 48 << 30, ..DataSize::default() };
        let of = |mib: u64| {
            let rate = NonZeroU64::new(mib << 20).unwrap();
            let time = |bytes| Some(time_for(bytes, rate));
            let (least, most) = (time(data.allocated), time(data.apparent));
            let [method, ..] = METHODS else { panic!() };
            let estimate = Estimate::WhileRead { least, most };
            let files = Files::Clean;
            let forecast =
                Choice { method: *method, estimate, files, passed: Vec::new(), is_automatic: true }.into();
            judge(&forecast, &data, rate, Duration::from_secs(3600)).unwrap()
        };
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
