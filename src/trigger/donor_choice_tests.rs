use super::*;
use crate::cluster::Silent;
use crate::sql::Endpoint;

fn member(name: &str, state: &str, component: &str) -> NodeReport {
    NodeReport::of(
        Endpoint::Tcp(name.parse().unwrap()),
        &[("wsrep_node_name", name)],
        &[("wsrep_local_state", state), ("wsrep_cluster_status", component), ("wsrep_replicated", "5")],
    )
}

fn silent(name: &str) -> Silent {
    Silent { name: name.into(), address: "10.0.0.9:3306".into(), why: "Access denied".into() }
}

/// `n1=4` is Synced, `n2=2` a donor, `n3=?` silent, `n1=4!` cut off.
fn survey(members: &str) -> Survey {
    let mut survey = Survey::default();
    for (name, state) in members.split(' ').filter_map(|text| text.split_once('=')) {
        match state.strip_suffix('!') {
            _ if state == "?" => survey.silent.push(silent(name)),
            Some(state) => survey.reports.push(member(name, state, "non-Primary")),
            None => survey.reports.push(member(name, state, "Primary")),
        }
    }
    survey
}

fn wish(donors: &[&str], force: bool) -> DonorWish {
    let donors = donors.iter().map(ToString::to_string).collect();
    DonorWish { donors, force, causes: Vec::new(), allow_sync_donor: false }
}

fn donors(members: &str, traffic: &[(&str, u64)], donors: &[&str]) -> Result<String, Refusal> {
    plan(&survey(members), &Traffic::of(traffic), &wish(donors, false)).map(|plan| plan.donors.join(","))
}

#[test]
fn the_node_that_clients_write_to_is_the_last_choice() {
    assert_eq!(donors("n1=4 n2=4 n3=4", &[("n1", 90)], &[]).as_deref(), Ok("n2,n3,n1"));
    assert_eq!(donors("n1=4 n2=?", &[("n1", 90)], &[]).as_deref(), Ok("n2,n1"));
    assert_eq!(donors("n1=4 n2=?", &[], &[]).as_deref(), Ok("n1,n2"));
    assert_eq!(donors("n1=4 n2=4", &[("n1", 9), ("n2", 3)], &[]).as_deref(), Ok("n2,n1"));
    assert_eq!(donors("n1=4 n2=3 n3=4", &[], &[]).as_deref(), Ok("n1,n3"), "one that catches up is none");
    assert_eq!(donors("", &[], &[]).as_deref(), Ok(""), "Galera chooses where nobody answers");
}

#[test]
fn the_donors_that_are_asked_for_are_checked() {
    assert_eq!(donors("n1=4 n2=4", &[("n2", 90)], &["n2"]).as_deref(), Ok("n2"));
    assert_eq!(donors("n1=4 n2=4", &[], &["n9", "n2"]).as_deref(), Ok("n9,n2"), "Galera passes over n9");
    let passed_over = plan(&survey("n1=4 n2=4"), &Traffic::default(), &wish(&["n9", "n2"], false)).unwrap();
    assert_eq!(passed_over.warnings, ["no member is called 'n9'"]);
    let unknown = donors("n1=4 n2=?", &[], &["n9"]).unwrap_err();
    assert_eq!(unknown.to_string(), "unknown donor 'n9': the members of the cluster are n1, n2");
    assert_eq!(donors("n1=4 n2=?", &[], &["n2"]).as_deref(), Ok("n2"));
    assert_eq!(donors("", &[], &["n9"]).as_deref(), Ok("n9"), "nobody can tell");
    let busy = donors("n1=4 n2=3", &[], &["n2"]).unwrap_err();
    assert_eq!(busy, Refusal::NotSynced(vec!["'n2' is Joined".into()]));
    assert!(!busy.can_be_forced());
}

#[test]
fn what_speaks_against_a_backup_can_be_forced() {
    for (members, refusal) in [
        ("n1=4 n2=2 n3=4", "'n2' is Donor/Desynced: another backup"),
        ("n1=4! n2=4!", "not Primary ('n1' is Synced and not in the Primary component"),
        ("n1=4", "'n1' is the only Synced node"),
        ("n1=4 n2=3", "'n1' is the only Synced node"),
    ] {
        let survey = survey(members);
        let refused = plan(&survey, &Traffic::default(), &wish(&["n1"], false)).unwrap_err();
        assert!(refused.to_string().contains(refusal), "{members}: {refused}");
        if members.contains('!') {
            continue;
        }
        let forced = plan(&survey, &Traffic::default(), &wish(&["n1"], true)).unwrap();
        assert!(forced.warnings[0].contains(refusal), "{members}: {forced:?}");
    }
}

#[test]
fn a_member_that_does_not_answer_is_named_and_may_be_synced() {
    let plan = plan(&survey("n1=4 n2=?"), &Traffic::default(), &wish(&[], false)).unwrap();
    assert_eq!(plan.donors, ["n1", "n2"]);
    assert_eq!(
        plan.warnings,
        ["'n2' does not answer SQL, so whether it is Synced is not known: Access denied"]
    );
    assert_eq!(plan.reason, "Synced, and clients do not write to it");
}

#[test]
fn a_desync_is_named_where_its_cause_is_seen() {
    let mut asked = wish(&[], false);
    asked.causes = vec![("n2".into(), Desync::ByHand)];
    let refused = plan(&survey("n1=4 n2=2 n3=4"), &Traffic::default(), &asked).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.starts_with("'n2' is Donor/Desynced: 'n2': wsrep_desync is ON there: somebody has set it"),
        "{said}"
    );
    assert!(!said.contains("another backup"), "{said}");
    assert!(refused.is_by_hand() && refused.can_be_forced());
}

/// Galera compares no more letters than the wanted name has.
#[test]
fn a_donor_for_which_another_member_could_be_taken_is_not_asked() {
    assert_eq!(donors("n1=4 n10=4 n2=4", &[], &[]).as_deref(), Ok("n10,n2"));
    for (members, wanted, other) in
        [("n1=4 n10=4", "n1", "n10"), ("n1=4 n2=4 n10=?", "n1", "n10"), ("back=4 n2=4", "back", "backup-")]
    {
        let refused = donors(members, &[], &[wanted]).unwrap_err();
        assert_eq!(refused, Refusal::Ambiguous { donor: wanted.into(), other: other.into() }, "{members}");
        assert!(refused.can_be_forced() && refused.to_string().contains(other), "{refused}");
    }
    // One that cannot be a donor is a member all the same.
    assert!(matches!(donors("n1=4 n10=3", &[], &[]), Err(Refusal::Ambiguous { .. })));
    let passed_over = plan(&survey("n1=4 n10=4"), &Traffic::default(), &wish(&[], false)).unwrap().warnings;
    assert!(passed_over[0].starts_with("not asked: Galera may take 'n10' where 'n1'"), "{passed_over:?}");
    assert_eq!(donors("n1=4 n10=4", &[], &["n10"]).as_deref(), Ok("n10"));
}

#[test]
fn a_donor_that_would_stop_its_cluster_is_for_force_or_a_setting() {
    let mut survey = survey("n1=4");
    survey.reports.push(NodeReport::of(
        Endpoint::Tcp("n2".parse().unwrap()),
        &[
            ("wsrep_node_name", "n2"),
            ("wsrep_provider_options", "gcs.max_throttle = 0.25; gcs.sync_donor = yes; "),
        ],
        &[("wsrep_local_state", "4"), ("wsrep_cluster_status", "Primary")],
    ));
    let ask = |wish: DonorWish| plan(&survey, &Traffic::default(), &wish);
    let refused = ask(wish(&["n2"], false)).unwrap_err();
    assert_eq!(refused, Refusal::SyncDonor(vec!["'n2'".into()]));
    assert!(refused.to_string().contains("would stop the writes of the whole cluster"), "{refused}");
    assert!(
        ask(wish(&["n2"], true)).unwrap().warnings[0].starts_with("forced: gcs.sync_donor is on on 'n2'")
    );
    assert_eq!(ask(DonorWish { allow_sync_donor: true, ..wish(&["n2"], false) }).unwrap().donors, ["n2"]);
    assert!(ask(wish(&["n1"], false)).is_ok());
    // Also where it is only what Galera may take instead.
    assert!(ask(wish(&[], false)).is_err());
}
