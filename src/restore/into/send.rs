//! The statements on their way to the server, and what is known when they stop.

use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::atomic::Ordering;

use super::accounts::Accounts;
use super::client::{Client, refused_line};
use super::error::LoadError;
use super::filter::{DumpPlace, Filter, LoadPass, WantedUnits};
use super::request::LoadRequest;
use super::source::DumpSource;
use super::survey::DumpSurvey;
use super::units::Splitter;
use crate::restore::feed::Fed;
use crate::restore::request::Control;
use crate::ui::bytes;

/// What one way through the dump sends.
pub(super) struct LoadRun<'a> {
    pub(super) program: PathBuf,
    pub(super) request: &'a LoadRequest,
    pub(super) source: &'a DumpSource<'a>,
    pub(super) survey: &'a DumpSurvey,
    pub(super) control: &'a Control<'a>,
}

/// What was sent.
pub(super) struct Sent {
    pub(super) bytes: u64,
    pub(super) accounts: Accounts,
}

/// Why no more is sent.
enum Stop {
    /// The client does not read any more.
    Closed,
    /// A signal.
    Interrupted,
    /// The dump cannot be read any further.
    Source(LoadError),
}

impl LoadRun<'_> {
    /// Sends it, and waits until the server has carried all of it out.
    pub(super) fn send(self, wanted: WantedUnits, accounts: Accounts) -> Result<Sent, LoadError> {
        let part = wanted.part;
        let database = self.request.default_database(self.survey).filter(|_| part == LoadPass::Data);
        let account = self.request.access.account();
        let mut client = Client::start(self.program.clone(), &self.request.endpoint, account, database)
            .map_err(|error| {
                LoadError::Refused(format!("cannot start '{}': {error}", self.program.display()))
            })?;
        let mut splitter = Splitter::new(Filter::new(wanted, accounts));
        let (mut sent, mut read) = (0, 0);
        let mut stop = self.pump(&mut splitter, &mut client, (&mut sent, &mut read)).err();
        let mut filter = splitter
            .finish()
            .map_err(|error| LoadError::Stopped(format!("the end of the dump is not understood: {error}")))?;
        if stop.is_none() {
            let rest = std::mem::take(&mut filter.out);
            stop = self.hand_on(&mut client, &rest, &mut sent).err();
        }
        let goes_on = || !self.control.interrupted.load(Ordering::Relaxed);
        let status = match &stop {
            // It has ended, or closes its input just before it does.
            None | Some(Stop::Closed) => client.end(goes_on),
            Some(_) => None,
        };
        let (program, words) = client.kill();
        match (stop, status) {
            (None, Some(status)) if status.success() => {
                Ok(Sent { bytes: sent, accounts: filter.into_accounts() })
            }
            (Some(Stop::Source(error)), _) => {
                let why = format!("{error}; so not all of it was sent");
                Err(self.stopped(&why, filter.last_place().as_ref(), read, part))
            }
            (_, Some(status)) => {
                let (why, line) = refusal(&program, status, &words, part);
                let place = line.map_or_else(|| filter.last_place(), |line| filter.place_of(line));
                Err(self.stopped(&why, place.as_ref(), read, part))
            }
            (_, None) => Err(self.stopped("interrupted", filter.last_place().as_ref(), read, part)),
        }
    }

    fn pump(
        &self,
        splitter: &mut Splitter<Filter>,
        client: &mut Client,
        (sent, read): (&mut u64, &mut u64),
    ) -> Result<(), Stop> {
        let mut stop = None;
        let outcome = self.source.read(self.control, &mut |piece, done| {
            let failed = |error: std::io::Error| LoadError::Stopped(error.to_string());
            splitter.feed(piece).map_err(failed)?;
            *read += piece.len() as u64;
            let out = std::mem::take(&mut splitter.sink().out);
            if let Err(why) = self.hand_on(client, &out, sent) {
                stop = Some(why);
                return Err(LoadError::Interrupted);
            }
            (self.control.progress)(done);
            Ok(())
        });
        match (stop, outcome) {
            (Some(stop), _) => Err(stop),
            (None, Err(LoadError::Interrupted)) => Err(Stop::Interrupted),
            (None, Err(error)) => Err(Stop::Source(error)),
            (None, Ok(())) if *read != self.survey.bytes => Err(Stop::Source(LoadError::Stopped(format!(
                "{} was changed while it was sent: it had {} bytes, and now has {read}",
                self.source.name(),
                self.survey.bytes
            )))),
            (None, Ok(())) => Ok(()),
        }
    }

    fn hand_on(&self, client: &mut Client, out: &[u8], sent: &mut u64) -> Result<(), Stop> {
        self.control.limiter.take(out.len() as u64);
        match client.write(out, || !self.control.interrupted.load(Ordering::Relaxed)) {
            Ok(Fed::All) => {
                *sent += out.len() as u64;
                Ok(())
            }
            Ok(Fed::GivenUp) => Err(Stop::Interrupted),
            // Its end tells why.
            Ok(Fed::Closed) | Err(_) => Err(Stop::Closed),
        }
    }

    /// How far it came, what is there now, and what to do next.
    fn stopped(&self, why: &str, place: Option<&DumpPlace>, read: u64, part: LoadPass) -> LoadError {
        let total = self.survey.bytes.max(1);
        let done = place.map_or(0, |place| place.offset).min(read);
        let percent = u128::from(done) * 100 / u128::from(total);
        let at = match place {
            Some(DumpPlace { database, table: Some(table), .. }) => {
                let database = database.as_deref().or_else(|| self.request.default_database(self.survey));
                format!(" in table {}.{table}", database.unwrap_or("?"))
            }
            Some(DumpPlace { database: Some(database), .. }) => format!(" in database {database}"),
            _ => String::new(),
        };
        let far = format!("it came to {} of {} ({percent} %){at}", bytes(done), bytes(self.survey.bytes));
        let is_begun = place.is_some();
        let next = match part {
            LoadPass::Accounts => {
                "the databases are loaded, and users and grants before that place are made: mend the cause, then load the users again \
                 with --users --overwrite"
                    .to_owned()
            }
            LoadPass::Data if !is_begun => "nothing of the dump's databases was changed".to_owned(),
            LoadPass::Data => format!(
                "what stands before that place in the dump is in the server at '{}', the rest is not: mend the cause, then load it again \
                 with --overwrite, which makes each table of the dump anew, or drop what was made",
                self.request.endpoint
            ),
        };
        LoadError::Stopped(format!("{why}; {far}; {next}"))
    }
}

/// What the client has said at its end, and the line of the dump that it is about.
fn refusal(
    program: &std::path::Path,
    status: ExitStatus,
    words: &[String],
    part: LoadPass,
) -> (String, Option<u64>) {
    let line = refused_line(words);
    let error = words.iter().rev().find(|line| line.starts_with("ERROR ")).map(|line| match part {
        // Behind `near` stands the statement, and in it what a password is stored as.
        LoadPass::Accounts => line.split(" near '").next().unwrap_or(line).to_owned(),
        LoadPass::Data => line.clone(),
    });
    let why = match (error, line) {
        (Some(error), Some(line)) => {
            format!("the server has refused the statement at line {line} of the dump: {error}")
        }
        (Some(error), None) => error,
        (None, _) if words.is_empty() => format!("'{}' has ended by itself ({status})", program.display()),
        (None, _) => format!("'{}' has ended ({status}): {}", program.display(), words.join(" | ")),
    };
    (why, line)
}
