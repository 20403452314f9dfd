//! A real donor whose file was cut off behind its back, beside files that no table uses.

use std::fs;
use std::time::{Duration, Instant};

use serde_json::json;

use super::options;
use super::support::program::warnings;
use super::support::{Cluster, PATIENCE, Program, Server, wait_until};

/// A discarded table becomes a partition, on this node alone, where the server knows how (MariaDB 11.4 and later).
fn discard_a_partition(donor: &Server) -> bool {
    donor.exec("ALTER TABLE d.`old-part` DISCARD TABLESPACE");
    let exchange = "ALTER TABLE d.parts EXCHANGE PARTITION p1 WITH TABLE d.`old-part` WITHOUT VALIDATION";
    if donor.try_sql(&format!("SET STATEMENT wsrep_on = OFF FOR {exchange}")).is_err() {
        return false;
    }
    let read = donor.try_sql("SELECT * FROM d.parts PARTITION (p1)");
    assert!(read.unwrap_err().to_string().contains("discarded"), "it is a partition, and discarded");
    true
}

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_file_that_was_cut_off_is_damage_and_what_no_table_uses_is_not() {
    let cluster = Cluster::start(2, &options());
    let program = Program::of(&cluster);
    let (first, donor) = (cluster.n(1), cluster.n(2));
    for statement in [
        "CREATE DATABASE d",
        "CREATE TABLE d.t (a INT PRIMARY KEY, b VARCHAR(300))",
        "INSERT INTO d.t SELECT seq, REPEAT('x', 200) FROM mysql.seq_1_to_5000",
        "CREATE TABLE d.packed (a INT PRIMARY KEY, b TEXT) PAGE_COMPRESSED=1",
        "INSERT INTO d.packed SELECT seq, REPEAT('y', 2000) FROM mysql.seq_1_to_2000",
        "CREATE TABLE d.zipped (a INT PRIMARY KEY, b TEXT, FULLTEXT(b)) ROW_FORMAT=COMPRESSED",
        "CREATE TABLE d.parts (a INT) PARTITION BY HASH (a) PARTITIONS 3",
        "CREATE TABLE d.discarded (a INT)",
        "CREATE TABLE d.`taken-out` (a INT)",
        "CREATE TABLE d.`old-part` (a INT)",
        "CREATE TABLE d.last (a INT)",
    ] {
        first.exec(statement);
    }
    assert_eq!(donor.scalar("SELECT COUNT(*) FROM d.t"), "5000");
    let files = donor.datadir().join("d");
    let leave = |name: &str, content: &[u8]| fs::write(files.join(name), content).unwrap();
    // The last statement has been applied, and so has everything before it.
    assert!(wait_until(PATIENCE, || files.join("last.ibd").exists()));
    // Galera does not replicate it.
    donor.exec("ALTER TABLE d.discarded DISCARD TABLESPACE");
    donor.exec("ALTER TABLE d.`taken-out` DISCARD TABLESPACE");
    let is_part_discarded = discard_a_partition(donor);
    // Until the header on the disk counts the pages of the rows.
    donor.exec("SET GLOBAL innodb_max_dirty_pages_pct = 0");
    let read = || fs::read(files.join("t.ibd")).unwrap();
    let counted =
        |file: &[u8]| file.get(46..50).map_or(0, |size| u32::from_be_bytes(size.try_into().unwrap()));
    assert!(wait_until(PATIENCE, || counted(&read()) > 64), "{} pages", counted(&read()));
    let whole = read();
    leave("orphan.ibd", &whole[..50_000]);
    leave("empty.ibd", b"");
    leave("#sql-alter-1-2.ibd", &whole[..20_000]);
    // Pages of another key than any, for all that can be told.
    leave("discarded.ibd", &vec![0x5a; 65_536]);
    // Half of another table's file, with a page that does not verify.
    let mut other = whole[..50_000].to_vec();
    other[40_000] ^= 1;
    leave("taken@002dout.ibd", &other);
    let mut leftovers =
        vec!["orphan.ibd", "empty.ibd", "#sql-alter-1-2.ibd", "discarded.ibd", "taken@002dout.ibd"];
    if is_part_discarded {
        leave("parts#P#p1.ibd", &other);
        leftovers.push("parts#P#p1.ibd");
    }
    donor.own_datadir();
    // What is as young as the list of tables might be a table that was made since.
    let left = Instant::now();
    assert!(wait_until(PATIENCE, || left.elapsed() > Duration::from_secs(3)));

    let manifest = program.back_up(&cluster, 2);
    let told = warnings(&manifest);
    assert_eq!((&manifest["damaged_pages"], manifest.get("missing_pages")), (&json!(0), None), "{told}");
    for name in leftovers {
        assert_eq!(told.matches(&format!("'d/{name}': ")).count(), 1, "{name}: {told}");
    }
    let verified = program.ok(&["verify", "latest"]);
    assert!(verified.contains("Note: d/orphan.ibd: ") && verified.contains(" is intact: "), "{verified}");

    // Behind the back of the server, which goes on.
    fs::File::options().write(true).open(files.join("t.ibd")).unwrap().set_len(100_000).unwrap();
    let manifest = program.back_up(&cluster, 2);
    let told = warnings(&manifest);
    let missing = (whole.len() as u64).div_ceil(16 << 10) - 6;
    assert!(manifest["missing_pages"].as_u64().is_some_and(|pages| pages <= missing && pages > 0), "{told}");
    assert!(
        told.contains("'d/t.ibd': ") && told.contains("missing at its end: it was cut off at byte 100000"),
        "{told}"
    );
    let verified = program.run(&["verify", "latest"]);
    assert_eq!(verified.status, Some(4), "{}", verified.out);
    assert!(verified.out.starts_with("DAMAGED  d/t.ibd: "), "{}", verified.out);

    // The whole file is gone: the server says that it has one.
    fs::File::options().write(true).open(files.join("t.ibd")).unwrap().set_len(0).unwrap();
    let manifest = program.back_up(&cluster, 2);
    assert_eq!(manifest["missing_pages"], 1, "{}", warnings(&manifest));
    assert_eq!(program.run(&["verify", "latest"]).status, Some(4));
}
