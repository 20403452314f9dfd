//! What is known about InnoDB files without a server: page sizes and page checksums.
