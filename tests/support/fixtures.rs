//! A zoo: one table of every kind that a physical backup may trip over.
//!
//! Galera replicates DDL of every engine, and rows of InnoDB; those of Aria and MyISAM with `wsrep_mode`
//! (the harness sets it). What names a path, such as DATA DIRECTORY, cannot be replicated between nodes of one
//! machine: the first node would take the place. Such tables are made on each node with `wsrep_on=OFF`, each at a
//! place of the node's own, and then filled through replication like any other.

use std::os::unix::fs::symlink;

use super::PATIENCE;
use super::cluster::Cluster;
use super::node::Node;
use super::server::Server;
use super::sql::{quote, random_bytes};

/// The node's own folder, outside of its data directory, for tables with a DATA DIRECTORY.
pub const OUTSIDE: &str = "outside";

/// The database of the tables with ordinary names.
pub const ZOO: &str = "zoo";

/// Databases and tables whose names are written otherwise in the file system. A name of 50 euro signs makes a file
/// name of 254 bytes, beside the limit of 255, and a path longer than a tar header has room for.
pub fn odd_names() -> Vec<(String, String)> {
    let pairs = [
        ("täble €", "größe"),
        ("a b", " leading"),
        ("x/y", "p.q"),
        ("#sql-x", "#sql-ib1"),
        ("back`tick", "quo'te\"s"),
        ("МОСКВА", "表"),
        ("-dash", "*?[glob]"),
        ("new\nline", "tab\there"),
        ("percent%40", "@0023"),
        ("CON", "db.opt"),
    ];
    let mut names: Vec<(String, String)> = pairs.map(|(d, t)| (d.to_owned(), t.to_owned())).into();
    names.push(("l".repeat(64), "€".repeat(50)));
    names
}

/// Statements for the tables with ordinary names, run with `zoo` as current database.
const TABLES: &[&str] = &[
    "CREATE TABLE plain (id INT AUTO_INCREMENT PRIMARY KEY, v VARCHAR(200), d DOUBLE, t TIMESTAMP NULL) ENGINE=InnoDB",
    "CREATE TABLE aria (id INT PRIMARY KEY, v TEXT, KEY (v(20))) ENGINE=Aria TRANSACTIONAL=1",
    "CREATE TABLE aria_plain (id INT PRIMARY KEY, v TEXT) ENGINE=Aria TRANSACTIONAL=0 ROW_FORMAT=DYNAMIC",
    "CREATE TABLE myisam (id INT PRIMARY KEY, v TEXT, FULLTEXT KEY (v)) ENGINE=MyISAM",
    "CREATE TABLE myisam_2 (id INT PRIMARY KEY, v TEXT, FULLTEXT KEY (v)) ENGINE=MyISAM",
    "CREATE TABLE merged (id INT NOT NULL, v TEXT, KEY (id)) ENGINE=MERGE UNION=(myisam, myisam_2)",
    "CREATE TABLE csv (id INT NOT NULL, v TEXT NOT NULL) ENGINE=CSV",
    "CREATE TABLE parts (id INT NOT NULL, y INT NOT NULL, v VARCHAR(100), PRIMARY KEY (id, y)) ENGINE=InnoDB \
     PARTITION BY RANGE (y) SUBPARTITION BY HASH (id) SUBPARTITIONS 2 \
     (PARTITION p2020 VALUES LESS THAN (2021), PARTITION `p ä/ö` VALUES LESS THAN (2030), \
      PARTITION pmax VALUES LESS THAN MAXVALUE)",
    "CREATE TABLE aria_parts (id INT PRIMARY KEY, v TEXT) ENGINE=Aria PARTITION BY HASH (id) PARTITIONS 3",
    "CREATE TABLE punched (id INT PRIMARY KEY, v LONGTEXT) ENGINE=InnoDB PAGE_COMPRESSED=1",
    "CREATE TABLE small_pages (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=4",
    "CREATE TABLE redundant (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB ROW_FORMAT=REDUNDANT",
    "CREATE TABLE blobs (id INT PRIMARY KEY, b LONGBLOB, j JSON, g POINT NOT NULL, SPATIAL KEY (g)) ENGINE=InnoDB",
    "CREATE TABLE computed (id INT PRIMARY KEY, a INT, b INT AS (a * 2) VIRTUAL, c INT AS (a + 1) STORED, \
     KEY (b), hidden INT INVISIBLE DEFAULT 7) ENGINE=InnoDB",
    "CREATE TABLE words (id INT PRIMARY KEY, v TEXT, FULLTEXT KEY (v)) ENGINE=InnoDB",
    "CREATE TABLE versions (id INT PRIMARY KEY, v INT) ENGINE=InnoDB WITH SYSTEM VERSIONING",
    "CREATE TABLE parent (id INT PRIMARY KEY) ENGINE=InnoDB",
    "CREATE TABLE child (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES parent (id) ON DELETE CASCADE) \
     ENGINE=InnoDB",
    "CREATE TABLE no_key (a INT, b VARCHAR(50)) ENGINE=InnoDB",
    "CREATE TABLE empty (id INT PRIMARY KEY) ENGINE=InnoDB",
    "CREATE TABLE fired (id INT AUTO_INCREMENT PRIMARY KEY, p INT) ENGINE=InnoDB",
    // Not INCREMENT BY 0, Galera's way to a cache: its values differ from node to node by design.
    "CREATE SEQUENCE counter START WITH 100 INCREMENT BY 1 NOCACHE",
    "CREATE VIEW seen AS SELECT id, v FROM plain WHERE id > 5",
    "CREATE TRIGGER fires AFTER INSERT ON parent FOR EACH ROW INSERT INTO fired (p) VALUES (NEW.id)",
    "CREATE PROCEDURE answer() SELECT 42",
];

/// Statements that fill them.
const ROWS: &[&str] = &[
    "INSERT INTO plain (v, d, t) SELECT REPEAT(CHAR(97 + seq MOD 26), seq MOD 150), seq / 7, \
     FROM_UNIXTIME(1600000000 + seq) FROM seq_1_to_500",
    "DELETE FROM plain WHERE id MOD 7 = 0",
    "INSERT INTO aria SELECT seq, REPEAT('aria ', seq MOD 90) FROM seq_1_to_200",
    "INSERT INTO aria_plain SELECT seq, REPEAT('x', seq) FROM seq_1_to_100",
    "INSERT INTO myisam SELECT seq, CONCAT('word', seq, ' common') FROM seq_1_to_200",
    "INSERT INTO myisam_2 SELECT 1000 + seq, CONCAT('term', seq) FROM seq_1_to_50",
    "INSERT INTO parts SELECT seq, 2015 + seq MOD 25, CONCAT('p', seq) FROM seq_1_to_300",
    "INSERT INTO aria_parts SELECT seq, REPEAT('ap', seq MOD 40) FROM seq_1_to_120",
    "INSERT INTO punched SELECT seq, REPEAT('compress me ', 3000) FROM seq_1_to_40",
    "INSERT INTO small_pages SELECT seq, REPEAT(MD5(seq), 20) FROM seq_1_to_200",
    "INSERT INTO redundant SELECT seq, REPEAT('r', seq) FROM seq_1_to_100",
    "INSERT INTO blobs SELECT seq, REPEAT(UNHEX(SHA2(seq, 256)), 4000), JSON_OBJECT('n', seq), \
     POINT(seq, -seq) FROM seq_1_to_12",
    "INSERT INTO computed (id, a, hidden) SELECT seq, seq * 3, seq MOD 5 FROM seq_1_to_100",
    "INSERT INTO words SELECT seq, CONCAT('fulltext number', seq, ' naïve café') FROM seq_1_to_100",
    "INSERT INTO versions SELECT seq, seq FROM seq_1_to_20",
    "UPDATE versions SET v = v + 1 WHERE id <= 10",
    "INSERT INTO parent SELECT seq FROM seq_1_to_30",
    "INSERT INTO child SELECT seq, 1 + seq MOD 30 FROM seq_1_to_90",
    "DELETE FROM parent WHERE id = 7",
    "INSERT INTO no_key SELECT seq MOD 3, 'twin' FROM seq_1_to_60",
    "SELECT NEXTVAL(counter)",
];

/// Makes the whole zoo in a cluster: what [`create_replicated_zoo`] makes, and on every node the tables with paths.
pub fn create_zoo(cluster: &Cluster) {
    create_replicated_zoo(cluster);
    create_outside(cluster);
}

/// Makes the part of the zoo that replicates by itself; all files lie in the data directory.
pub fn create_replicated_zoo(cluster: &Cluster) {
    let node = cluster.n(1);
    node.exec(&format!("CREATE DATABASE {ZOO} CHARACTER SET utf8mb4"));
    let mut statements = vec!["USE zoo"];
    statements.extend(TABLES.iter().chain(ROWS));
    node.sql_all(&statements);
    for (database, table) in odd_names() {
        create_odd(node, &database, &table);
    }
    node.exec("CREATE DATABASE `no tables`");
    let odd = odd_names().into_iter().map(|(database, _)| fill_odd_aria(&quote(&database)));
    let rows: Vec<String> = ROWS.iter().map(|row| (*row).to_owned()).chain(odd).collect();
    repeat_aria(cluster, rows.iter().map(String::as_str).filter(|row| row.starts_with("INSERT")));
}

/// MariaDB 10.5 replicates no rows of Aria: there the other nodes get them one by one.
fn repeat_aria<'a>(cluster: &Cluster, statements: impl Iterator<Item = &'a str>) {
    let first = cluster.n(1);
    if !first.variable("version").starts_with("10.5.") {
        return;
    }
    let own = ["USE zoo", "SET SESSION wsrep_on = OFF", "SET SESSION sql_log_bin = 0"];
    let aria = statements.filter(|statement| statement.contains("aria"));
    let statements: Vec<&str> = own.into_iter().chain(aria).collect();
    for node in cluster.nodes().skip(1) {
        node.wait_for("the tables", PATIENCE, || node.position() == first.position());
        node.sql_all(&statements);
    }
}

/// The statement that fills the Aria table of a database with an odd name.
fn fill_odd_aria(database: &str) -> String {
    format!("INSERT INTO {database}.`aria ß` VALUES (1, 'ß'), (2, '𝄞')")
}

fn create_odd(node: &Node, database: &str, table: &str) {
    let (database, table) = (quote(database), quote(table));
    node.exec(&format!("CREATE DATABASE {database}"));
    node.exec(&format!(
        "CREATE TABLE {database}.{table} (id INT PRIMARY KEY, `ü €` VARCHAR(50)) ENGINE=InnoDB"
    ));
    node.sql_all(&[
        "USE zoo",
        &format!("INSERT INTO {database}.{table} SELECT seq, CONCAT('é', seq) FROM seq_1_to_30"),
    ]);
    node.exec(&format!("CREATE TABLE {database}.`aria ß` (id INT PRIMARY KEY, v TEXT) ENGINE=Aria"));
    node.exec(&fill_odd_aria(&database));
}

/// Tables that name a path, and a database that is a symbolic link: made on each node, filled through the first.
fn create_outside(cluster: &Cluster) {
    cluster.n(1).exec("CREATE DATABASE elsewhere");
    for node in cluster.nodes() {
        node.wait_for("the database", PATIENCE, || node.datadir().join("elsewhere").is_dir());
        let place = node.outside_dir(OUTSIDE).display().to_string();
        let target = node.outside_dir(&format!("{OUTSIDE}/linked"));
        symlink(target, node.datadir().join("linked")).expect("cannot link a database");
        node.sql_all(&[
            "SET SESSION wsrep_on = OFF",
            "SET SESSION sql_log_bin = 0",
            &format!("CREATE TABLE elsewhere.innodb (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB DATA DIRECTORY='{place}'"),
            &format!(
                "CREATE TABLE elsewhere.myisam (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM \
                 DATA DIRECTORY='{place}' INDEX DIRECTORY='{place}'"
            ),
            &format!("CREATE TABLE elsewhere.`aria ä` (id INT PRIMARY KEY, v TEXT) ENGINE=Aria DATA DIRECTORY='{place}'"),
            &format!(
                "CREATE TABLE elsewhere.parts (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB PARTITION BY HASH (id) \
                 (PARTITION p0 DATA DIRECTORY='{place}', PARTITION p1)"
            ),
        ]);
    }
    let statements = [
        "USE zoo",
        "CREATE TABLE linked.t (id INT PRIMARY KEY, v TEXT) ENGINE=InnoDB",
        "CREATE TABLE linked.m (id INT PRIMARY KEY, v TEXT) ENGINE=MyISAM",
        "INSERT INTO linked.t SELECT seq, REPEAT('linked ', seq) FROM seq_1_to_50",
        "INSERT INTO linked.m SELECT seq, REPEAT('linked ', seq) FROM seq_1_to_50",
        "INSERT INTO elsewhere.innodb SELECT seq, REPEAT('far ', seq) FROM seq_1_to_150",
        "INSERT INTO elsewhere.myisam SELECT seq, REPEAT('far ', seq) FROM seq_1_to_50",
        "INSERT INTO elsewhere.`aria ä` SELECT seq, REPEAT('far ', seq) FROM seq_1_to_50",
        "INSERT INTO elsewhere.parts SELECT seq, REPEAT('far ', seq) FROM seq_1_to_80",
    ];
    cluster.n(1).sql_all(&statements);
    repeat_aria(cluster, statements.into_iter());
}

/// Fills the InnoDB table `bulk.<table>` with about `mib` MiB, half of which compresses.
pub fn fill_bulk(server: &Server, table: &str, mib: u32) {
    let name = format!("bulk.{}", quote(table));
    server.sql_all(&[
        "CREATE DATABASE IF NOT EXISTS bulk",
        &format!(
            "CREATE TABLE {name} (id INT AUTO_INCREMENT PRIMARY KEY, a VARBINARY(8000), b VARBINARY(8000))"
        ),
    ]);
    // 8 MiB in one transaction: far below the limits of a write set, and few commits.
    let insert = format!(
        "INSERT INTO {name} (a, b) SELECT {}, REPEAT('easy to press ', 280) FROM seq_1_to_1024",
        random_bytes(4000)
    );
    for _ in 0..mib.div_ceil(8) {
        server.sql_all(&["USE bulk", &insert]);
    }
}

/// Makes `count` small MyISAM tables `many.t<n>`: three files each, for tests of many files.
pub fn create_many_tables(server: &Server, count: u32) {
    server.exec("CREATE DATABASE IF NOT EXISTS many");
    let statements: Vec<String> =
        (0..count).map(|n| format!("CREATE TABLE many.t{n} (id INT PRIMARY KEY) ENGINE=MyISAM")).collect();
    server.sql_all(&statements.iter().map(String::as_str).collect::<Vec<_>>());
}
