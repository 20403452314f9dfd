//! A cluster at work whose second node is backed up, by one method and account after the other.

use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::support::program::{gtid, recovered_position, text, with_program};
use crate::support::{BusyCluster, ClusterOptions, Garbd, Node, PATIENCE, wait_until};

const SECRET: &str = "s3cretOfTheCore";

pub(crate) fn options() -> ClusterOptions {
    with_program(ClusterOptions::new(), env!("CARGO_BIN_EXE_wsrep_sst_backup"))
}

pub(crate) struct Core {
    pub(crate) busy: BusyCluster,
    /// The donor's option file as it was.
    cnf: String,
    /// With which account the program logs in.
    login: String,
}

impl Core {
    pub(crate) fn start(options: &ClusterOptions) -> Self {
        let busy = BusyCluster::start(options);
        let cnf = fs::read_to_string(busy.donor().cnf()).unwrap();
        let login = "user=root".to_owned();
        assert!(cnf.contains(&login), "{cnf}");
        Self { busy, cnf, login }
    }

    pub(crate) fn node(&self, number: usize) -> &Node {
        self.busy.cluster.n(number)
    }

    /// Gives the donor these settings and no others; its program reads them each time.
    pub(crate) fn configure(&self, settings: &str) {
        let cnf = self.cnf.replace("user=root", &self.login);
        fs::write(self.node(2).cnf(), format!("{cnf}{settings}\n")).unwrap();
    }

    /// An exact backup by a method that is named.
    pub(crate) fn back_up(&self, method: &str) -> Value {
        self.back_up_by(method, method)
    }

    /// The same where the setting leads to another one. What the server's log says of its position is what InnoDB finds in the files.
    pub(crate) fn back_up_by(&self, setting: &str, method: &str) -> Value {
        self.configure(&format!("method={setting}"));
        let (manifest, _) = self.busy.back_up();
        assert_eq!(text(&manifest, "/method"), method);
        let folder = self.busy.cluster.make_dir("recovered");
        let datadir = folder.join("data");
        self.busy.program.restore(&manifest, &datadir, &["--as", "standalone"]);
        self.busy.cluster.scratch().user().own_tree(&folder);
        let (found, said) = recovered_position(&self.node(2).cnf(), &datadir);
        assert_eq!(found, Some(gtid(&manifest)), "{method}: {said}");
        fs::remove_dir_all(folder).unwrap();
        manifest
    }

    /// The log of a donor that refuses this method: no backup, and it is Synced.
    pub(crate) fn refused(&self, method: &str) -> String {
        self.configure(&format!("method={method}"));
        let (donor, program) = (self.node(2), &self.busy.program);
        let before = program.manifests().len();
        let outcome = Garbd::backup_and_wait(&self.busy.cluster, 2, None, PATIENCE);
        assert_eq!(program.manifests().len(), before);
        donor.log_since(outcome.donor_mark)
    }

    /// With no account of its own the program takes the one that mysqld hands over: on its standard input a temporary one of 11.6 and later,
    /// before in the environment that of `wsrep_sst_auth`.
    pub(crate) fn by_account_of_the_transfer<T>(&mut self, work: impl FnOnce(&Self) -> T) -> T {
        let donor = self.node(2);
        let account = if self.node(1).series() >= (11, 6) {
            "wsrep.sst."
        } else {
            self.make_account("sst");
            donor.exec(&format!("SET GLOBAL wsrep_sst_auth = 'sst:{SECRET}'"));
            "sst@localhost"
        };
        self.logged_in(String::new(), account, work)
    }

    pub(crate) fn by_account_of_the_option_file<T>(&mut self, work: impl FnOnce(&Self) -> T) -> T {
        self.make_account("core");
        self.logged_in(format!("user=core\npassword={SECRET}"), "core@localhost", work)
    }

    fn make_account(&self, name: &str) {
        let (first, donor) = (self.node(1), self.node(2));
        first.exec(&format!("CREATE USER {name}@localhost IDENTIFIED BY '{SECRET}'"));
        first.exec(&format!("GRANT ALL PRIVILEGES ON *.* TO {name}@localhost"));
        let count = format!(
            "SELECT COUNT(*) FROM mysql.global_priv WHERE user = '{name}' AND priv LIKE '%\"access\":%'"
        );
        assert!(wait_until(PATIENCE, || donor.scalar(&count) == "1"));
    }

    /// The server's own log tells who logs in meanwhile; the password is in no log and no file of the repository.
    fn logged_in<T>(&mut self, login: String, account: &str, work: impl FnOnce(&Self) -> T) -> T {
        let usual = std::mem::replace(&mut self.login, login);
        let donor = self.node(2);
        let (log, mark) = (donor.dir().join("general.log"), donor.log_mark());
        donor.exec(&format!("SET GLOBAL general_log_file = '{}'", log.display()));
        donor.exec("SET GLOBAL general_log = ON");
        let done = work(self);
        donor.exec("SET GLOBAL general_log = OFF");
        let said = String::from_utf8_lossy(&fs::read(&log).unwrap()).into_owned();
        let connects: Vec<&str> =
            said.lines().filter_map(|line| Some(line.split_once("Connect\t")?.1)).collect();
        assert!(connects.iter().any(|user| user.starts_with(account)), "{account}: {connects:?}");
        assert!(!donor.log_since(mark).contains(SECRET), "{}", donor.log_since(mark));
        let found =
            Command::new("grep").args(["-rl", SECRET]).arg(self.busy.program.repository()).output().unwrap();
        assert_eq!(String::from_utf8_lossy(&found.stdout), "", "files of the repository");
        fs::remove_file(log).unwrap();
        self.login = usual;
        done
    }
}
