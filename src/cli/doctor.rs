//! `parallax doctor`: what this build and this machine have, in words that can be sent to anyone.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::Args;
use serde::{Deserialize, Serialize};

use super::{harmless, say_json};
use crate::gpu::{self, Adapter};
use crate::machine::desktop;
use crate::nn::device;
use crate::{catalogue, demo, machine};

#[derive(Debug, Args)]
pub struct DoctorArgs {
    /// Machine-readable output
    #[arg(long)]
    json: bool,
}

/// The environment variable that has a second program of this one tell of nothing but the graphics, as JSON.
const GRAPHICS_ALONE: &str = "PARALLAX_DOCTOR_GRAPHICS";

/// A driver of graphics, as the window would find it.
#[derive(Debug, Serialize, Deserialize)]
struct Graphics {
    name: String,
    api: String,
    in_software: bool,
}

/// What the drivers of graphics are asked for: they print what they like, and some end the program that asks them. A program of its own asks
/// them, whose words no one hears. An error says how it ended.
fn graphics() -> Result<Vec<Graphics>, String> {
    let asks = std::env::current_exe().and_then(|this| {
        Command::new(this).arg("doctor").env(GRAPHICS_ALONE, "1").stdin(Stdio::null()).stderr(Stdio::null()).output()
    });
    let Ok(asked) = asks else { return Ok(here()) };
    let found = serde_json::from_slice(&asked.stdout).ok().filter(|_| asked.status.success());
    found.ok_or_else(|| format!("a driver ends the program that asks it ({}); update it, or remove it", asked.status))
}

/// Asks the drivers for the graphics adapters in this process, which a faulty driver may end.
fn here() -> Vec<Graphics> {
    let of = |Adapter { name, api, in_software }: Adapter| Graphics { name, api: api.to_owned(), in_software };
    gpu::adapters().into_iter().map(of).collect()
}

/// What is told before the graphics are asked, whose driver may end the program.
#[derive(Debug, Serialize)]
struct Machine {
    version: &'static str,
    system: String,
    features: Vec<&'static str>,
    /// "cpu", or the GPU that networks run on.
    device: String,
    /// Why a GPU that this build knows is not taken.
    gpu_missed: Option<String>,
    kernels: &'static str,
    processors: usize,
    memory_bytes: Option<u64>,
    display: Option<&'static str>,
    file_dialogs: bool,
    folders: Folders,
    demo_networks: bool,
}

/// Folders of this user, without the user's name. `None` where the system names none.
#[derive(Debug, Serialize)]
struct Folders {
    /// Settings, kept results, fetched networks.
    data: Option<Folder>,
    networks: Option<Folder>,
    results: Option<Folder>,
}

#[derive(Debug, Serialize)]
struct Folder {
    path: String,
    is_there: bool,
}

#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    machine: Machine,
    graphics: Vec<Graphics>,
    /// Why the graphics are not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    graphics_fail: Option<String>,
}

pub(super) fn run(args: &DoctorArgs) -> anyhow::Result<()> {
    if std::env::var_os(GRAPHICS_ALONE).is_some() {
        say_json(&serde_json::to_string(&here())?);
        return Ok(());
    }
    let machine = Machine::new()?;
    if args.json {
        let (graphics, graphics_fail) = graphics().map_or_else(|why| (Vec::new(), Some(why)), |found| (found, None));
        say_json(&serde_json::to_string_pretty(&Report { machine, graphics, graphics_fail })?);
        return Ok(());
    }
    let mut out = std::io::stdout();
    for line in machine.lines() {
        writeln!(out, "{}", harmless(&line)).ok(); // a reader that left wants no more
    }
    out.flush().ok(); // as above; what follows may not come back from a broken driver
    for line in graphics_lines(graphics(), machine.display) {
        writeln!(out, "{}", harmless(&line)).ok(); // as above
    }
    Ok(())
}

impl Machine {
    fn new() -> anyhow::Result<Self> {
        let missed = device::choose(device::Wanted::Auto, device::Precision::Exact)?;
        let data = catalogue::data_folder();
        let within = |name: &str| data.as_ref().map(|folder| Folder::of(&folder.join(name)));
        Ok(Self {
            version: env!("CARGO_PKG_VERSION"),
            system: format!("{} {}", std::env::consts::OS, std::env::consts::ARCH),
            features: built_in(),
            device: device::name(),
            gpu_missed: missed.map(|error| error.to_string()),
            kernels: device::kernels(),
            processors: machine::processors(),
            memory_bytes: machine::memory_bytes(),
            display: desktop::display(),
            file_dialogs: desktop::has_file_dialogs(),
            folders: Folders {
                networks: within("models"),
                results: within("results"),
                data: data.as_deref().map(Folder::of),
            },
            demo_networks: demo::Cards::find().is_ok(),
        })
    }

    fn lines(&self) -> Vec<String> {
        let row = |name: &str, what: &str| format!("{name:13} {what}");
        let features = if self.features.is_empty() { "none".to_owned() } else { self.features.join(", ") };
        let memory = self.memory_bytes.map_or("the system does not say".to_owned(), machine::gigabytes);
        let missed = self.gpu_missed.as_ref().map_or(String::new(), |why| format!(" ({why})"));
        let display = self.display.map_or("none: the window cannot open, all commands work", |display| display);
        let dialogs = if self.file_dialogs { "found" } else { "none: type paths, or drop files on the window" };
        let demo = if self.demo_networks {
            "its networks are there"
        } else {
            "its networks are missing: name the folder \"assets\" in PARALLAX_ASSETS"
        };
        let folder = |name: &str, folder: &Option<Folder>| {
            let none = || "none: the system names no home folder; nothing is kept".to_owned();
            row(name, &folder.as_ref().map_or_else(none, Folder::words))
        };
        vec![
            row("Parallax", &format!("{} for {}", self.version, self.system)),
            row("built in", &features),
            row("computes on", &format!("{}{missed}", self.device)),
            row("processors", &format!("{}, kernels for {}", self.processors, self.kernels)),
            row("memory", &memory),
            row("display", display),
            row("file dialogs", dialogs),
            row("demo", demo),
            folder("settings", &self.folders.data),
            folder("networks", &self.folders.networks),
            folder("results", &self.folders.results),
        ]
    }
}

fn built_in() -> Vec<&'static str> {
    let features =
        [("network", cfg!(feature = "network")), ("cuda", cfg!(feature = "cuda")), ("metal", cfg!(feature = "metal"))];
    features.into_iter().filter_map(|(name, is_built)| is_built.then_some(name)).collect()
}

impl Folder {
    fn of(path: &Path) -> Self {
        Self { path: without_user(path, std::env::home_dir().as_deref()), is_there: path.is_dir() }
    }

    fn words(&self) -> String {
        let there = if self.is_there { "" } else { ", made when it is needed" };
        format!("{}{there}", self.path)
    }
}

/// The folder as "~/…"; one that lies elsewhere by its last two names, since others may be somebody's.
fn without_user(path: &Path, home: Option<&Path>) -> String {
    let home = home.filter(|home| home.is_absolute() && home.parent().is_some());
    if let Some(inside) = home.and_then(|home| path.strip_prefix(home).ok()) {
        return PathBuf::from("~").join(inside).display().to_string();
    }
    let names: Vec<_> = path.components().skip_while(|name| name.as_os_str() != "parallax").collect();
    PathBuf::from("…").join(names.iter().collect::<PathBuf>()).display().to_string()
}

fn graphics_lines(asked: Result<Vec<Graphics>, String>, display: Option<&str>) -> Vec<String> {
    let (adapters, none) = match asked {
        Ok(found) => (found, "install a driver for Vulkan; mesa-vulkan-drivers has one in software".to_owned()),
        Err(why) => (Vec::new(), why),
    };
    let line = |Graphics { name, api, in_software }: &Graphics| {
        let how = if *in_software { ", in software" } else { "" };
        format!("{:13} {name} ({api}{how})", "graphics")
    };
    let mut lines: Vec<String> = adapters.iter().map(line).collect();
    if adapters.is_empty() {
        lines.push(format!("{:13} none: the window cannot open, all commands work; {none}", "graphics"));
    }
    lines.push(match (adapters.is_empty(), display) {
        (false, Some(_)) => "The window can open, and all commands work.".to_owned(),
        _ => "The window cannot open here. All commands work: `parallax demo --out DIR` shows what they write."
            .to_owned(),
    });
    lines.push(
        "To report a fault, send this text, the command and its message. Leave out file names, pictures and whatever says who the patient is."
            .to_owned(),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_told_without_the_users_name() {
        let told = |path: &str, home: &str| without_user(Path::new(path), Some(Path::new(home)));
        assert_eq!(told("/home/jane/.local/share/parallax", "/home/jane"), "~/.local/share/parallax");
        assert_eq!(told("/data/jane/parallax/models", "/home/jane"), "…/parallax/models");
        assert_eq!(told("/data/jane/parallax", "/"), "…/parallax");
        assert_eq!(without_user(Path::new("/data/jane/parallax"), None), "…/parallax");
    }

    #[test]
    fn a_machine_without_graphics_is_told_what_works() {
        let words = graphics_lines(Ok(Vec::new()), Some("X11")).join("\n");
        assert!(words.contains("cannot open") && words.contains("all commands work"), "{words}");
        let words = graphics_lines(Err("a driver ends".to_owned()), Some("X11")).join("\n");
        assert!(words.contains("cannot open") && words.contains("a driver ends"), "{words}");
        let one = Graphics { name: "llvmpipe".to_owned(), api: "Vulkan".to_owned(), in_software: true };
        let words = graphics_lines(Ok(vec![one]), Some("X11")).join("\n");
        assert!(words.contains("llvmpipe (Vulkan, in software)") && words.contains("can open"), "{words}");
    }
}
