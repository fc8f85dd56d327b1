//! A build without network: the page of published networks says so, and takes folders alone.

use egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::catalogue;
use parallax::ui::Start;

use crate::window::driven::{click, says, until, window};

#[test]
fn a_build_without_network_says_so_and_fetches_from_a_folder_alone() {
    let (mirror, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let text = "[[model]]\nname = \"net\"\nwhat = \"w\"\nrole = \"encoder\"\npage = \"p\"\nlicence = \"MIT\"\nfed = \"f\"\nnot_yet = \"n\"\n\
                [[model.file]]\nname = \"net.pt\"\nis = \"weights\"\nurl = \"https://h/net.pt\"\n";
    std::fs::write(mirror.path().join("net.pt"), "x").expect("written");
    let published = Some(catalogue::read(text).expect("an entry"));
    let mut window = window(Start { published, ..Start::default() });
    window.get_all_by_label("Published models…").next().expect("a button").click();
    window.run_steps(3);
    assert!(says(&window, "This build of Parallax has no network"));
    let mut fill = |field: &str, text: &str| {
        window.get_by_role_and_label(Role::TextInput, field).focus();
        window.run_steps(2);
        window.get_by_role_and_label(Role::TextInput, field).type_text(text);
        window.run_steps(2);
        !window.get_by_role_and_label(Role::Button, "Get").accesskit_node().is_disabled()
    };
    assert!(!fill("Into", folder.path().to_str().expect("plain names")), "nothing to take it from");
    assert!(fill("From", mirror.path().to_str().expect("plain names")));
    click(&mut window, "Get");
    until(&mut window, "the file", |w| says(w, "Its files are on this disk"));
    assert!(folder.path().join("net/net.pt").exists());
}

#[test]
fn a_build_without_network_reaches_no_archive_and_says_so() {
    let home = tempfile::tempdir().expect("a folder");
    let run = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_parallax"));
        command.env("HOME", home.path()).env_remove("XDG_DATA_HOME").args(args);
        let output = command.output().expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert_eq!(run(&["pacs", "add", "ward", "--url", "http://127.0.0.1:9"]).0, Some(0));
    for args in [
        &["pacs", "test", "ward"][..],
        &["pacs", "find", "ward"],
        &["pacs", "get", "ward", "1.2/3.4"],
        &["info", "pacs:ward/1.2/3.4"],
    ] {
        let (code, error) = run(args);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("this build of Parallax reaches no network"), "{error}");
    }
}
