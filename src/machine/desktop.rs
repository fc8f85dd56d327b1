//! What the desktop of this machine has for a window: a display, and the system's file dialogs. Both are told without opening anything.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Reads an environment variable.
type Variable<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The name by which D-Bus knows the file dialogs of Linux desktops.
const PORTAL: &str = "org.freedesktop.portal.Desktop";

/// What a window can be shown on: "Wayland", "X11", or the system's own. `None` where no display is named, as over ssh or in a container.
pub fn display() -> Option<&'static str> {
    display_by(&|name| std::env::var_os(name))
}

fn display_by(variable: Variable) -> Option<&'static str> {
    if cfg!(target_os = "macos") {
        return Some("macOS");
    } else if cfg!(windows) {
        return Some("Windows");
    }
    let is_set = |name: &str| variable(name).is_some_and(|value| !value.is_empty());
    if is_set("WAYLAND_DISPLAY") || is_set("WAYLAND_SOCKET") {
        Some("Wayland")
    } else {
        is_set("DISPLAY").then_some("X11")
    }
}

/// Whether the system's file dialogs can be expected to open: on Linux a session bus and a desktop portal that it can start. Elsewhere the
/// system has them.
pub fn has_file_dialogs() -> bool {
    cfg!(any(target_os = "macos", windows)) || has_portal(&|name| std::env::var_os(name), &|path| path.exists())
}

fn has_portal(variable: Variable, exists: &dyn Fn(&Path) -> bool) -> bool {
    let bus = variable("DBUS_SESSION_BUS_ADDRESS").is_some()
        || variable("XDG_RUNTIME_DIR").is_some_and(|folder| exists(&Path::new(&folder).join("bus")));
    let shares = variable("XDG_DATA_DIRS").filter(|named| !named.is_empty());
    let shares = shares.unwrap_or_else(|| "/usr/local/share:/usr/share".into());
    let service = PathBuf::from("dbus-1/services").join(format!("{PORTAL}.service"));
    bus && std::env::split_paths(&shares).any(|share| exists(&share.join(&service)))
}

/// Why the window did not open, and what works without one. `error` is what the windowing library said.
pub fn no_window(error: &str) -> String {
    let why = match display() {
        None => "this machine names no display (neither WAYLAND_DISPLAY nor DISPLAY is set)".to_owned(),
        Some(display) => format!("the {display} display or its graphics do not answer: {}", without_source(error)),
    };
    format!(
        "the window cannot be opened: {why}. Everything else works without one: `parallax demo --out DIR` computes the demo, `parallax explain` \
         a scan, `parallax help` lists all commands; `parallax doctor` says what this machine has. The window needs a display and a driver for \
         Vulkan, Metal, DX12 or OpenGL; one in software will do, as of the package mesa-vulkan-drivers"
    )
}

/// The words of winit's errors without the place in its source: "os error at /…/mod.rs:788: Failed to open …".
fn without_source(error: &str) -> &str {
    let after = error.find(".rs:").and_then(|at| error[at + 4..].split_once(": "));
    after.map_or(error, |(_, words)| words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn among(set: &[(&str, &str)], name: &str) -> Option<OsString> {
        set.iter().find(|(other, _)| *other == name).map(|(_, value)| OsString::from(value))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_display_is_told_by_the_environment() {
        assert_eq!(display_by(&|_| None), None);
        assert_eq!(display_by(&|name| among(&[("DISPLAY", "")], name)), None, "an empty name is none");
        assert_eq!(display_by(&|name| among(&[("DISPLAY", ":0")], name)), Some("X11"));
        let both = [("DISPLAY", ":0"), ("WAYLAND_DISPLAY", "wayland-0")];
        assert_eq!(display_by(&|name| among(&both, name)), Some("Wayland"));
    }

    #[test]
    fn a_portal_needs_a_bus_and_a_service() {
        let service = Path::new("/there/dbus-1/services/org.freedesktop.portal.Desktop.service");
        let has = |set: &[(&str, &str)]| has_portal(&|name| among(set, name), &|path| path == service);
        let [bus, shares] = [("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere"), ("XDG_DATA_DIRS", "/nowhere:/there")];
        assert!(has(&[bus, shares]));
        assert!(!has(&[shares]), "there is no bus");
        assert!(!has(&[bus]), "there is no service where services usually are");
    }

    #[test]
    fn an_error_names_no_place_in_a_source() {
        let error = "winit EventLoopError: os error at /home/a/winit/mod.rs:788: Failed to open connection to X server";
        assert_eq!(without_source(error), "Failed to open connection to X server");
        assert_eq!(without_source("no adapter"), "no adapter");
    }
}
