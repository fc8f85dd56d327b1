//! A build without network: the page of published networks says so, and takes folders alone.

use eframe::egui::accesskit::Role;
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::catalogue;
use parallax::ui::Start;

use crate::window::{click, says, until, window};

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
