//! `grastate.dat` where the server looks for it: in `base_dir` of the provider's options, else in `wsrep_data_home_dir`, which is the data directory
//! unless somebody has set it (Galera: `ReplicatorSMM`, `BASE_DIR`). A node that does not find its position there takes a full SST, over what was
//! restored; one that finds an old position believes it.

use std::path::{Component, Path, PathBuf};

use super::destinations::Destinations;
use super::error::RestoreError;
use super::no_follow;
use super::request::{Purpose, RestoreRequest};
use crate::archive::GRASTATE_MEMBER;
use crate::capture::is_same_directory;
use crate::config::ServerOptions;
use crate::model::{Manifest, provider_option};
use crate::server::DEFAULT_DATADIR;

/// Whether the server of these option files has `target` as its data directory.
pub fn is_of(options: &ServerOptions, target: &Path) -> bool {
    is_same(Path::new(options.get("datadir").unwrap_or(DEFAULT_DATADIR)), target)
}

fn is_same(one: &Path, other: &Path) -> bool {
    one.components().eq(other.components()) || is_same_directory(one, other)
}

/// Where the server that will start on `target` has its position: by option files that name this data directory. None
/// where that is the data directory, or where the files are those of another server.
pub fn wsrep_home(options: &ServerOptions, target: &Path) -> Option<PathBuf> {
    if !is_of(options, target) {
        return None;
    }
    let of_provider = options.get("wsrep-provider-options").and_then(|all| provider_option(all, "base_dir"));
    // The second one is a variable of the wsrep-provider plugin.
    let base = of_provider.or_else(|| options.get("wsrep-provider-base-dir")).filter(|base| !base.is_empty());
    let home: PathBuf =
        target.join(base.or_else(|| options.get("wsrep-data-home-dir"))?).components().collect();
    (!is_same(&home, target)).then_some(home)
}

/// The directories besides the data directory that get a `grastate.dat`: the one that this server's option files name,
/// and the one that lay inside the donor's data directory. Without links.
pub(super) fn homes(
    request: &RestoreRequest,
    manifest: &Manifest,
    places: &Destinations,
) -> Result<Vec<PathBuf>, RestoreError> {
    if matches!(request.purpose, Purpose::Node | Purpose::Cluster) {
        all_homes(request, manifest, places)
    } else {
        Ok(Vec::new())
    }
}

/// The directories besides the data directory in which a server may find a `grastate.dat`, whatever the restored one is for.
pub(super) fn all_homes(
    request: &RestoreRequest,
    manifest: &Manifest,
    places: &Destinations,
) -> Result<Vec<PathBuf>, RestoreError> {
    let inside = manifest.server.wsrep_data_home_dir.as_ref().and_then(|home| {
        let below = Path::new(home).strip_prefix(&places.datadir).ok()?;
        // A manifest can be edited.
        let is_contained = below.components().all(|part| matches!(part, Component::Normal(_)));
        is_contained.then(|| places.target().join(below))
    });
    let mut homes = Vec::new();
    for home in request.wsrep_home.iter().cloned().chain(inside) {
        let real = no_follow::resolve(&home).map_err(|why| {
            RestoreError::Refused(format!("wsrep_data_home_dir '{}' {why}", home.display()))
        })?;
        if real != places.target() && !homes.contains(&real) {
            homes.push(real);
        }
    }
    Ok(homes)
}

/// Refuses a position that is there already: it belongs to a server that runs, or to what was before.
pub(super) fn check(
    request: &RestoreRequest,
    manifest: &Manifest,
    places: &Destinations,
) -> Result<(), RestoreError> {
    let homes = homes(request, manifest, places)?.into_iter();
    let mut files =
        homes.filter(|home| !home.starts_with(places.target())).map(|home| home.join(GRASTATE_MEMBER));
    match files.find(|file| file.symlink_metadata().is_ok()) {
        None => Ok(()),
        Some(file) => Err(RestoreError::Refused(format!(
            "'{}' exists: the server reads its position from there (wsrep_data_home_dir), and with that one it would not \
             join from where the backup stands. See that no server runs, move it away, and restore again",
            file.display()
        ))),
    }
}

/// What is left to do where the option files do not tell, and what was done where they do.
pub(super) fn note(manifest: &Manifest, request: &RestoreRequest) -> Option<String> {
    if !matches!(request.purpose, Purpose::Node | Purpose::Cluster) {
        return None;
    }
    if let Some(home) = &request.wsrep_home {
        return Some(format!(
            "The position of the backup was written to '{}' as well, where this server looks for it \
             (wsrep_data_home_dir).",
            home.join(GRASTATE_MEMBER).display()
        ));
    }
    let home = manifest.server.wsrep_data_home_dir.as_ref()?;
    Some(format!(
        "The donor had  wsrep_data_home_dir = {} . A server that has this setting looks for its position there, and \
         takes a full SST over this restore when it finds none: move '{}' there before you start it.",
        home.escape_debug(),
        request.target.join(GRASTATE_MEMBER).display()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::OptionFiles;

    #[test]
    fn the_home_of_wsrep_is_that_of_the_server_that_starts_on_the_target() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().display().to_string();
        std::fs::create_dir(folder.path().join("data")).unwrap();
        std::os::unix::fs::symlink(folder.path().join("data"), folder.path().join("link")).unwrap();
        let home = |datadir: &str, home: &[&str]| {
            let mut args = vec![format!("--datadir={root}/{datadir}")];
            args.extend(
                home.iter().map(|home| format!("--wsrep-data-home-dir={}", home.replace("{}", &root))),
            );
            let options = ServerOptions::from(&OptionFiles::default(), &args, None);
            wsrep_home(&options, &folder.path().join("data"))
        };
        assert_eq!(home("data", &["{}/wsrep/"]), Some(folder.path().join("wsrep")));
        assert_eq!(home("link", &["{}/wsrep"]), Some(folder.path().join("wsrep")));
        assert_eq!(home("data", &["wsrep"]), Some(folder.path().join("data/wsrep")));
        assert_eq!(home("data", &["{}/link"]), None);
        assert_eq!(home("data", &[]), None);
        assert_eq!(home("other", &["{}/wsrep"]), None);
        let with = |more: &str| {
            let args =
                [format!("--datadir={root}/data"), format!("--wsrep-data-home-dir={root}/w"), more.into()];
            wsrep_home(
                &ServerOptions::from(&OptionFiles::default(), &args, None),
                &folder.path().join("data"),
            )
        };
        let base = folder.path().join("galera");
        assert_eq!(
            with(&format!("--wsrep-provider-options=gcache.size=1G; base_dir = {root}/galera")),
            Some(base.clone())
        );
        assert_eq!(with(&format!("--wsrep-provider-base-dir={root}/galera")), Some(base));
        assert_eq!(with("--wsrep-provider-options=gcache.size=1G"), Some(folder.path().join("w")));
    }
}
