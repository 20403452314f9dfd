//! A copy where one side fails, dies, or is changed by somebody else at each of its operations in turn.

use std::fs;
use std::sync::atomic::AtomicUsize;

use super::*;
use crate::storage::testing::{Operation, Whims, Whimsical};

/// Something fails, dies, or happens on the side at operation N.
struct Odd {
    count: AtomicUsize,
    at: usize,
    what: Whim,
}

enum Whim {
    /// This operation fails, and no other.
    Fails,
    /// This one and all others.
    Dies,
    /// Something happens before it.
    Happens(Box<dyn Fn() + Send + Sync>),
    /// The same, and from that operation on all fail but removals.
    Meanwhile(Box<dyn Fn() + Send + Sync>, usize),
}

/// A side of the two whose operation N is odd.
fn odd(two: &Two, side: &str, at: usize, what: Whim) -> Arc<Whimsical<Odd>> {
    let odd = Odd { count: AtomicUsize::new(0), at, what };
    Arc::new(Whimsical::new(two.folder.path().join(side), odd))
}

impl Whims for Odd {
    fn before(&self, operation: Operation, _: &str) -> io::Result<()> {
        let number = self.count.fetch_add(1, Ordering::Relaxed);
        if let Whim::Happens(work) | Whim::Meanwhile(work, _) = &self.what
            && number == self.at
        {
            work();
        }
        let fails = match &self.what {
            Whim::Fails => number == self.at,
            Whim::Dies => number >= self.at,
            Whim::Happens(_) => false,
            Whim::Meanwhile(_, then) => {
                number >= *then && !matches!(operation, Operation::Remove | Operation::Open | Operation::List)
            }
        };
        if fails { Err(io::Error::other("no more")) } else { Ok(()) }
    }

    /// The dead remove nothing.
    fn leaves_remains(&self) -> bool {
        matches!(self.what, Whim::Dies)
    }
}

/// Runs a copy once with each operation of one side gone wrong, until none is left to go wrong; how many there were.
fn with_each(
    side: &str,
    whim: fn() -> Whim,
    check: impl Fn(&Two, usize, Result<CopyOutcome, CopyError>),
) -> usize {
    for at in 0.. {
        let two = Two::new();
        let odd = odd(&two, side, at, whim());
        let storage: Arc<dyn Storage> = Arc::<Whimsical<Odd>>::clone(&odd);
        let outcome = match side {
            "here" => two.copy(storage, &two.local("there"), 0),
            _ => two.copy(two.local("here"), &storage, 0),
        };
        check(&two, at, outcome);
        if odd.whims.count.load(Ordering::Relaxed) <= at {
            return at;
        }
    }
    0
}

#[test]
fn what_fails_leaves_nothing_and_the_next_one_succeeds() {
    for side in ["here", "there"] {
        let operations = with_each(
            side,
            || Whim::Fails,
            |two, at, outcome| match outcome {
                Ok(_) => assert!(two.is_complete(), "{side} {at}"),
                Err(error) => {
                    assert!(
                        !error.is_damage() && error.to_string().ends_with("no more"),
                        "{side} {at}: {error}"
                    );
                    two.assert_no_backup(&error);
                    assert_eq!(two.copy_plain().unwrap(), CopyOutcome::Copied);
                }
            },
        );
        assert!(operations >= 12, "{side}: {operations}");
    }
}

#[test]
fn who_dies_anywhere_leaves_no_backup_that_looks_complete() {
    let operations = with_each(
        "there",
        || Whim::Dies,
        |two, at, outcome| {
            assert!(two.is_complete() || !two.there(MANIFEST).exists(), "{at}: {outcome:?}");
            if !two.is_complete() && two.there(STATUS).exists() {
                let error = two.copy_plain().unwrap_err().to_string();
                assert!(
                    error.contains("somebody is at work on backup") && error.ends_with("in a minute"),
                    "{error}"
                );
            }
            let wanted = if two.is_complete() { CopyOutcome::AlreadyThere } else { CopyOutcome::Copied };
            assert_eq!(two.copy(two.local("here"), &two.local("there"), 3).unwrap(), wanted, "{at}");
            assert!(two.is_complete(), "{at}");
        },
    );
    assert!(operations >= 12, "{operations}");
}

#[test]
fn what_changes_size_behind_the_list_is_seen_too() {
    for (bytes, words) in
        [(700_000, "it has more than the 600000 bytes that"), (10, "it has 10 bytes, the manifest says")]
    {
        let mut seen = 0;
        for at in 0..14 {
            let two = Two::new();
            let path = two.here(ARCHIVE);
            let work = move || fs::write(&path, vec![7; bytes]).unwrap();
            let odd = odd(&two, "here", at, Whim::Happens(Box::new(work)));
            // At the last operations all of it has been read.
            if let Err(error) = two.copy(odd, &two.local("there"), 0) {
                assert!(error.is_damage() && !two.there("").exists(), "{error}");
                seen += usize::from(error.to_string().contains(words));
            }
        }
        assert!(seen > 0, "{words}");
    }
}

#[test]
fn a_backup_that_is_pruned_meanwhile_is_not_taken_for_damaged() {
    for at in 0..9 {
        let two = Two::new();
        let folder = two.here("");
        let work = move || fs::remove_dir_all(&folder).unwrap();
        let odd: Arc<dyn Storage> = odd(&two, "here", at, Whim::Happens(Box::new(work)));
        let source = two.source(Arc::clone(&odd));
        let outcome = copy(&source, &two.local("there"), Timestamp::now(), &|_| {}, &AtomicBool::new(false));
        match outcome {
            // What was open already could be read to its end.
            Ok(_) => assert!(two.there(MANIFEST).exists() && at > 5),
            Err(error) => {
                assert!(error.may_be_removal() && source.is_removed(), "{at}: {error}");
                assert!(!two.there("").exists(), "{at}");
            }
        }
    }
}

#[test]
fn what_is_removed_there_before_the_manifest_comes_is_missed() {
    for name in [ARCHIVE, INDEX] {
        let missed = with_each("there", || Whim::Fails, |_, _, _| {});
        let mut seen = 0;
        for at in 0..missed {
            let two = Two::new();
            let path = two.there(name);
            let work = move || drop(fs::remove_file(&path));
            let odd = odd(&two, "there", at, Whim::Happens(Box::new(work)));
            match two.copy(two.local("here"), &(odd as Arc<dyn Storage>), 0) {
                Err(error @ CopyError::Vanished { .. }) => {
                    seen += 1;
                    assert!(error.to_string().contains(&format!("{name}: it is missing")), "{error}");
                    two.assert_no_backup(&error);
                    assert!(two.there(STATUS).exists());
                }
                Ok(_) => {}
                Err(error) => panic!("{error}"),
            }
        }
        assert!(seen >= 2, "{name}: {seen}");
    }
}

/// Two copies work on the same folder, since one takes the other for dead. Whatever becomes of the first at whichever
/// moment, and whenever the second one is through, what has a manifest is whole.
#[test]
fn of_two_at_once_none_takes_away_what_the_other_has() {
    let operations = with_each("there", || Whim::Fails, |_, _, _| {});
    let mut completed = 0;
    for at in 0..operations + 6 {
        for then in at.saturating_sub(4)..=at + 2 {
            let two = Arc::new(Two::new());
            let other = Arc::clone(&two);
            let stop = Arc::new(AtomicBool::new(false));
            let stopped = Arc::clone(&stop);
            // The second copy begins and ends in between: before the first one fails, or while that takes back what it has made.
            let work = move || {
                let _ = other.copy(other.local("here"), &other.local("there"), 3);
                stopped.store(true, Ordering::Relaxed);
            };
            let odd = odd(&two, "there", at, Whim::Meanwhile(Box::new(work), then));
            let target: Arc<dyn Storage> = odd;
            let outcome = copy(&two.source(two.local("here")), &target, Timestamp::now(), &|_| {}, &stop);
            let is_other_through = stop.load(Ordering::Relaxed);
            assert!(two.is_complete() || !is_other_through, "{at} {then}: {outcome:?}");
            completed += usize::from(is_other_through && outcome.is_err());
        }
    }
    assert!(completed > 20, "{completed}");
}

/// `prune` of the other repository removes what is there already, or what has just come, manifest first.
#[test]
fn what_is_pruned_there_meanwhile_is_no_damage_and_no_copy() {
    let operations = with_each("there", || Whim::Fails, |_, _, _| {});
    let mut seen = [0; 3];
    for is_there in [true, false] {
        for (at, removed) in (0..operations + 2).flat_map(|at| (1..=4).map(move |removed| (at, removed))) {
            let two = Two::new();
            if is_there {
                two.copy_plain().unwrap();
            }
            let paths = [MANIFEST, ARCHIVE, INDEX, STATUS].map(|name| two.there(name));
            let folder = two.there("");
            let work = move || {
                paths.iter().take(removed).for_each(|path| drop(fs::remove_file(path)));
                let _ = fs::remove_dir(&folder);
            };
            let target: Arc<dyn Storage> = odd(&two, "there", at, Whim::Happens(Box::new(work)));
            match two.copy(two.local("here"), &target, 3) {
                Ok(_) => {}
                Err(error) if error.is_removal_there() => {
                    assert!(is_there && !two.there(MANIFEST).exists(), "{at} {removed}: {error}");
                    assert!(error.is_of_one_backup() && error.to_string().contains("was removed from there"));
                    seen[0] += 1;
                }
                Err(error @ CopyError::Vanished { .. }) => {
                    assert!(!two.there(MANIFEST).exists(), "{at} {removed}: {error}");
                    seen[1] += 1;
                    seen[2] += usize::from(error.to_string().contains("manifest.json: it is missing"));
                }
                // The folder itself has gone before anything was in it.
                Err(error @ CopyError::Target(_)) => {
                    assert!(!two.there("").exists(), "{at} {removed}: {error}");
                }
                Err(error) => panic!("{at} {removed}: {error}"),
            }
        }
    }
    assert!(seen.iter().all(|count| *count > 0), "{seen:?}");
}
