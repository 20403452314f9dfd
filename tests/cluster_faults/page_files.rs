//! Write sets that fill the disk of a donor's cache while it is frozen: the freeze ends before the server has no room, and
//! the server lives.

use std::fs;
use std::os::unix::fs::chown;

use crate::stage::BINARY;
use crate::support::cli::SmallDisk;
use crate::support::fixtures::fill_bulk;
use crate::support::program::with_program;
use crate::support::{Administrator, Cluster, ClusterOptions, Node, PATIENCE, Program, wait_until};

/// The cache takes one write set of `fill_bulk` at most; the others go to page files.
const CACHE: [&str; 4] =
    ["gcache.dir={dir}/cache", "gcache.size=1M", "gcache.page_size=16M", "gcache.keep_pages_size=16M"];
/// Room for two page files beside what is kept free.
const DISK: usize = 80;
/// Write sets of 8 MiB: a server whose freeze does not end has no room for so many, and ends (seen with 10.11).
const MOST: usize = 20;

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_donor_whose_cache_has_no_room_is_released_and_lives() {
    let options = CACHE.iter().fold(ClusterOptions::new(), |options, line| options.provider(line));
    // A freeze of some minutes, if nobody ended it.
    // The disk fills up while the server stands still: a method that lets it run again at once has no such moment.
    let options = with_program(options, BINARY).group("wsrep_sst_backup", "limit-rate=1M\nmethod=freeze");
    let cluster = Cluster::prepare(2, &options);
    let (other, donor) = (cluster.n(1), cluster.n(2));
    let user = cluster.scratch().user();
    let cache = |name: &str| cluster.make_dir(&format!("{name}/cache"));
    cache("n1");
    let cache = cache("n2");
    let _disk = SmallDisk::mount(&cache, DISK);
    chown(&cache, Some(user.uid), Some(user.gid)).unwrap();
    other.start(true);
    other.wait_synced(PATIENCE);
    donor.start(false);
    donor.wait_synced(PATIENCE);
    let uptime: u64 = donor.status("Uptime").parse().unwrap();

    let program = Program::of(&cluster);
    let mark = donor.log_mark();
    let asking = Administrator::new(&cluster, BINARY).on(&cluster, 1, &["--donor=n2"]);
    donor.wait_log(mark, "the server is frozen at", PATIENCE);
    let tables = (0..MOST).take_while(|number| {
        let goes_on = !donor.log_since(mark).contains("the server is told to continue");
        if goes_on {
            fill_bulk(other, &format!("t{number}"), 8);
        }
        goes_on
    });
    let tables = tables.count();
    let told = asking.finish();
    told.ended("failed", "too little for one more page file of 16 MiB");
    donor.wait_synced(PATIENCE);
    assert!(donor.status("Uptime").parse::<u64>().unwrap() >= uptime, "it has been started again");
    let pages = fs::read_dir(&cache).unwrap().flatten().map(|entry| entry.file_name());
    let pages: Vec<String> = pages.map(|name| name.to_string_lossy().into_owned()).collect();
    assert!(pages.iter().any(|name| name.starts_with("gcache.page.")), "{pages:?}: nothing was to be feared");
    let rows = |node: &Node| node.try_sql(&format!("CHECKSUM TABLE bulk.t{}", tables - 1)).ok();
    let wanted = rows(other);
    assert!(wait_until(PATIENCE, || rows(donor) == wanted), "{:?} and {wanted:?}", rows(donor));
    assert!(program.manifests().is_empty());
}
