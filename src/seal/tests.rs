use std::io::{Cursor, Read, Seek, SeekFrom, Write};

use super::reader::unseal_small;
use super::*;

fn key() -> (String, Recipient) {
    use age::secrecy::ExposeSecret;
    let key = age::x25519::Identity::generate();
    let public = Recipient::read(&key.to_public().to_string()).unwrap().remove(0);
    (key.to_string().expose_secret().to_owned(), public)
}

fn keys(text: &str) -> Identities {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    std::fs::write(&file, text).unwrap();
    Identities::read(&file, &|_| None).unwrap()
}

fn sealed(plain: &[u8], recipients: &[Recipient]) -> Vec<u8> {
    let mut writer = SealedWriter::create(Vec::new(), recipients).unwrap();
    for piece in plain.chunks(50_021) {
        writer.write_all(piece).unwrap();
    }
    writer.finish().unwrap()
}

#[test]
fn each_recipient_opens_it_at_any_place_and_nobody_else() {
    let ((first, one), (second, two), (other, _)) = (key(), key(), key());
    for bytes in [0, 1, 65_535, 65_536, 65_537, 400_000] {
        let plain: Vec<u8> = (0..bytes).map(|n: u32| (n / 7).to_le_bytes()[0]).collect();
        let object = sealed(&plain, &[one.clone(), two.clone()]);
        assert!(fits(object.len() as u64, plain.len() as u64), "{bytes}");
        for secret in [&first, &second] {
            assert!(unseal_small(&object, &keys(secret)).unwrap() == plain, "{bytes}");
        }
        let error = unseal_small(&object, &keys(&other)).unwrap_err();
        assert!(matches!(error, UnsealError::WrongKey), "{error}");
        let mut stream = unseal(Cursor::new(&object), &keys(&first)).unwrap();
        for place in [bytes / 2, bytes, 0, bytes.saturating_sub(1), bytes / 3] {
            stream.seek(SeekFrom::Start(place.into())).unwrap();
            let mut rest = Vec::new();
            stream.read_to_end(&mut rest).unwrap();
            assert!(rest == plain[place as usize..], "{place} of {bytes}");
        }
    }
    assert_eq!(sealed(b"as it is", &[]), b"as it is");
}

#[test]
fn what_was_changed_or_cut_off_is_no_wrong_key() {
    let (secret, public) = key();
    let keys = keys(&secret);
    let object = sealed(&vec![7; 200_000], &[public]);
    for place in [3, 100, 180, 300, 100_000, object.len() - 1] {
        let mut changed = object.clone();
        changed[place] ^= 1;
        let error = unseal_small(&changed, &keys).unwrap_err();
        // A changed line of the header may be that of somebody else.
        assert!(matches!(error, UnsealError::Damaged(_)) || place < 200, "{place}: {error}");
    }
    for bytes in [0, 50, 250, 65_800, object.len() - 1] {
        let error = unseal_small(&object[..bytes], &keys).unwrap_err();
        assert!(matches!(error, UnsealError::Damaged(_)), "{bytes}: {error}");
    }
}

#[test]
fn public_keys_are_told_from_everything_else() {
    let (secret, public) = key();
    let ed25519 = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHsKLqeplhpW+uObz5dvMgjz1OxfM/XXUB+VHtZ6isGN";
    let with_comment = Recipient::read(&format!("{ed25519} backup@db1")).unwrap();
    assert_eq!(with_comment[0].to_string(), ed25519);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("keys");
    std::fs::write(&file, format!("# the vault\n\n{public}\n  {ed25519} x\n")).unwrap();
    let found = Recipient::read(file.to_str().unwrap()).unwrap();
    assert_eq!(found, [public.clone(), with_comment[0].clone()]);
    std::fs::write(&file, "age1x\n").unwrap();
    for (text, what) in [
        (secret.as_str(), "this is a secret key"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "this is a secret key"),
        ("age1nonsense", "is no public key"),
        ("age1yubikey1q2w3e4r", "an age plugin"),
        ("ssh-dss AAAAB3NzaC1kc3M=", "type 'ssh-dss' are not supported"),
        ("ecdsa", "is no public key"),
        (file.to_str().unwrap(), "keys line 1: 'age1x'"),
        ("/none/keys", "cannot read '/none/keys'"),
    ] {
        let error = Recipient::read(text).unwrap_err();
        assert!(error.contains(what) && !error.contains(&secret), "{error}");
    }
}

#[test]
fn files_without_a_key_say_what_they_are() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let (_, public) = key();
    let none: &dyn Fn(&str) -> Option<String> = &|_| None;
    let error = Identities::read(&file, none).unwrap_err().to_string();
    assert!(error.contains("No such file"), "{error}");
    for (content, what) in [
        (public.to_string(), "neither keys of 'age-keygen' nor"),
        ("# nothing\n".into(), "it holds no key"),
        (
            "-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n".into(),
            "no private key that SSH makes",
        ),
    ] {
        std::fs::write(&file, content).unwrap();
        let error = Identities::read(&file, none).unwrap_err().to_string();
        assert!(error.starts_with("cannot use the keys in '") && error.contains(what), "{error}");
    }
}

#[test]
fn a_passphrase_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("key");
    let (secret, public) = key();
    let encryptor = age::Encryptor::with_user_passphrase("open sesame".to_owned().into());
    let mut object = Vec::new();
    let mut writer = encryptor.wrap_output(&mut object).unwrap();
    writer.write_all(secret.as_bytes()).unwrap();
    writer.finish().unwrap();
    std::fs::write(&file, object).unwrap();
    let asked = std::cell::RefCell::new(Vec::new());
    let read = |answer: Option<&str>| {
        Identities::read(&file, &|prompt| {
            asked.borrow_mut().push(prompt.to_owned());
            answer.map(str::to_owned)
        })
    };
    assert_eq!(read(Some("open sesame")).unwrap().public(), [public.to_string()]);
    let error = read(Some("x")).unwrap_err().to_string();
    assert!(error.contains("the passphrase is wrong"), "{error}");
    let error = read(None).unwrap_err().to_string();
    assert!(error.contains("there is no terminal"), "{error}");
    assert!(asked.borrow().iter().all(|prompt| prompt.starts_with("Passphrase of '")));
}
