//! SQL over TCP with TLS, against a real server that insists on it.

mod support;

use std::path::{Path, PathBuf};

use support::{Cluster, ClusterOptions, PATIENCE, openssl};
use wsrep_sst_backup::config::Secret;
use wsrep_sst_backup::sql::{Account, Endpoint, SqlSession, Tls};

/// `ca.pem`, and `NAME.pem` with `NAME.key`, signed by it; the server's certificate is for 127.0.0.1 alone.
fn certificates(folder: &Path) {
    openssl(folder, "req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=ca");
    openssl(
        folder,
        "req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.pem -days 2 -subj /CN=other",
    );
    std::fs::write(folder.join("server.ext"), "subjectAltName=IP:127.0.0.1").unwrap();
    std::fs::write(folder.join("client.ext"), "extendedKeyUsage=clientAuth").unwrap();
    for name in ["server", "client"] {
        openssl(
            folder,
            &format!("req -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.csr -subj /CN={name}"),
        );
        let sign = "x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial";
        openssl(folder, &format!("{sign} -in {name}.csr -out {name}.pem -extfile {name}.ext"));
    }
}

#[test]
#[ignore = "needs MariaDB"]
fn a_server_that_insists_on_tls_is_asked_over_tls() {
    let options = ClusterOptions::new()
        .mysqld("ssl_ca={base}/tls/ca.pem")
        .mysqld("ssl_cert={base}/tls/server.pem")
        .mysqld("ssl_key={base}/tls/server.key");
    let cluster = Cluster::prepare(1, &options);
    let folder: PathBuf = cluster.make_dir("tls");
    certificates(&folder);
    cluster.scratch().user().own_tree(&folder);
    let server = cluster.n(1);
    server.start(true);
    server.wait_synced(PATIENCE);
    server.exec("CREATE USER tls@'%' IDENTIFIED BY 'secret' REQUIRE SSL");
    server.exec("CREATE USER x509@'%' IDENTIFIED BY 'secret' REQUIRE X509");

    let connect = |user: &str, host: &str, tls: Option<Tls>| {
        let account =
            Account { user: Some(user.into()), password: Some(Secret::from("secret".to_owned())), tls };
        let endpoint = Endpoint::Tcp(format!("{host}:{}", server.port()).parse().unwrap());
        SqlSession::connect(&endpoint, &account).and_then(|mut session| session.cluster_status())
    };
    let tls = |ca: &str, verify_name| Some(Tls { ca: folder.join(ca), identity: None, verify_name });
    let primary = Ok("Primary".to_owned());
    assert_eq!(connect("tls", "127.0.0.1", tls("ca.pem", true)), primary);
    let plain = connect("tls", "127.0.0.1", None).unwrap_err();
    assert!(plain.contains("error 1045") || plain.contains("Access denied"), "{plain}");
    let stranger = connect("tls", "127.0.0.1", tls("other.pem", true)).unwrap_err();
    assert!(stranger.contains("ertificate"), "{stranger}");
    let misnamed = connect("tls", "localhost", tls("ca.pem", true)).unwrap_err();
    assert!(misnamed.contains("localhost") && misnamed.contains("ertificate"), "{misnamed}");
    assert_eq!(connect("tls", "localhost", tls("ca.pem", false)), primary);
    let identity = Some((folder.join("client.pem"), folder.join("client.key")));
    let with_identity = Tls { ca: folder.join("ca.pem"), identity, verify_name: true };
    assert_eq!(connect("x509", "127.0.0.1", Some(with_identity)), primary);
    assert!(connect("x509", "127.0.0.1", tls("ca.pem", true)).is_err());
}
