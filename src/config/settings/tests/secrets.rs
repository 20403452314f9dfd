//! Passwords and keys.

use super::super::layers::Layers;
use super::*;

const KEY: &str = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY=";

#[test]
fn a_password_shows_nowhere() {
    let lines =
        "password=hunter2\ns3-access-key-id=i\ns3-secret-access-key=hunter2\ns3-session-token=hunter2";
    let files = files(lines);
    let settings = from_file(lines).unwrap();
    let flags = SettingsOverrides::of([("password", "hunter2"), ("s3-secret-access-key", "hunter2")]);
    let gathered = Layers::from(&files, std::iter::empty(), &flags).unwrap();
    for shown in
        [format!("{files:?}"), format!("{settings:?}"), format!("{flags:?}"), format!("{gathered:?}")]
    {
        assert!(!shown.contains("hunter2"), "{shown}");
    }
    assert_eq!(settings.password.unwrap().expose(), "hunter2");
    assert_eq!(from_file("password=").unwrap().password.unwrap().expose(), "");
    assert!(!from_file("password=hunter2\u{fffd}").unwrap_err().contains("hunter2"));
}

#[test]
fn a_customer_key_can_come_from_everywhere_and_shows_nowhere() {
    let line = format!("repository=s3://bucket\ns3-sse-customer-key={KEY}");
    let variable = [("WSREP_SST_BACKUP_S3_SSE_CUSTOMER_KEY", KEY)];
    let flags = flag("s3-sse-customer-key", KEY);
    for settings in
        [from_file(&line), resolve("", &variable, &SettingsOverrides::default()), resolve("", &[], &flags)]
    {
        let settings = settings.unwrap();
        assert!(!format!("{settings:?}{flags:?}").contains(KEY));
        assert_eq!(settings.s3.sse_customer_key.unwrap().expose(), KEY);
    }
    let plain = from_file(&format!("{line}\ns3-endpoint=http://h")).unwrap();
    assert!(plain.warnings[0].contains("readable for everybody"), "{:?}", plain.warnings);
    assert!(
        from_file("s3-sse-customer-key=hunter2")
            .unwrap_err()
            .ends_with("such as 'openssl rand -base64 32' prints")
    );
}
