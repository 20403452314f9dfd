//! Some weeks of a cluster's backups as they come about: growth, odd nights, failures, holds, verifications.

use std::fs;
use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use super::forge::{manifest, put_manifest, put_object, status};

/// Numbers that look like chance and are the same each time.
#[derive(Debug)]
struct Chance(u64);

impl Chance {
    /// From 0 to below `end`.
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }
}

/// What a night comes to.
fn night(cluster: &str, id: &str, frozen_at: Timestamp, day: u64, chance: &mut Chance) -> Value {
    let mut manifest = manifest(id);
    let data = (96 << 30) + day * (700 << 20) + chance.below(300 << 20);
    let stored = data * (318 + chance.below(9)) / 1000;
    let frozen_ms = data / 1_450_000 + chance.below(9_000);
    let flush_ms = 40 + chance.below(400);
    manifest["cluster"] = cluster.replace('_', " ").into();
    manifest["request"] = "nightly".into();
    manifest["started"] = (frozen_at - SignedDuration::from_secs(2)).to_string().into();
    manifest["frozen_at"] = frozen_at.to_string().into();
    let took =
        SignedDuration::from_millis(i64::try_from(frozen_ms + 4_000 + chance.below(9_000)).unwrap_or(0));
    manifest["finished"] = (frozen_at + took).to_string().into();
    manifest["flush_ms"] = flush_ms.into();
    manifest["frozen_ms"] = frozen_ms.into();
    manifest["gtid"]["seqno"] = (18_300_000 + day * 412_345 + chance.below(100_000)).into();
    manifest["data_bytes"] = data.into();
    manifest["files"] = (5_300 + day * 3).into();
    manifest["archive"]["bytes"] = stored.into();
    manifest
}

/// `verify.json` of a backup that was verified at that time.
fn verified(at: Timestamp, manifest: &Value, finding: Option<&str>) -> Value {
    json!({
        "verified": at.to_string(), "by": "root@backup1", "command": "verify",
        "outcome": if finding.is_some() { "damaged" } else { "intact" },
        "findings": u8::from(finding.is_some()), "first_finding": finding, "files": manifest["files"],
        "bytes": manifest["data_bytes"], "pages_checked": 6_291_456, "pages_skipped": 0, "took_ms": 312_400,
        "tool": {"version": "0.1.0"}
    })
}

/// Backups of the last `days` nights, up to some hours before `now`; the names of all that is in the cluster's folder.
pub fn write(repository: &Path, cluster: &str, days: u64, now: Timestamp) -> Vec<String> {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut ids = Vec::new();
    for day in 0..days {
        let age = SignedDuration::from_hours(i64::try_from((days - 1 - day) * 24 + 7).unwrap_or(0));
        let at = now - age + SignedDuration::from_secs(i64::try_from(chance.below(900)).unwrap_or(0));
        let node = ["db1", "db2", "db2", "db3"][usize::try_from(chance.below(4)).unwrap_or(0)];
        let id = format!("{}_{node}", (at - SignedDuration::from_secs(2)).strftime("%Y%m%dT%H%M%SZ"));
        ids.push(id.clone());
        let mut manifest = night(cluster, &id, at, day, &mut chance);
        let left = days - 1 - day;
        let put = |name: &str, value: &Value| {
            put_object(repository, &format!("{cluster}/{id}/{name}"), value.to_string());
        };
        match left {
            // A full repository; the night after nothing has come at all.
            9 => {
                let error = format!(
                    "cannot write '{}/{cluster}/{id}/backup.tar.zst': No space left on device (os error 28)",
                    "/mnt/backup/galera"
                );
                let mut told = status(&id, "failed", Some(&error));
                told["frozen_ms"] = 41_870.into();
                told["updated"] = (at + SignedDuration::from_secs(44)).to_string().into();
                put("status.json", &told);
                continue;
            }
            8 => {
                fs::remove_dir_all(repository.join(cluster).join(&id)).ok();
                ids.pop();
                continue;
            }
            // A long query, then much to do.
            14 => {
                manifest["flush_ms"] = 31_240.into();
                manifest["frozen_ms"] = 131_900.into();
                manifest["finished"] = (at + SignedDuration::from_secs(141)).to_string().into();
            }
            5 => {
                manifest["warnings"] = json!([
                    "SQL did not answer: the binlog position is not known, a replica cannot be built from this backup"
                ]);
            }
            _ => {}
        }
        put_manifest(repository, cluster, &manifest);
        match left {
            18 => put(
                "hold.json",
                &json!({"held": (at + SignedDuration::from_hours(30)).to_string(), "by": "anna@db1", "note": "before the upgrade to 11.8"}),
            ),
            3 => {
                let finding = "shop/orders.ibd: 1 InnoDB page has a wrong checksum (page 4711)";
                put("verify.json", &verified(at + SignedDuration::from_hours(9), &manifest, Some(finding)));
            }
            left if left % 7 == 0 || left == 1 => {
                put("verify.json", &verified(at + SignedDuration::from_hours(5), &manifest, None));
            }
            _ => {}
        }
    }
    ids
}
