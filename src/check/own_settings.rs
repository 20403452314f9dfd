//! The option files: those of this command, and those that the donor program will read.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::finding::Finding;
use super::probe::DonorSettings;
use crate::config::{OptionFiles, RepositoryUrl, is_secret};
use crate::ui::shell_word;

const TOPIC: &str = "settings";
/// Everybody may read.
const WORLD_READABLE: u32 = 0o004;

/// What is to be told of the files that this command has read.
pub(super) fn judge_files(files: &OptionFiles, warnings: &[String]) -> Vec<Finding> {
    let mut findings: Vec<Finding> = warnings
        .iter()
        .map(|warning| Finding::warning(TOPIC, warning.clone(), "correct that file".to_owned()))
        .collect();
    let mut open: Vec<&Path> = files
        .group_settings(&["wsrep_sst_backup"])
        .into_iter()
        .filter(|setting| setting.value.as_deref().is_some_and(|value| is_secret(&setting.name, value)))
        .map(|setting| setting.file.as_path())
        .filter(|file| fs::metadata(file).is_ok_and(|data| data.permissions().mode() & WORLD_READABLE != 0))
        .collect();
    open.sort();
    open.dedup();
    findings.extend(open.into_iter().map(|file| {
        let (word, file) = (shell_word(file), file.display());
        // A key is a password too.
        Finding::warning(
            TOPIC,
            format!("{file} holds a password and can be read by everybody"),
            format!("chgrp mysql {word} && chmod 0640 {word}"),
        )
    }));
    findings
}

/// What is to be told of the donor's settings; `own` is this command's repository.
pub(super) fn judge_donor(
    donor: &Result<DonorSettings, String>,
    own: &RepositoryUrl,
    user: &str,
) -> Vec<Finding> {
    let settings = match donor {
        Ok(settings) => settings,
        Err(why) => {
            let text = format!("the donor will give up, because its option files cannot be used: {why}");
            return vec![Finding::error(
                TOPIC,
                text,
                format!("correct it; '{user}' must be able to read the file"),
            )];
        }
    };
    let mut findings: Vec<Finding> = settings
        .warnings
        .iter()
        .map(|warning| {
            let cure = format!("let '{user}' read the file, or correct it");
            Finding::warning(TOPIC, format!("the donor will be told: {warning}"), cure)
        })
        .collect();
    if settings.repository == *own {
        findings.push(Finding::ok(TOPIC, "the donor and this command mean the same repository"));
    } else {
        findings.push(Finding::warning(
            TOPIC,
            format!(
                "the donor will store into {}, while this command looks at {}",
                settings.repository, own
            ),
            "give both the same option files (the donor gets mysqld's own --defaults-file), or name the donor's \
             repository here with --repository"
                .to_owned(),
        ));
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::check::Level;
    use crate::config::DefaultsArgs;

    #[test]
    fn a_password_for_everybody_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("my.cnf");
        fs::write(&file, "[wsrep_sst_backup]\npassword=x\n").unwrap();
        let levels = |mode| {
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
            let args = DefaultsArgs { defaults_file: Some(file.clone()), ..DefaultsArgs::default() };
            judge_files(&OptionFiles::read(&args).unwrap(), &[])
        };
        for (line, is_told) in [
            ("s3-proxy=http://u:p@proxy:3128", true),
            ("s3_proxy = http://u:p@proxy:3128", true),
            ("s3-proxy=http://proxy:3128", false),
            ("s3-secret-access-key=x", true),
            ("repository=/r", false),
        ] {
            fs::write(&file, format!("[wsrep_sst_backup]\n{line}\n")).unwrap();
            assert_eq!(levels(0o644).len(), usize::from(is_told), "{line}");
        }
        fs::write(&file, "[wsrep_sst_backup]\npassword=x\n").unwrap();
        let findings = levels(0o644);
        assert_eq!(findings.len(), 1);
        assert!(findings[0].cure.as_deref().unwrap().ends_with(&format!("chmod 0640 {}", file.display())));
        assert_eq!(levels(0o640), []);
    }

    #[test]
    fn the_donors_settings_are_compared() {
        let directory = |path: &str| RepositoryUrl::Directory(path.into());
        let of = |repository: &str| {
            Ok(DonorSettings { repository: directory(repository), ..DonorSettings::default() })
        };
        for (donor, level, text) in [
            (of("/r"), Level::Ok, "the same repository"),
            (of("/other"), Level::Warning, "store into /other, while this command looks at /r"),
            (Err("/x line 3: unknown option 'y'".into()), Level::Error, "/x line 3"),
        ] {
            let [finding] = &judge_donor(&donor, &directory("/r"), "mysql")[..] else { panic!("{donor:?}") };
            assert!(finding.level == level && finding.text.contains(text), "{finding:?}");
        }
    }
}
