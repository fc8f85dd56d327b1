//! The page of published networks in the real window, against servers on loopback and folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use egui::{Key, accesskit::Role, accesskit::Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::catalogue::{self, Entry};
use parallax::ui::{Ask, Start};

use crate::networks::catalogue::server::{Server, honest, send};
use crate::networks::catalogue::{bytes, sha256};
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, open_with, says, texts, until, window};

/// What a server that is slow sends at once.
const HALF: usize = 2_000_000;
const WHOLE: usize = 3_000_000;

/// Three networks: one that runs, one whose licence has limits, one whose files no one has.
fn entries(file: &str, hash: &str) -> Vec<Entry> {
    let text = format!(
        "[[model]]\nname = \"tiny-segmenter\"\nwhat = \"both lungs of a small phantom\"\nrole = \"segmenter\"\n\
         page = \"https://authors.example/tiny\"\nlicence = \"MIT\"\nfed = \"slices of 32 x 32\"\ncard = '''\nkind = \"lung-unet\"\n'''\n\
         [[model.file]]\nname = \"{file}\"\nis = \"weights\"\nurl = \"https://authors.example/{file}\"\n{hash}\n\
         [[model]]\nname = \"limited\"\nwhat = \"a classifier\"\nrole = \"classifier\"\npage = \"https://authors.example/limited\"\n\
         licence = \"CC-BY-NC\"\nlimits = \"no commercial use\"\nfed = \"anything\"\nnot_yet = \"it has to be exported first\"\n\
         [[model.file]]\nname = \"limited.pt\"\nis = \"weights\"\nurl = \"https://authors.example/limited.pt\"\nbytes = 1000\n\
         [[model]]\nname = \"elsewhere\"\nwhat = \"an encoder\"\nrole = \"encoder\"\npage = \"https://authors.example/elsewhere\"\n\
         licence = \"MIT\"\nfed = \"anything\"\nnot_yet = \"it has to be exported first\"\n"
    );
    catalogue::read(&text).expect("entries")
}

/// The page, with files from `from` and into `into`.
fn page(entries: Vec<Entry>, from: &str, into: &Path) -> Window {
    let mut window = window(Start { published: Some(entries), ..Start::default() });
    window.get_all_by_label("Published models…").next().expect("a button").click();
    window.run_steps(3);
    fill(&mut window, "From", from);
    fill(&mut window, "Into", into.to_str().expect("plain names"));
    until(&mut window, "a look at the disk", |w| !says(w, "Looking at the disk"));
    window
}

/// Types into a field that is empty.
fn fill(window: &mut Window, field: &str, text: &str) {
    window.get_by_role_and_label(Role::TextInput, field).focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, field).type_text(text);
    window.run_steps(2);
}

/// Shows an entry, wherever the list is scrolled to.
fn choose(window: &mut Window, name: &str) {
    window.get_by_role_and_label(Role::Button, name).click_accesskit();
    window.run_steps(3);
}

fn can(window: &Window, button: &str) -> bool {
    window.query_by_role_and_label(Role::Button, button).is_some_and(|node| !node.accesskit_node().is_disabled())
}

fn reads(path: PathBuf) -> Vec<u8> {
    std::fs::read(path).expect("there")
}

#[test]
fn the_page_says_what_each_network_is_and_asks_no_server_before_get_is_pressed() {
    let (server, folder) = (Server::honest(&bytes(10)), tempfile::tempdir().expect("a folder"));
    let mut window = page(catalogue::all().to_vec(), &server.address, folder.path());
    for entry in catalogue::all() {
        choose(&mut window, &entry.name);
        for said in [&entry.what, &entry.licence.name, &entry.page, &entry.fed] {
            assert!(says(&window, said), "{}: {said}: {:#?}", entry.name, texts(&window));
        }
        for said in [entry.not_yet.as_ref(), entry.licence.limits.as_ref()].into_iter().flatten() {
            assert!(says(&window, said), "{}: {said}", entry.name);
        }
        let fetchable = !entry.files.is_empty() && entry.licence.limits.is_none();
        assert_eq!(can(&window, "Get"), fetchable, "{}", entry.name);
    }
    assert!(server.requests().is_empty(), "{:?}", server.requests());
}

#[test]
fn a_network_is_fetched_with_its_progress_and_opened_where_it_belongs() {
    let (models, folder) = (TinyModels::new(), tempfile::tempdir().expect("a folder"));
    let whole = reads(models.folder.path().join("segmenter.safetensors"));
    let sent = whole.clone();
    // The second half comes when the test has seen the first.
    let (go, wait) = std::sync::mpsc::sync_channel::<()>(1);
    let wait = std::sync::Mutex::new(wait);
    let server = Server::start(move |_, _, stream| {
        let half = sent.len() / 2;
        send(stream, &format!("200 OK\r\nContent-Length: {}\r\nETag: \"one\"", sent.len()), &sent[..half]);
        wait.lock().expect("no panic").recv().ok();
        std::io::Write::write_all(stream, &sent[half..]).ok();
    });
    let mut window = page(entries("net.safetensors", ""), &server.address, folder.path());
    assert!(says(&window, "not published; the progress bar says it") && !can(&window, "Open"));
    click(&mut window, "Get");
    until(&mut window, "the progress", |w| says(w, "fetching: ") && says(w, "Fetching tiny-segmenter"));
    assert!(can(&window, "Cancel") && !can(&window, "Get"));
    window.key_press(Key::Escape); // it goes on without the page
    window.run_steps(3);
    assert!(texts(&window).iter().any(|text| text.starts_with("Fetching tiny-segmenter")), "{:?}", texts(&window));
    go.send(()).expect("the server waits");
    until(&mut window, "the end", |w| w.query_all_by_label("Published models…").next().is_some());
    window.get_all_by_label("Published models…").next().expect("a button").click();
    until(&mut window, "the file", |w| says(w, "Its files are on this disk"));
    assert!(says(&window, "no one publishes its SHA-256, which is recorded now"), "{:?}", texts(&window));
    assert_eq!(reads(folder.path().join("tiny-segmenter/net.safetensors")), whole);
    assert!(can(&window, "Show in folder") && !can(&window, "Get"));
    click(&mut window, "Open");
    until(&mut window, "the network", |w| says(w, "tiny-segmenter.toml is loaded"));
    assert!(!says(&window, "Nothing is fetched before you press Get"), "the page is gone");
    assert_eq!(window.get_by_label("lung size").accesskit_node().toggled(), Some(Toggled::True));
}

#[test]
fn a_cancelled_download_keeps_what_came_and_goes_on_from_there() {
    let (whole, folder) = (bytes(WHOLE), tempfile::tempdir().expect("a folder"));
    let sent = whole.clone();
    let server = Server::start(move |number, request, stream| {
        if number > 0 {
            return honest(&sent, request, stream);
        }
        send(stream, &format!("200 OK\r\nContent-Length: {WHOLE}\r\nETag: \"one\""), &sent[..HALF]);
        std::thread::sleep(Duration::from_mins(1));
    });
    let hash = format!("bytes = {WHOLE}\nsha256 = \"{}\"", sha256(&whole));
    let mut window = page(entries("net.pt", &hash), &server.address, folder.path());
    click(&mut window, "Get");
    until(&mut window, "the first half", |w| says(w, "fetching: 2 MB of 3 MB"));
    click(&mut window, "Cancel");
    until(&mut window, "the end", |w| says(w, "2 MB came before; Get goes on from there"));
    assert!(window.query_by_label("Dismiss").is_none(), "cancelling is no error");
    click(&mut window, "Get");
    until(&mut window, "the file", |w| says(w, "Its files are on this disk"));
    assert!(says(&window, "the SHA-256 is the published one"));
    assert_eq!(reads(folder.path().join("tiny-segmenter/net.pt")), whole);
    let from: Vec<_> = server.requests().iter().map(|request| request.from).collect();
    assert!(from.len() == 2 && from[1].is_some_and(|from| from >= HALF - (1 << 18)), "{from:?}");
}

#[test]
fn a_licence_with_limits_asks_first_and_each_time() {
    let (server, folder) = (Server::honest(&bytes(1000)), tempfile::tempdir().expect("a folder"));
    let mut window = page(entries("net.pt", ""), &server.address, folder.path());
    choose(&mut window, "limited");
    assert!(says(&window, "Tick that its licence's limits suit you") && !can(&window, "Get"));
    let tick = "These limits suit me";
    click(&mut window, tick);
    assert!(can(&window, "Get"));
    choose(&mut window, "elsewhere");
    assert!(says(&window, "No one says where its files lie") && !can(&window, "Get"));
    choose(&mut window, "limited");
    assert!(!can(&window, "Get"), "another visit is another question");
    click(&mut window, tick);
    click(&mut window, "Get");
    until(&mut window, "the file", |w| says(w, "Its files are on this disk"));
    assert!(folder.path().join("limited/limited.pt").exists());
    assert!(!can(&window, "Open"), "it does not run yet");
}

#[test]
fn a_download_that_fails_says_why_and_what_to_do() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, _, stream| send(stream, "404 Not Found\r\nContent-Length: 0", b""));
    let mut window = page(entries("net.pt", ""), &server.address, folder.path());
    click(&mut window, "Get");
    until(&mut window, "the refusal", |w| says(w, "the server has no such file"));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(says(&window, "tiny-segmenter was not fetched; the page says why"));
    window.get_all_by_label("Published models…").next().expect("a button").click();
    window.run_steps(3);
    click(&mut window, "Dismiss");
    assert!(!says(&window, "the server has no such file") && can(&window, "Get"));
}

#[test]
fn a_folder_that_a_dialog_names_takes_the_place_of_the_network() {
    let (mirror, folder) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    std::fs::write(mirror.path().join("net.pt"), bytes(1000)).expect("written");
    let answers = vec![(Ask::ModelsFrom, mirror.path().to_owned()), (Ask::ModelsInto, folder.path().to_owned())];
    let mut window = open_with(Start { published: Some(entries("net.pt", "")), ..Start::default() }, answers);
    window.get_all_by_label("Published models…").next().expect("a button").click();
    window.run_steps(3);
    until(&mut window, "a look at the disk", |w| !says(w, "Looking at the disk"));
    for (name, place) in [("from", mirror.path()), ("into", folder.path())] {
        click(&mut window, &format!("Browse: {name}"));
        until(&mut window, "the answer", |w| says(w, place.to_str().expect("plain names")));
    }
    click(&mut window, "Get");
    until(&mut window, "the file", |w| says(w, "Its files are on this disk"));
    assert_eq!(reads(folder.path().join("tiny-segmenter/net.pt")), bytes(1000));
}

#[test]
fn every_widget_of_the_page_is_reached_by_the_tab_key_and_nothing_behind_it() {
    let (server, folder) = (Server::honest(&bytes(10)), tempfile::tempdir().expect("a folder"));
    let mut window = page(catalogue::all().to_vec(), &server.address, folder.path());
    let mut wanted: BTreeSet<String> = catalogue::all().iter().map(|entry| entry.name.clone()).collect();
    let others = ["From", "Browse: from", "Into", "Browse: into", "Show in the browser", "Get", "Close"];
    wanted.extend(others.map(str::to_owned));
    let mut reached = BTreeSet::new();
    for _ in 0..2 * wanted.len() {
        window.key_press(Key::Tab);
        window.run_steps(2);
        let focused = window.root().children_recursive().find(|node| node.accesskit_node().is_focused());
        reached.extend(focused.and_then(|node| node.accesskit_node().label()));
    }
    assert_eq!(reached, wanted);
}
