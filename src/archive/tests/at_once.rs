//! Parts of an archive, read at once by several readers of the object.

use std::io::{Seek, SeekFrom};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::*;

/// An object of which each read waits for a second reader, and which fails at one byte.
struct Slow {
    content: Cursor<Vec<u8>>,
    reading: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
    fails_at: u64,
}

impl Read for Slow {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if (self.content.position()..self.content.position() + buffer.len() as u64).contains(&self.fails_at) {
            return Err(io::Error::other("the line is broken"));
        }
        self.reading.fetch_add(1, Ordering::SeqCst);
        let begun = Instant::now();
        while self.most.load(Ordering::SeqCst) < 2 && begun.elapsed() < Duration::from_secs(5) {
            self.most.fetch_max(self.reading.load(Ordering::SeqCst), Ordering::SeqCst);
            std::thread::yield_now();
        }
        self.reading.fetch_sub(1, Ordering::SeqCst);
        self.content.read(buffer)
    }
}

impl Seek for Slow {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.content.seek(to)
    }
}

/// The stream of this plan, by four readers; how many have read at once, at least up to two.
fn at_once(
    archive: &[u8],
    index: &Index,
    plan: ReadPlan,
    keys: Option<Arc<Identities>>,
    fails_at: u64,
) -> (StreamReader, Arc<AtomicUsize>) {
    let (reading, most) = (Arc::default(), Arc::new(AtomicUsize::new(0)));
    let object = || Slow {
        content: Cursor::new(archive.to_vec()),
        reading: Arc::clone(&reading),
        most: Arc::clone(&most),
        fails_at,
    };
    let options = ReaderOptions {
        compression: index.header.compression,
        threads: 2,
        keys,
        borders: None,
        is_damage: |_| false,
    };
    let objects = (0..4).map(|_| object()).collect();
    (StreamReader::new(BlockReader::open_all(objects, plan, &options).unwrap()), most)
}

/// Every third block is left out.
fn ranges(index: &Index) -> Vec<(u64, u64)> {
    let mut start = 0;
    let mut found = Vec::new();
    for (number, block) in index.blocks.iter().enumerate() {
        if number % 3 != 1 {
            found.push((start, start + block.raw));
        }
        start += block.raw;
    }
    found
}

#[test]
fn parts_come_in_their_order_whoever_has_fetched_them() {
    let (recipient, keys) = key_pair();
    for (written, keys) in [
        (write_sample(Compression::Zstd), None),
        (write_sealed(Compression::None, &[recipient], Some(&keys)), Some(Arc::clone(&keys))),
    ] {
        let WrittenArchive { archive, index, .. } = written;
        let mut whole = Vec::new();
        unsealed(archive.clone(), &index, index.plan(), keys.clone()).read_to_end(&mut whole).unwrap();
        let ranges = ranges(&index);
        assert!(ranges.len() >= 5, "{} blocks", index.blocks.len());
        let plan = index.plan_of_ranges(ranges.clone());
        let (mut stream, most) = at_once(&archive, &index, plan, keys, u64::MAX);
        for (from, to) in ranges {
            assert!(stream.skip_to(from).unwrap());
            let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
            stream.read_exact(&mut bytes).unwrap();
            assert!(bytes == whole[usize::try_from(from).unwrap()..usize::try_from(to).unwrap()], "{from}");
        }
        assert!(most.load(Ordering::SeqCst) > 1, "one after the other");
        assert_eq!(stream.finish().unwrap().0, None);
    }
}

#[test]
fn a_line_that_breaks_ends_it_with_its_own_words() {
    let WrittenArchive { archive, index, .. } = write_sample(Compression::Zstd);
    let plan = index.plan_of_ranges(ranges(&index));
    let fifth = index.blocks[5].offset;
    let (mut stream, _) = at_once(&archive, &index, plan, None, fifth);
    let mut failure = None;
    for (from, to) in ranges(&index) {
        let mut bytes = vec![0; usize::try_from(to - from).unwrap()];
        if let Err(error) = stream.skip_to(from).and_then(|_| stream.read_exact(&mut bytes)) {
            failure = Some(error.to_string());
            break;
        }
    }
    assert_eq!(failure.as_deref(), Some("the line is broken"));
}

#[test]
fn who_reads_no_further_ends_the_fetching() {
    let WrittenArchive { archive, index, .. } = write_sample(Compression::Zstd);
    let (mut stream, _) = at_once(&archive, &index, index.plan_of_ranges(ranges(&index)), None, u64::MAX);
    stream.read_exact(&mut [0; 10]).unwrap();
    drop(stream);
}
