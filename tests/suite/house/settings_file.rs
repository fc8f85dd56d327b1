//! The file that settings are kept in.

use std::fs;

use parallax::frame::PRESETS;
use parallax::settings::kept::{load, save};
use parallax::settings::{Preset, Settings};

#[test]
fn settings_come_back_as_they_were_and_are_their_users_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("settings.json");
    assert_eq!(load(&path).expect("no file is no error"), None);
    let mut settings = Settings { target: Some("nodule".to_owned()), ..Settings::default() };
    settings.presets.0.push(Preset { name: "Own".to_owned(), window: PRESETS[0].1 });
    save(&path, &Settings::default()).expect("written");
    save(&path, &settings).expect("written again");
    assert_eq!(load(&path).expect("settings"), Some(settings));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left");
}

#[test]
fn what_cannot_be_read_is_set_aside_and_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("settings.json");
    fs::write(&path, "{\"recent\": [").expect("written");
    let why = format!("{:#}", load(&path).expect_err("it is cut"));
    assert!(why.contains("cannot be read") && why.contains("settings.json.unread"), "{why}");
    assert_eq!(fs::read_to_string(folder.path().join("settings.json.unread")).expect("kept"), "{\"recent\": [");
    assert_eq!(load(&path).expect("as at first"), None);
}
