//! How fast backup, verify and restore are by processors and threads, with data, archive and restored files in memory: there is no disk to wait for.
//!
//! A machine of few processors shows more than itself by the times of its threads: however many processors there are, bytes go no faster than
//! the busiest thread takes them, and the name of that thread says what the limit is made of. How far a machine of so many processors
//! gets towards it (memory, caches, clock rates) is not seen here.

use std::collections::BTreeMap;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use crate::common::proc::{Stat, peak_resident, threads};
use crate::common::{Table, gib, heading, machine, say, seconds, show};
use crate::support::ScriptedMysqld;
use crate::support::cli::cli;

/// A file system in memory.
const MEMORY: &str = "/dev/shm";
/// What the first thread is called here: it has the program's name.
const MAIN: &str = "main";
/// Tables that the data is divided into.
const TABLES: u64 = 8;
const PAGE: usize = 16 << 10;
/// The header of a page, and that of a tablespace in its first one.
const HEADER: usize = 256;
/// The pause between two looks at the threads of the program.
const PAUSE: Duration = Duration::from_millis(5);

/// Processors, and the setting `threads`.
const DIVISIONS: [(usize, usize); 4] = [(1, 1), (2, 1), (2, 2), (2, 4)];

/// What is measured, in the order in which each needs what was before it.
const ACTIONS: [&str; 3] = ["backup", "verify", "restore"];

/// What a run took.
struct Seen {
    wall: Duration,
    threads: BTreeMap<u32, Stat>,
}

impl Seen {
    fn busiest(&self) -> Option<&Stat> {
        self.threads.values().max_by_key(|thread| thread.cpu)
    }

    fn cpu(&self) -> Duration {
        self.threads.values().map(|thread| thread.cpu).sum()
    }
}

/// Runs the part.
pub(crate) fn run(program: &Path, bytes: u64, runs: u32) -> Result<()> {
    machine::ensure_room(Path::new(MEMORY), bytes * 3 + (1 << 30))?;
    let bench = Bench::make(program, bytes)?;
    let mut table = Table::new(
        &[
            "",
            "compression",
            "processors",
            "threads",
            "GiB/s",
            "processor s/GiB",
            "busiest thread",
            "its s/GiB",
            "GiB/s at most",
        ],
        2,
    );
    for compression in ["zstd", "none"] {
        let mut seen: BTreeMap<_, Vec<Seen>> = BTreeMap::new();
        for _ in 0..runs {
            for (place, (processors, threads)) in DIVISIONS.iter().enumerate() {
                for (number, action) in ACTIONS.iter().enumerate() {
                    let run = bench.measure(action, compression, *processors, *threads)?;
                    say(&format!(
                        "{action}, {compression}, {processors} processors, {threads} threads: {} s, load {}",
                        seconds(run.wall),
                        load()?
                    ));
                    seen.entry((number, place)).or_default().push(run);
                }
            }
        }
        for ((number, place), mut runs) in seen {
            runs.sort_by_key(|run| run.wall);
            let middle = &runs[(runs.len() - 1) / 2];
            let (processors, threads) = DIVISIONS[place];
            let words = [
                ACTIONS[number].to_owned(),
                compression.to_owned(),
                processors.to_string(),
                threads.to_string(),
            ];
            table.row(&[words.as_slice(), &bench.figures(middle)?].concat());
        }
    }
    heading("In memory");
    show(&table.to_string());
    Ok(())
}

fn load() -> Result<String> {
    let load = fs::read_to_string("/proc/loadavg").context("cannot read /proc/loadavg")?;
    Ok(load.split(' ').next().unwrap_or_default().to_owned())
}

struct Bench<'a> {
    program: &'a str,
    server: ScriptedMysqld,
    /// Of the tables.
    bytes: u64,
}

impl<'a> Bench<'a> {
    fn make(program: &'a Path, bytes: u64) -> Result<Self> {
        let program = program.to_str().context("the program's path is not UTF-8")?;
        let server = ScriptedMysqld::below(MEMORY);
        let pages = bytes / TABLES / PAGE as u64;
        for number in 0..TABLES {
            server.write(format!("bench/t{number}.ibd"), tablespace(u32::try_from(number)? + 10, pages)?);
        }
        let bytes = pages * PAGE as u64 * TABLES;
        say(&format!("{} in {TABLES} files of pages, in {MEMORY}", gib(bytes)));
        Ok(Self { program, server, bytes })
    }

    /// Replaces the backup, reads it, or restores it.
    fn measure(&self, action: &str, compression: &str, processors: usize, threads: usize) -> Result<Seen> {
        let (repository, target) = (self.server.repository(), self.server.path("target"));
        if action == "backup" {
            remove(&repository)?;
            let settings =
                format!("compression={compression}\nmethod=freeze\nthreads={threads}\nlow-priority=off");
            self.server.configure("wsrep_sst_backup", &settings);
            let (run, watch) = started_on(processors, || {
                let run = self.server.asks().program(self.program).start();
                let pid = run.pid();
                (run, pid)
            })?;
            run.finish().assert_backed_up(&self.server);
            return watch.finish();
        }
        remove(&target)?;
        let command = cli(&format!("{action} latest --threads {threads}"))
            .env("WSREP_SST_BACKUP_LOW_PRIORITY", "off")
            .program(self.program)
            .on(&repository);
        let command = if action == "restore" { command.to(&target) } else { command };
        let (run, watch) = started_on(processors, || {
            let run = command.start();
            let pid = run.pid();
            (run, pid)
        })?;
        let answer = run.finish();
        ensure!(answer.status == Some(0), "{}{}", answer.stdout, answer.stderr);
        watch.finish()
    }

    /// Throughput, processor time, and what the busiest thread makes of them.
    fn figures(&self, seen: &Seen) -> Result<[String; 5]> {
        #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
        let gib = self.bytes as f64 / f64::from(1_u32 << 30);
        let busiest = seen.busiest().context("no thread was seen")?;
        let each = busiest.cpu.as_secs_f64() / gib;
        Ok([
            format!("{:.2}", gib / seen.wall.as_secs_f64()),
            format!("{:.2}", seen.cpu().as_secs_f64() / gib),
            busiest.name.clone(),
            format!("{each:.2}"),
            format!("{:.1}", 1.0 / each),
        ])
    }
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Starts a program on the first processors, and watches its threads.
fn started_on<T>(processors: usize, start: impl FnOnce() -> (T, u32)) -> Result<(T, ThreadWatch)> {
    let this = Pid::from_raw(0);
    let all = sched_getaffinity(this)?;
    let mut some = CpuSet::new();
    let usable = (0..CpuSet::count()).filter(|number| all.is_set(*number).unwrap_or(false));
    for number in usable.take(processors) {
        some.set(number)?;
    }
    // What a thread starts may run where the thread may.
    sched_setaffinity(this, &some)?;
    let (run, pid) = start();
    sched_setaffinity(this, &all)?;
    Ok((run, ThreadWatch::start(pid)))
}

/// A thread that looks at the threads of a program until it ends.
struct ThreadWatch(JoinHandle<Seen>);

impl ThreadWatch {
    fn start(pid: u32) -> Self {
        let begun = Instant::now();
        Self(thread::spawn(move || {
            let mut seen: BTreeMap<u32, Stat> = BTreeMap::new();
            // A process that has ended has no memory any more.
            while peak_resident(pid).is_some() {
                seen.extend(threads(pid));
                if let Some(first) = seen.get_mut(&pid) {
                    MAIN.clone_into(&mut first.name);
                }
                thread::sleep(PAUSE);
            }
            Seen { wall: begun.elapsed(), threads: seen }
        }))
    }

    fn finish(self) -> Result<Seen> {
        self.0.join().map_err(|_| anyhow!("the thread that watches has panicked"))
    }
}

/// A tablespace whose pages have rows of random digits with dashes between them, as sysbench makes them, and right checksums.
fn tablespace(space: u32, pages: u64) -> Result<Vec<u8>> {
    let mut content = Vec::new();
    let mut seed = u64::from(space);
    for number in 0..u32::try_from(pages)? {
        let from = content.len();
        content.resize(from + HEADER, 0);
        while content.len() < from + PAGE {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            content.extend_from_slice(format!("{:011}-", seed >> 28).as_bytes());
        }
        content.truncate(from + PAGE);
        let page = &mut content[from..];
        let mut put = |at: usize, value: u32| page[at..at + 4].copy_from_slice(&value.to_be_bytes());
        put(4, number);
        put(34, space);
        if number == 0 {
            put(38, space);
            // FSP_SIZE, FSP_FREE_LIMIT, and the flags of pages of 16 KiB with full_crc32.
            put(46, u32::try_from(pages)?);
            put(50, 64);
            put(54, 0x15);
        }
        let kind: u16 = if number == 0 { 8 } else { 17855 };
        page[24..26].copy_from_slice(&kind.to_be_bytes());
        let sum = crc32c::crc32c(&page[..PAGE - 4]);
        page[PAGE - 4..].copy_from_slice(&sum.to_be_bytes());
    }
    Ok(content)
}
