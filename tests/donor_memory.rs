//! Memory does not grow with the size of the data, and hardly with the number of files.

mod support;

use support::{ScriptedMysqld, peak_kib_to_the_end};

/// The promise for the default compression, MiB.
const PROMISED: u64 = 64;

/// The program's peak memory in MiB while it backs this server up.
fn peak_of(server: &ScriptedMysqld) -> u64 {
    let run = server.asks().start();
    let peak_kib = peak_kib_to_the_end(run.pid());
    run.finish().assert_backed_up(server);
    peak_kib / 1024
}

/// Text that compresses to less than half.
fn text(bytes: usize, mut seed: u64) -> Vec<u8> {
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        content.extend_from_slice(format!("{:08}", seed >> 38).as_bytes());
    }
    content.truncate(bytes);
    content
}

#[test]
fn ten_times_the_data_needs_no_more_memory() {
    let peaks: Vec<u64> = [60, 600]
        .iter()
        .map(|mib| {
            let server = ScriptedMysqld::new();
            for number in 0..*mib / 20 {
                server.write(format!("db/t{number}.MYD"), text(20 << 20, number));
            }
            peak_of(&server)
        })
        .collect();
    println!("60 MiB: {} MiB, 600 MiB: {} MiB", peaks[0], peaks[1]);
    assert!(peaks[1] <= peaks[0] + 4 && peaks[1] <= PROMISED, "{peaks:?} MiB");
}

#[test]
fn ten_times_the_files_stay_within_the_promise() {
    let peaks: Vec<u64> = [1_000, 10_000]
        .iter()
        .map(|count| {
            let server = ScriptedMysqld::new();
            let content = text(6000, 7);
            for number in 0..*count {
                server.write(
                    format!("database_{}/a_table_with_a_name_{number}.MYD", number / 500),
                    content.clone(),
                );
            }
            peak_of(&server)
        })
        .collect();
    println!("1,000 files: {} MiB, 10,000 files: {} MiB", peaks[0], peaks[1]);
    assert!(peaks[1] <= peaks[0] + 16 && peaks[1] <= PROMISED, "{peaks:?} MiB");
}
