//! A server with some tables that runs beside the donor: what it says, and which files it has open.

use std::fs;
use std::path::PathBuf;

use crate::support::Server;

/// What a server says when it starts and is no damage. Of the client's table, whose file was left out, 10.5 and 11.8 say that they cannot
/// open it. 10.5 also finds each table with a DATA DIRECTORY in two places, since the donor's are on this machine; when such a table is
/// used, it opens the file inside its own data directory.
pub(super) fn is_about_no_damage(line: &str) -> bool {
    const WITHOUT_NAME: [&str; 4] = [
        "Operating system error number 2 in a file operation",
        "Error number 2 means",
        "The error means the system cannot find the path specified",
        "If you are installing InnoDB, remember that you must create directories yourself",
    ];
    const LEFT_OUT: [&str; 3] = [
        "'./writer/log.ibd'",
        "Could not find a valid tablespace file for writer/log.",
        "Could not find a valid tablespace file for ``writer`.`log``.",
    ];
    const IN_TWO_PLACES: [&str; 4] = [
        "A tablespace for ``elsewhere`.",
        "Default location: ./elsewhere/",
        "Dictionary location: ",
        "Will not open tablespace ``elsewhere`.",
    ];
    WITHOUT_NAME.iter().chain(&LEFT_OUT).chain(&IN_TWO_PLACES).any(|text| line.contains(text))
}

/// The files that a server has open.
pub(super) fn open_files(server: &Server) -> Vec<PathBuf> {
    let pid = server.pid().expect("it runs");
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("its descriptors are ours to see");
    open.flatten().filter_map(|descriptor| fs::read_link(descriptor.path()).ok()).collect()
}
