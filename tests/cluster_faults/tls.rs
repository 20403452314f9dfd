//! A cluster whose members talk to each other by TLS.

use std::path::Path;
use std::process::Command;

use crate::stage::Stage;
use crate::support::cli::open_folder;
use crate::support::{ClusterOptions, Scratch, method_without_sql};

#[test]
#[ignore = "needs MariaDB and Galera"]
fn a_cluster_with_tls_needs_nothing_but_the_option_files_of_a_node() {
    let folder = open_folder();
    make_certificate(folder.path());
    let place = folder.path().display();
    let mut options = ClusterOptions::new();
    for (option, file) in [("ssl_ca", "cert.pem"), ("ssl_cert", "cert.pem"), ("ssl_key", "key.pem")] {
        options = options.provider(&format!("socket.{option}={place}/{file}"));
    }
    let stage = Stage::with(2, options);
    assert!(stage.donor().log().contains("ssl://"), "the members do not use TLS");
    let without_tls = stage.administrator.outside(&["--donor=n2"]);
    stage.back_up();
    // The option files alone, as for a server that does not answer.
    stage.configure(&format!("user=nobody_of_that_name\n{}\n", method_without_sql()));
    let told = stage.administrator.on(&stage.cluster, 2, &["--donor=n2", "--no-wait"]).finish();
    assert_eq!((told.status, told.text("outcome")), (Some(0), "asked"), "{told}");
    assert!(told.err.contains("no member answers SQL"), "{told}");
    let told = stage.administrator.on(&stage.cluster, 1, &["--follow", told.text("request")]).finish();
    stage.assert_whole(told.complete());
    without_tls.finish().ended("failed", "members that speak TLS");
}

/// Key and certificate, readable for the servers' account.
pub(crate) fn make_certificate(folder: &Path) {
    let done = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .current_dir(folder)
        .output()
        .expect("no openssl here: run scripts/install-deps");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    for file in ["key.pem", "cert.pem"] {
        Scratch::new().user().own(&folder.join(file));
    }
}
