//! The objects of many folders, in one list of what lies below the folder that holds them: a thousand to a request.

use std::collections::BTreeMap;

use futures_util::TryStreamExt;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::bucket::Bucket;
use super::retry::retry;
use crate::storage::{FolderList, ObjectInfo};

/// Objects of a folder on the average: where there are more, the folder holds other things as well, maybe millions.
const USUAL: usize = 16;
/// Objects that may be something else.
const OTHERS: usize = 1000;

/// An object of the folder at `place` as a list shows it; none where it is hidden.
pub(super) fn shown(place: &Path, object: &ObjectMeta) -> Option<ObjectInfo> {
    // A folder that a console has made is an object with the name of the folder itself.
    let name =
        object.location.filename().filter(|name| object.location != *place && !name.starts_with('.'))?;
    let modified = Timestamp::from_millisecond(object.last_modified.timestamp_millis()).ok();
    Some(ObjectInfo { name: name.to_owned(), bytes: object.size, modified })
}

/// The objects directly in each of these folders in `folder`, sorted by name. None where that is not to be had this way: there is too much besides, or
/// the list fails, and each folder has to be asked for by itself.
pub(super) fn objects_of(bucket: &Bucket, folder: &str, names: &[String]) -> Option<Vec<FolderList>> {
    let place = bucket.key(folder);
    let most = names.len().saturating_mul(USUAL).saturating_add(OTHERS);
    let all = || async {
        let mut pages = bucket.store.list(Some(&place)).try_chunks(OTHERS);
        let mut found = Vec::new();
        while let Some(mut page) = pages.try_next().await.map_err(|error| error.1)? {
            found.append(&mut page);
            if found.len() > most {
                return Ok(None);
            }
        }
        Ok::<_, object_store::Error>(Some(found))
    };
    let what = format!("cannot list '{}'", bucket.place(folder));
    let found = bucket.wait(retry(bucket.limits, &what, all)).ok()??;
    let key = |name: &String| bucket.key(&format!("{folder}/{name}")).to_string();
    let mut by_folder: BTreeMap<String, Vec<ObjectInfo>> =
        names.iter().map(|name| (key(name), Vec::new())).collect();
    for object in &found {
        let Some((parent, _)) = object.location.as_ref().rsplit_once('/') else { continue };
        let Some(objects) = by_folder.get_mut(parent) else { continue };
        objects.extend(shown(&place, object));
    }
    let sorted = |name: &String| {
        let mut objects = by_folder.remove(&key(name)).unwrap_or_default();
        objects.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(objects)
    };
    Some(names.iter().map(sorted).collect())
}
