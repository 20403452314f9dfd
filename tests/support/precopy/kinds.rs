//! The settings of servers that are copied ahead: what decides how pages look on the disk, and what the redo log tells of them.

/// One kind of server.
#[derive(Debug, Clone, Copy)]
pub struct ServerKind {
    /// Its name.
    pub name: &'static str,
    /// Options of `mariadbd`. `KEYS` stands for a file with two keys, `UNDO` for a directory beside the data directory.
    pub options: &'static [&'static str],
    /// What a table gets that is compressed in every page, where pages are small enough for that.
    pub row_format: &'static str,
    /// What one gets that nobody writes to.
    pub smallest_pages: &'static str,
}

const SMALL_PAGES: &str = "ROW_FORMAT=COMPRESSED";
/// Of 1 KiB.
const SMALLEST_PAGES: &str = "ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=1";
/// `ROW_FORMAT=COMPRESSED` needs pages of 16 KiB at most.
const LARGE_PAGES: &str = "ROW_FORMAT=DYNAMIC";

/// All of them. The default pages of 16 KiB come first.
pub const SERVER_KINDS: [ServerKind; 9] = [
    ServerKind { name: "16k", options: &[], row_format: SMALL_PAGES, smallest_pages: SMALLEST_PAGES },
    ServerKind {
        name: "4k, three undo tablespaces",
        options: &["--innodb-page-size=4k", "--innodb-undo-tablespaces=3", "--innodb-max-undo-log-size=10M"],
        row_format: SMALL_PAGES,
        smallest_pages: SMALLEST_PAGES,
    },
    ServerKind {
        name: "encrypted tables",
        options: &[
            "--plugin-load-add=file_key_management",
            "--file-key-management-filename=KEYS",
            "--innodb-encrypt-tables=ON",
            "--innodb-encryption-threads=2",
            "--innodb-encryption-rotate-key-age=1",
        ],
        row_format: SMALL_PAGES,
        smallest_pages: SMALLEST_PAGES,
    },
    ServerKind {
        name: "encrypted redo log",
        options: &[
            "--plugin-load-add=file_key_management",
            "--file-key-management-filename=KEYS",
            "--innodb-encrypt-log=ON",
        ],
        row_format: SMALL_PAGES,
        smallest_pages: SMALLEST_PAGES,
    },
    ServerKind {
        name: "8k",
        options: &["--innodb-page-size=8k"],
        row_format: SMALL_PAGES,
        smallest_pages: SMALLEST_PAGES,
    },
    ServerKind {
        name: "32k",
        options: &["--innodb-page-size=32k"],
        row_format: LARGE_PAGES,
        smallest_pages: LARGE_PAGES,
    },
    ServerKind {
        name: "64k",
        options: &["--innodb-page-size=64k"],
        row_format: LARGE_PAGES,
        smallest_pages: LARGE_PAGES,
    },
    ServerKind {
        name: "undo directory elsewhere",
        options: &[
            "--innodb-undo-directory=UNDO",
            "--innodb-undo-tablespaces=2",
            "--innodb-max-undo-log-size=10M",
        ],
        row_format: SMALL_PAGES,
        smallest_pages: SMALLEST_PAGES,
    },
    ServerKind {
        name: "encrypted tables and redo log, 4k",
        options: &[
            "--innodb-page-size=4k",
            "--plugin-load-add=file_key_management",
            "--file-key-management-filename=KEYS",
            "--innodb-encrypt-tables=ON",
            "--innodb-encryption-threads=2",
            "--innodb-encryption-rotate-key-age=1",
            "--innodb-encrypt-log=ON",
        ],
        row_format: SMALL_PAGES,
        smallest_pages: SMALLEST_PAGES,
    },
];
