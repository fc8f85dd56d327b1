//! Where fetched networks lie on this machine, and how much room is there.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use super::Entry;

/// The folder of fetched networks, one folder for each by its name: where this user's programs keep their data, beside what the window
/// remembers. `None` where the system names no such folder.
pub fn models_folder() -> Option<PathBuf> {
    Some(data_folder()?.join("models"))
}

/// The folder where this user's programs keep data of Parallax. `None` where the system names no such folder.
pub fn data_folder() -> Option<PathBuf> {
    data(|name| std::env::var_os(name))
}

/// The folder of an entry's files, unless another is asked for.
pub fn folder_of(entry: &Entry) -> Option<PathBuf> {
    Some(models_folder()?.join(&entry.name))
}

/// As eframe chooses it for a program called "parallax", which keeps the window's settings there.
fn data(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if cfg!(target_os = "macos") {
        Some(set("HOME")?.join("Library/Application Support/parallax"))
    } else if cfg!(windows) {
        Some(set("APPDATA")?.join("parallax").join("data"))
    } else {
        let share = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
        Some(share.join("parallax"))
    }
}

/// Hugging Face's cache on this machine, where its own client would look. Source: `huggingface_hub/constants.py`.
pub fn hub_caches() -> Vec<PathBuf> {
    hub(|name| std::env::var_os(name)).into_iter().collect()
}

fn hub(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = || set("HOME").or_else(|| set("USERPROFILE"));
    set("HF_HUB_CACHE").or_else(|| set("HUGGINGFACE_HUB_CACHE")).or_else(|| {
        let hf = set("HF_HOME").or_else(|| {
            let cache = set("XDG_CACHE_HOME").or_else(|| Some(home()?.join(".cache")))?;
            Some(cache.join("huggingface"))
        })?;
        Some(hf.join("hub"))
    })
}

/// Bytes that this user may still write where `path` lies, or will lie. `None` where the system does not say.
pub(super) fn free_bytes(path: &Path) -> Option<u64> {
    // The folder that a relative path begins in is the one that the program runs in.
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(Path::new("."));
    fs4::available_space(there).ok() // as documented: no answer is not an error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(set: &'static [(&str, &str)]) -> impl Fn(&str) -> Option<OsString> {
        move |name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn networks_lie_in_the_users_own_data_folder() {
        let of = |set| data(with(set)).unwrap();
        assert_eq!(of(&[("HOME", "/home/u")]), Path::new("/home/u/.local/share/parallax"));
        assert_eq!(of(&[("HOME", "/home/u"), ("XDG_DATA_HOME", "/data")]), Path::new("/data/parallax"));
        assert_eq!(of(&[("HOME", "/home/u"), ("XDG_DATA_HOME", "data")]), Path::new("/home/u/.local/share/parallax"));
        assert_eq!(data(with(&[])), None);
    }

    #[test]
    fn the_cache_of_the_hub_is_where_its_own_client_looks() {
        let of = |set| hub(with(set)).unwrap();
        assert_eq!(of(&[("HOME", "/home/u")]), Path::new("/home/u/.cache/huggingface/hub"));
        assert_eq!(of(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/c")]), Path::new("/c/huggingface/hub"));
        assert_eq!(of(&[("HF_HOME", "/hf"), ("XDG_CACHE_HOME", "/c")]), Path::new("/hf/hub"));
        assert_eq!(of(&[("HF_HUB_CACHE", "/hub"), ("HF_HOME", "/hf")]), Path::new("/hub"));
    }

    #[test]
    fn there_is_room_where_a_folder_does_not_exist_yet() {
        let folder = tempfile::tempdir().unwrap();
        assert!(free_bytes(&folder.path().join("not/yet/there")).is_some_and(|bytes| bytes > 0));
        assert!(free_bytes(Path::new("not-yet-there")).is_some());
    }
}
