//! A client that writes all the time.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mysql::Conn;

use super::server::Server;
use super::{PATIENCE, sql, wait_until};

/// What a writer has done.
#[derive(Debug, Clone, Copy, Default)]
pub struct WriterStats {
    /// Transactions whose commit was answered.
    pub commits: u64,
    /// Statements and connections that failed.
    pub errors: u64,
    /// The longest time from one commit to the next.
    pub longest_pause: Duration,
}

/// A thread that inserts, updates and deletes in `writer.log` on one server until it is stopped; errors are counted
/// and followed by a new session.
#[derive(Debug)]
pub struct Writer {
    stop: Arc<AtomicBool>,
    stats: Arc<Mutex<WriterStats>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Makes the table and starts writing, at most `per_second` transactions.
    pub fn start(server: &Server, per_second: u32) -> Self {
        server.sql_all(&[
            "CREATE DATABASE IF NOT EXISTS writer",
            "CREATE TABLE IF NOT EXISTS writer.log (id BIGINT AUTO_INCREMENT PRIMARY KEY, n BIGINT NOT NULL, \
             payload VARBINARY(400) NOT NULL, touched INT NOT NULL DEFAULT 0, KEY (n)) ENGINE=InnoDB",
        ]);
        let stop = Arc::new(AtomicBool::new(false));
        let stats = Arc::new(Mutex::new(WriterStats::default()));
        let (socket, seen, counts) = (server.socket(), Arc::clone(&stop), Arc::clone(&stats));
        let pause = Duration::from_secs(1) / per_second.max(1);
        let thread = std::thread::spawn(move || write(&socket, &seen, &counts, pause));
        Self { stop, stats, thread: Some(thread) }
    }

    /// What was done since the start or the last call: to look at the time of one backup only.
    pub fn take_stats(&self) -> WriterStats {
        std::mem::take(&mut *self.stats.lock().unwrap())
    }

    /// Waits until so many more are committed.
    pub fn wait_for_more(&self, commits: u64) {
        let count = || self.stats.lock().unwrap().commits;
        let wanted = count() + commits;
        assert!(wait_until(PATIENCE, || count() >= wanted), "{} of {wanted} commits", count());
    }

    /// Ends the thread and tells what it did since the start or the last `take_stats`.
    pub fn stop(mut self) -> WriterStats {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().expect("stopped once").join().expect("the writer does not panic");
        self.take_stats()
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn write(socket: &Path, stop: &AtomicBool, stats: &Mutex<WriterStats>, pause: Duration) {
    let mut session: Option<Conn> = None;
    let mut last = Instant::now();
    let mut turn = 0_u64;
    while !stop.load(Ordering::Relaxed) {
        turn += 1;
        let begun = Instant::now();
        let done = one_transaction(&mut session, socket, turn).is_ok();
        {
            let mut stats = stats.lock().unwrap();
            stats.commits += u64::from(done);
            stats.errors += u64::from(!done);
            if done {
                stats.longest_pause = stats.longest_pause.max(last.elapsed());
                last = Instant::now();
            }
        }
        if !done {
            session = None;
            std::thread::sleep(Duration::from_millis(50));
        }
        std::thread::sleep(pause.saturating_sub(begun.elapsed()));
    }
}

/// Two new rows, an older one changed, one in twenty removed: all or nothing.
fn one_transaction(session: &mut Option<Conn>, socket: &Path, turn: u64) -> mysql::Result<()> {
    let limit = Duration::from_secs(10);
    let session = match session {
        Some(session) => session,
        empty => empty.insert(sql::connect(socket, limit)?),
    };
    let noise = sql::random_bytes(200);
    let insert = format!(
        "INSERT INTO writer.log (n, payload) VALUES ({turn}, {noise}), ({turn}, REPEAT('{turn} ', 20))"
    );
    sql::query(session, "BEGIN")?;
    sql::query(session, &insert)?;
    sql::query(session, &format!("UPDATE writer.log SET touched = touched + 1 WHERE n = {}", turn / 2))?;
    if turn.is_multiple_of(20) {
        sql::query(session, &format!("DELETE FROM writer.log WHERE n = {}", turn / 3))?;
    }
    sql::query(session, "COMMIT")?;
    Ok(())
}
