//! Many small requests at once: where each takes a round trip, one after the other takes as many.

use std::panic::resume_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{Builder, scope};

use super::Storage;

/// Does the same with each item, several at once where the storage has something of that ([`Storage::at_once`]). The answers are in the order of the items.
pub fn at_once<T: Sync, R: Send>(
    storage: &dyn Storage,
    items: &[T],
    work: impl Fn(&T) -> R + Sync,
) -> Vec<R> {
    let next = AtomicUsize::new(0);
    let take = || {
        let mut done = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(item) = items.get(number) else { return done };
            done.push((number, work(item)));
        }
    };
    let beside = storage.at_once().min(items.len()).saturating_sub(1);
    let mut done = scope(|scope| {
        // Where no more threads are to be had, there are fewer.
        let threads: Vec<_> =
            (0..beside).map_while(|_| Builder::new().spawn_scoped(scope, take).ok()).collect();
        let mut done = take();
        for thread in threads {
            done.extend(thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        done
    });
    done.sort_by_key(|(number, _)| *number);
    done.into_iter().map(|(_, answer)| answer).collect()
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Barrier;

    use super::*;
    use crate::storage::LocalStorage;
    use crate::storage::testing::{Operation, Whims, Whimsical};

    struct Wide;

    impl Whims for Wide {
        fn before(&self, _: Operation, _: &str) -> io::Result<()> {
            Ok(())
        }

        fn at_once(&self) -> usize {
            4
        }
    }

    #[test]
    fn answers_come_in_the_order_of_the_items_and_four_are_asked_for_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let wide = Whimsical::new(folder.path(), Wide);
        let items: Vec<usize> = (0..40).collect();
        // Nobody gets on before three others are there as well.
        let four = Barrier::new(4);
        let found = at_once(&wide, &items, |item| {
            four.wait();
            item * 2
        });
        assert_eq!(found, items.iter().map(|item| item * 2).collect::<Vec<_>>());
        let narrow = LocalStorage::new(folder.path());
        assert_eq!(at_once(&narrow, &items, |item| item + 1).last(), Some(&40), "one after the other");
        assert!(at_once(&wide, &[], |item: &usize| *item).is_empty());
    }
}
