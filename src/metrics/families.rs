//! Every metric there is, in the order of the file.

/// What every name begins with.
pub const PREFIX: &str = "wsrep_sst_backup_";

/// Where a number comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum MetricSource {
    /// The program that has written the file.
    File,
    /// The repository's, for one cluster.
    Cluster,
    /// The donor's, for its last run.
    LastRun,
}

/// One metric. All are gauges.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Family {
    /// Its name without [`PREFIX`].
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    pub(super) about: MetricSource,
}

const fn file(name: &'static str, help: &'static str) -> Family {
    Family { name, help, about: MetricSource::File }
}

const fn cluster(name: &'static str, help: &'static str) -> Family {
    Family { name, help, about: MetricSource::Cluster }
}

const fn run(name: &'static str, help: &'static str) -> Family {
    Family { name, help, about: MetricSource::LastRun }
}

/// All of them.
pub const FAMILIES: [Family; 40] = [
    file("build_info", "The version of wsrep_sst_backup that has written this file."),
    cluster("repository_readable", "Whether the repository could be read when it was last looked at."),
    cluster(
        "catalog_timestamp_seconds",
        "When the repository was last read for the numbers of this cluster.",
    ),
    cluster(
        "last_success_timestamp_seconds",
        "The moment that the data of the newest backup is from that nothing speaks against, whichever node was the donor.",
    ),
    cluster("last_success_duration_seconds", "How long the newest backup took, from start to end."),
    cluster("last_success_frozen_seconds", "How long the donor of the newest backup was frozen."),
    cluster("last_success_flush_seconds", "How much of that it took to flush tables and pause the provider."),
    cluster("last_success_data_bytes", "Size of the files in the newest backup."),
    cluster("last_success_stored_bytes", "Size of the newest backup as it is stored."),
    cluster("last_success_files", "Number of files in the newest backup."),
    cluster(
        "last_success_damaged_pages",
        "InnoDB pages in the newest backup that were damaged or missing on the donor.",
    ),
    cluster(
        "last_success_warnings",
        "What an administrator should know about the newest backup: how many things.",
    ),
    cluster("last_success_info", "The newest backup: its name, its donor, and how it was made."),
    cluster(
        "last_dump_timestamp_seconds",
        "The moment that the data of the newest dump of everything is from; dumps count apart from physical backups.",
    ),
    cluster("kept_backups", "Complete backups in the repository that nothing speaks against."),
    cluster("oldest_timestamp_seconds", "The moment that the data of the oldest backup is from."),
    cluster("stored_bytes", "Size of all backups as they are stored."),
    cluster("unusable_backups", "Backups in the repository whose manifest cannot be used."),
    cluster(
        "damaged_backups",
        "Backups in the repository that are damaged: by their last verification or drill, or since their files are missing.",
    ),
    cluster(
        "doubtful_backups",
        "Backups in the repository whose time cannot be right, or contradicts others: none of them is the newest.",
    ),
    cluster(
        "histories",
        "Histories (state UUIDs) of the backups: several where clusters have one name, or one was bootstrapped anew.",
    ),
    cluster("failed_runs", "Runs that have failed or died since the newest backup was made, on any node."),
    cluster("last_verify_timestamp_seconds", "When a backup was last verified; it may be gone since."),
    cluster("last_verify_success", "Whether that backup was intact."),
    cluster("last_verify_findings", "How many things were wrong with it."),
    cluster("last_verify_duration_seconds", "How long it took to verify it."),
    cluster("last_verify_backup_timestamp_seconds", "The moment that the data of that backup is from."),
    cluster("last_drill_timestamp_seconds", "When a backup was last drilled; it may be gone since."),
    cluster("last_drill_success", "Whether a server ran on that backup, and everything was as expected."),
    cluster("last_drill_restore_seconds", "How long it took to restore it."),
    cluster(
        "last_drill_start_seconds",
        "How long it took from then on until the server had recovered and answered.",
    ),
    cluster(
        "last_drill_check_seconds",
        "How long it took to check its tables and to ask the administrator's questions.",
    ),
    cluster("last_drill_duration_seconds", "How long the drill took."),
    cluster("last_drill_backup_timestamp_seconds", "The moment that the data of that backup is from."),
    run("last_run_start_timestamp_seconds", "When the last run on this node as a donor began."),
    run("last_run_timestamp_seconds", "When it ended."),
    run("last_run_success", "Whether it ended with a complete backup that mysqld knows of."),
    run("last_run_exit_status", "The exit status of the program: 0, or the number in mysqld's error log."),
    run("last_run_duration_seconds", "How long it took."),
    run("last_run_frozen_seconds", "How long the server was frozen by it."),
];

/// The metric of this name, with [`PREFIX`].
pub(super) fn find(name: &str) -> Option<&'static Family> {
    let name = name.strip_prefix(PREFIX)?;
    FAMILIES.iter().find(|family| family.name == name)
}
