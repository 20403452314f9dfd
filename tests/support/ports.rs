//! Free loopback ports for servers, also when many tests run at once.
//!
//! Binding a port and closing it again leaves a gap in which somebody else may take it. So ports are handed out
//! in blocks of [`BLOCK`], each held by a lock on a file in a folder common to all test processes; the kernel
//! drops the lock when the process ends. A block is also tried by binding, because other programs do not know
//! of the locks. The range lies below Linux' ephemeral ports (32768 and up), from which outgoing connections,
//! of which a cluster makes many, take theirs.

use std::fs::{self, File, OpenOptions};
use std::net::TcpListener;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU16, Ordering};

/// Ports in one block: server, group, IST (group + 1), SST, and as many spare ones.
pub const BLOCK: u16 = 8;
const FIRST: u16 = 14_000;
const BLOCKS: u16 = 2_000;

/// Consecutive free ports that no other test gets while this value lives.
#[derive(Debug)]
pub struct Ports {
    base: u16,
    _lock: File,
}

impl Ports {
    /// Takes a free block; starts looking at a place of the process's own, to keep collisions rare.
    pub fn reserve() -> Self {
        static NEXT: AtomicU16 = AtomicU16::new(0);
        let spread = u16::try_from(std::process::id() % u32::from(BLOCKS)).unwrap_or_default();
        for _ in 0..BLOCKS {
            let turn = NEXT.fetch_add(1, Ordering::Relaxed);
            let number = (spread.wrapping_mul(37).wrapping_add(turn)) % BLOCKS;
            if let Some(ports) = Self::try_block(FIRST + number * BLOCK) {
                return ports;
            }
        }
        panic!("no {BLOCK} free ports in a row between {FIRST} and {}", FIRST + BLOCKS * BLOCK);
    }

    fn try_block(base: u16) -> Option<Self> {
        let path = shared_dir("ports").join(base.to_string());
        let lock = OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = lock.unwrap_or_else(|e| panic!("cannot open '{}': {e}", path.display()));
        lock.try_lock().ok()?;
        let free = |port| TcpListener::bind(("127.0.0.1", port)).is_ok();
        (base..base + BLOCK).all(free).then_some(Self { base, _lock: lock })
    }

    /// The `n`th port of the block, from 0.
    pub fn port(&self, n: u16) -> u16 {
        assert!(n < BLOCK, "a block has {BLOCK} ports");
        self.base + n
    }
}

/// A folder that all test processes of this user share: port locks, the prepared data directories.
pub fn shared_dir(name: &str) -> PathBuf {
    let uid = nix::unistd::geteuid();
    let dir = PathBuf::from(format!("/tmp/wsrep_sst_backup-tests-{uid}")).join(name);
    fs::create_dir_all(&dir).unwrap_or_else(|e| panic!("cannot make '{}': {e}", dir.display()));
    dir
}
