//! The donors whose tables can be locked now.
//!
//! Asked before garbd's visit, which costs the cluster two configuration changes. A donor that is not asked cannot stand
//! still: its program looks once more, and refuses as well, but this is earlier, and another donor may be free.

use std::time::Duration;

use super::donor_choice::{DonorChoice, Refusal};
use super::{AskError, Event};
use crate::cluster::{Access, Survey};
use crate::config::Settings;
use crate::sql::{Availability, LockPatience, look_for_lock};

/// How the donors are looked at.
pub struct LockableDonors<'a> {
    /// How to ask them.
    pub access: &'a Access,
    /// Where they answer.
    pub survey: &'a Survey,
    /// `lock-timeout` and `flush-timeout`.
    pub settings: &'a Settings,
    /// Why the wait is over, such as Ctrl-C.
    pub is_over: &'a dyn Fn() -> Option<&'static str>,
}

impl LockableDonors<'_> {
    /// Takes those out of the choice whose tables another session has locked, as far as to the first that is free. Where none is,
    /// the first is waited for.
    pub fn find(&self, plan: &mut DonorChoice, tell: &mut dyn FnMut(&Event<'_>)) -> Result<(), AskError> {
        let mut blocked = Vec::new();
        for donor in &plan.donors {
            match self.look(donor, Duration::ZERO, &mut |_| {})? {
                Some(who) => blocked.push((donor.clone(), who)),
                None => break,
            }
        }
        if let Some((donor, who)) = blocked.first().filter(|_| blocked.len() == plan.donors.len()) {
            tell(&Event::Waiting(&format!("the tables of '{donor}' cannot be locked: {who}")));
            let waited = self.look(donor, self.settings.flush_timeout, &mut |_| {})?;
            blocked.remove(0);
            if let Some(who) = waited {
                let donor = plan.donors.swap_remove(0);
                let waited = self.settings.flush_timeout;
                return Err(AskError::Refused(Refusal::Locked { donor, who, waited }));
            }
        }
        for (donor, who) in blocked {
            plan.donors.retain(|name| *name != donor);
            plan.warnings
                .push(format!("'{donor}' is passed over, because its tables cannot be locked: {who}"));
            "the first whose tables can be locked".clone_into(&mut plan.reason);
        }
        Ok(())
    }

    /// Who keeps this member's tables from being locked; nothing where nobody does, or where that cannot be seen.
    fn look(
        &self,
        donor: &str,
        all: Duration,
        tell: &mut dyn FnMut(&str),
    ) -> Result<Option<String>, AskError> {
        let Some(report) = self.survey.report(donor) else { return Ok(None) };
        let (one_try, is_over) = (self.settings.lock_timeout, &|| (self.is_over)().is_some());
        let patience = LockPatience { one_try, all, own: &[], is_over };
        let connect = |limit| self.access.connect_within(&report.endpoint, limit);
        match look_for_lock(&connect, true, &patience, tell) {
            Availability::Free => Ok(None),
            Availability::Blocked(who) => Ok(Some(who)),
            Availability::Unknown(why) => {
                log::debug!("whether the tables of '{donor}' can be locked is left to its program: {why}");
                Ok(None)
            }
            Availability::GivenUp => Err(AskError::GivenUp((self.is_over)().unwrap_or("interrupted"))),
        }
    }
}
