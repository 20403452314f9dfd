//! Pages of `report` in a real browser: pictures for a person, and what the browser says against them.
//!
//! `scripts/look-at-report` builds the program and runs this with its path and a folder. For each story (some weeks of
//! backups, a new repository, a year of retention, several clusters, hostile names) it writes a repository and its page, opens
//! it in Chromium at the width of a phone and of a desk, light and dark, and leaves the pictures in the folder. It ends
//! with 1 when the browser complains, when anything is wider than the screen, or when the page does not say what it should.

#[path = "../tests/support/mod.rs"]
mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use serde_json::json;
use support::cli::forge::{manifest, put_manifest, put_object, status};
use support::cli::history;

/// Names and sizes of the screens.
const SCREENS: [(&str, u32, u32); 2] = [("phone", 390, 844), ("desk", 1280, 900)];
const COLOURS: [&str; 2] = ["light", "dark"];

fn main() -> ExitCode {
    let mut args = std::env::args_os().skip(1).map(PathBuf::from);
    let (Some(program), Some(folder)) = (args.next(), args.next()) else {
        println!("usage: look_at_report PROGRAM FOLDER");
        return ExitCode::FAILURE;
    };
    match look(&program, &folder) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(faults) => {
            println!("{faults} faults");
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// A repository, and what its page must say.
struct Story {
    name: &'static str,
    flags: &'static [&'static str],
    says: &'static [&'static str],
}

const STORIES: [Story; 5] = [
    Story {
        name: "weeks",
        flags: &["WSREP_SST_BACKUP_KEEP_DAILY=14", "WSREP_SST_BACKUP_KEEP_WEEKLY=8"],
        says: &["needs attention", "shop_production", "intact", "No space left on device", "1 held"],
    },
    Story { name: "empty", flags: &[], says: &["There are no backups."] },
    Story { name: "year", flags: &[], says: &["archive", "Kept"] },
    Story { name: "clusters", flags: &[], says: &["alpha", "beta", "runs now", "needs attention"] },
    Story { name: "hostile", flags: &[], says: &["<script>", "complete"] },
];

fn write(story: &str, repository: &Path, now: Timestamp) -> Result<()> {
    fs::create_dir_all(repository)?;
    let ago = |hours: i64| now - jiff::SignedDuration::from_hours(hours);
    let id = |at: Timestamp| format!("{}_db1", at.strftime("%Y%m%dT%H%M%SZ"));
    match story {
        "weeks" => {
            history::write(repository, "shop_production", 32, now);
        }
        "year" => {
            let ids = history::write(repository, "archive", 366, now);
            for (nth, id) in ids.iter().rev().enumerate() {
                if !(nth < 7 || nth < 35 && nth % 7 == 0 || nth % 30 == 0) {
                    fs::remove_dir_all(repository.join("archive").join(id))?;
                }
            }
        }
        "clusters" => {
            history::write(repository, "alpha", 7, now);
            let name = id(ago(1));
            let mut told = status(&name, "copying", None);
            told["updated"] = now.to_string().into();
            (told["bytes_done"], told["bytes_total"]) = ((7_u64 << 30).into(), (24_u64 << 30).into());
            put_object(repository, &format!("alpha/{name}/status.json"), told.to_string());
            put_manifest(repository, "beta", &manifest(&id(ago(90))));
            put_object(repository, &format!("beta/{}/manifest.json", id(ago(80))), "{");
            put_object(repository, &format!("beta/{}/backup.tar.zst", id(ago(70))), "");
        }
        "hostile" => {
            for hours in [50, 26, 2] {
                let mut manifest = manifest(&id(ago(hours)));
                manifest["node"] = "<script>alert(1)</script>\"'&\u{202e}gnihton".into();
                manifest["warnings"] = json!(["</small></td><img src=x onerror=alert(2)>", "w".repeat(300)]);
                put_manifest(repository, "c", &manifest);
            }
            let hold = json!({"held": now.to_string(), "by": "<b>", "note": "</td></table><style>*{display:none}</style>"});
            put_object(repository, &format!("c/{}/hold.json", id(ago(2))), hold.to_string());
        }
        _ => {}
    }
    Ok(())
}

fn look(program: &Path, folder: &Path) -> Result<usize> {
    let mut faults = 0;
    for story in &STORIES {
        let now = Timestamp::now();
        let place = folder.join(story.name);
        let repository = place.join("repository");
        let _ = fs::remove_dir_all(&repository);
        write(story.name, &repository, now)?;
        let page = place.join("report.html");
        let status = Command::new(program)
            .args(["report", "--defaults-file", "/dev/null", "--html"])
            .arg(&page)
            .arg("--repository")
            .arg(&repository)
            .envs(story.flags.iter().filter_map(|flag| flag.split_once('=')))
            .status()
            .context("cannot run the program")?;
        ensure!(status.success(), "report has failed for '{}'", story.name);
        println!("{}: {} KiB", page.display(), fs::metadata(&page)?.len() >> 10);
        for (screen, width, height) in SCREENS {
            for colour in COLOURS {
                let browser = Browser { place: &place, page: &page, colour, width };
                for problem in browser.problems(story)? {
                    println!("  {screen} {colour}: {problem}");
                    faults += 1;
                }
                browser.picture(&place.join(format!("{screen}-{colour}.png")), height)?;
                if colour == "light" {
                    browser.picture(&place.join(format!("{screen}-whole.png")), browser.height()?)?;
                }
            }
        }
    }
    Ok(faults)
}

/// The page in a frame of a width: a window cannot be as narrow as a phone.
struct Browser<'a> {
    place: &'a Path,
    page: &'a Path,
    colour: &'static str,
    width: u32,
}

impl Browser<'_> {
    /// Runs Chromium on the frame; what it prints on stdout and on stderr.
    fn run(&self, height: u32, args: &[&str]) -> Result<(String, String)> {
        let frame = self.place.join("frame.html");
        let text = format!(
            "<!DOCTYPE html><meta charset=\"utf-8\"><body style=\"margin:0\"><iframe id=\"f\" src=\"file://{}\" \
             style=\"border:0;width:{}px;height:{height}px\"></iframe><pre id=\"told\"></pre><script>\
             f.onload = () => {{ const d = f.contentDocument; const e = d.documentElement;\
             told.textContent = [e.scrollWidth, e.scrollHeight, d.scripts.length, d.images.length, d.body.innerText].join('\\n'); }}\
             </script>",
            self.page.display(),
            self.width
        );
        fs::write(&frame, text)?;
        let output = Command::new("chromium")
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"])
            .args(["--hide-scrollbars", "--allow-file-access-from-files", "--enable-logging=stderr"])
            .arg(format!("--blink-settings=preferredColorScheme={}", u8::from(self.colour == "light")))
            .arg(format!("--user-data-dir={}", self.place.join("browser").display()))
            .arg(format!("--window-size={},{height}", self.width.max(600)))
            .args(args)
            .arg(format!("file://{}", frame.display()))
            .output()
            .context("cannot run chromium: apt-get install chromium")?;
        let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
        ensure!(output.status.success(), "chromium has failed: {}", text(output.stderr));
        Ok((text(output.stdout), text(output.stderr)))
    }

    /// What the frame has told: width, height, scripts, images, text; and what the console has.
    fn told(&self) -> Result<(Vec<String>, Vec<String>)> {
        let (document, log) = self.run(844, &["--dump-dom"])?;
        let told = document.split_once("<pre id=\"told\">").and_then(|(_, rest)| rest.split_once("</pre>"));
        let told = told.context("the frame tells nothing")?.0.splitn(5, '\n').map(str::to_owned).collect();
        let console = log.lines().filter(|line| line.contains("CONSOLE")).map(str::to_owned).collect();
        Ok((told, console))
    }

    fn problems(&self, story: &Story) -> Result<Vec<String>> {
        let (told, mut problems) = self.told()?;
        ensure!(told.len() == 5, "the frame tells: {told:?}");
        if told[0].parse::<u32>()? > self.width {
            problems.push(format!("it is {} wide, and the screen {}", told[0], self.width));
        }
        if (told[2].as_str(), told[3].as_str()) != ("0", "0") {
            problems.push(format!("it has {} scripts and {} images", told[2], told[3]));
        }
        let text = told[4].replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&");
        let missing = story.says.iter().filter(|words| !text.contains(**words));
        problems.extend(missing.map(|words| format!("it does not say '{words}'")));
        Ok(problems)
    }

    fn height(&self) -> Result<u32> {
        Ok(self.told()?.0.get(1).context("no height")?.parse::<u32>()?.min(12_000))
    }

    fn picture(&self, file: &Path, height: u32) -> Result<()> {
        self.run(height, &[&format!("--screenshot={}", file.display())])?;
        ensure!(file.is_file(), "there is no picture '{}'", file.display());
        Ok(())
    }
}
