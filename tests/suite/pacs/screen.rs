//! The pages of archives in the real window, by what their widgets are called.

use std::collections::BTreeSet;
use std::path::Path;

use egui::{Key, Modifiers, accesskit::Role, accesskit::Toggled};
use egui_kittest::kittest::{NodeT, Queryable};
use parallax::pacs::{self, Access, Login, Source, Sources, Web};
use parallax::ui::{Ask, Start};
use serde_json::{Value, json};

use super::pages::{answer, honest};
use super::web_servers::{list, page};
use crate::networks::catalogue::server::{Server, send};
use crate::tiny_models::TinyModels;
use crate::window::driven::{Window, click, explained_from, open_with, says, start, texts, until, window};

fn source(name: &str, url: &str, login: Login) -> Source {
    let certificates = pacs::Certificates::default();
    Source {
        name: name.to_owned(),
        kind: Access::DicomWeb(Web { url: url.to_owned(), login, certificates, unencrypted: false }),
    }
}

/// Keeps sources where the window looks for them.
fn keep(folder: &Path, sources: Vec<Source>) {
    pacs::save(&folder.join("pacs.json"), &Sources { sources, cache_gb: 1.0 }).expect("saved");
}

/// The page of archives, over the start panel.
fn archive(folder: &Path) -> Window {
    let mut window = window(Start { archives: Some(folder.to_owned()), ..Start::default() });
    open(&mut window);
    window
}

fn open(window: &mut Window) {
    window.get_all_by_label("Open from PACS…").next().expect("a button").click();
    window.run_steps(3);
}

/// Types into a field over what is there.
fn fill(window: &mut Window, field: &str, text: &str) {
    window.get_by_role_and_label(Role::TextInput, field).focus();
    window.run_steps(2);
    window.key_press_modifiers(Modifiers::COMMAND, Key::A);
    window.run_steps(1);
    window.get_by_role_and_label(Role::TextInput, field).type_text(text);
    window.run_steps(2);
}

fn find(window: &Window, begins: &str) -> Option<String> {
    texts(window).into_iter().find(|text| text.starts_with(begins))
}

/// Presses the button whose name begins so.
fn press(window: &mut Window, begins: &str) {
    let name = find(window, begins).unwrap_or_else(|| panic!("no {begins}: {:#?}", texts(window)));
    window.get_by_role_and_label(Role::Button, &name).click();
    window.run_steps(3);
}

#[test]
fn a_source_is_added_searched_and_a_series_is_opened_from_its_card() {
    let (server, folder) = (honest(), tempfile::tempdir().expect("a folder"));
    let mut window = archive(folder.path());
    until(&mut window, "the way in", |w| says(w, "No archive is named yet"));
    click(&mut window, "Add a source…");
    fill(&mut window, "Called here", "ward 3");
    fill(&mut window, "Address", &server.address);
    click(&mut window, "Keep the source");
    until(&mut window, "a refusal", |w| says(w, "the name of a source is \"ward 3\""));
    fill(&mut window, "Called here", "ward3");
    click(&mut window, "Keep the source");
    until(&mut window, "the list", |w| w.query_by_label("Try ward3").is_some());
    click(&mut window, "Try ward3");
    until(&mut window, "the answer", |w| says(w, "DICOMweb answers"));
    click(&mut window, "Back to the search");

    fill(&mut window, "Date", "yesterday");
    click(&mut window, "Search");
    assert!(says(&window, "\"yesterday\" is no date"), "{:?}", texts(&window));
    fill(&mut window, "Date", "20260131");
    window.get_by_role_and_label(Role::TextInput, "Name").focus();
    window.run_steps(2);
    window.get_by_role_and_label(Role::TextInput, "Name").type_text("muster");
    window.run_steps(1);
    window.key_press(Key::Enter);
    until(&mut window, "the study", |w| says(w, "1 study"));
    assert!(!says(&window, "is no date"));
    press(&mut window, "Study of Muster, Petra, 2026-01-31");
    until(&mut window, "the series", |w| says(w, "2 series; a click fetches one"));
    press(&mut window, "Series 4, Lung 2 mm");
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    assert!(!says(&window, "2 series; a click fetches one"), "the page is gone");
    assert!(says(&window, "Series 4, Lung 2 mm, 2026-01-31"), "not by its UID: {:?}", texts(&window));
    assert!(!texts(&window).iter().any(|text| text.contains("Petra")), "{:?}", texts(&window));
    let from: Vec<_> = server.requests().iter().map(|request| request.path.clone()).collect();
    assert!(from.iter().any(|path| path.contains("PatientName=muster*&StudyDate=20260131")), "{from:?}");
}

#[test]
fn what_helps_is_told_by_the_name_of_a_field_and_not_of_an_option() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, _, stream| send(stream, "401 No\r\nContent-Length: 0", b""));
    keep(folder.path(), vec![source("ward", &server.address, Login::None)]);
    let mut window = archive(folder.path());
    until(&mut window, "the source", |w| says(w, &server.address));
    click(&mut window, "Search");
    until(&mut window, "the refusal", |w| says(w, "give the source a user or a token (user and password, a token)"));
    assert!(!texts(&window).iter().any(|text| text.contains("--")), "{:?}", texts(&window));
    // All names that a remedy may hold stand on the page of a source.
    click(&mut window, "Sources…");
    click(&mut window, "Add a source…");
    for name in ["Address", "user and password", "a token", "Authority", "Certificate", "Its key"] {
        assert!(says(&window, name), "{name}: {:?}", texts(&window));
    }
    click(&mut window, "user and password");
    assert!(says(&window, "May be asked over plain http"));
    click(&mut window, "DIMSE");
    for name in ["Host", "Port", "Its AE title", "Your AE title", "Receive at port", "Over TLS"] {
        assert!(says(&window, name), "{name}: {:?}", texts(&window));
    }
    fill(&mut window, "Called here", "ct");
    fill(&mut window, "Host", "no host");
    fill(&mut window, "Port", "104");
    fill(&mut window, "Its AE title", "CTARCHIVE");
    click(&mut window, "Keep the source");
    until(&mut window, "the refusal", |w| says(w, "and its port beside it (Host, Port)"));
}

#[test]
fn a_password_is_typed_into_a_field_that_shows_no_letter_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| match request.authorization.as_deref() {
        Some("Basic cHg6aHVudGVyMg==") => answer(request, stream),
        _ => send(stream, "401 No\r\nContent-Length: 0", b""),
    });
    keep(folder.path(), vec![source("ward", &server.address, Login::Basic { user: "px".to_owned() })]);
    let mut window = archive(folder.path());
    until(&mut window, "the source", |w| says(w, &server.address));
    click(&mut window, "Search");
    until(&mut window, "the question", |w| says(w, "The password of ward"));
    let field = |window: &mut Window, said: &str| {
        let field = window.root().children_recursive().find(|node| {
            node.accesskit_node().label().as_deref() == Some("The password of ward")
                && node.accesskit_node().role() != Role::Label
        });
        field.expect("a field").type_text(said);
        window.run_steps(2);
    };
    field(&mut window, "hunter1");
    assert!(!texts(&window).iter().any(|text| text.contains("hunter1")), "{:?}", texts(&window));
    click(&mut window, "Continue");
    until(&mut window, "the refusal", |w| says(w, "refuses the user, the password"));
    click(&mut window, "Give another password…");
    until(&mut window, "the question", |w| says(w, "The password of ward"));
    field(&mut window, "hunter2");
    window.key_press(Key::Enter);
    window.run_steps(3);
    assert!(!says(&window, "The password of ward"));
    click(&mut window, "Search");
    until(&mut window, "the study", |w| says(w, "1 study"));
    assert!(!texts(&window).iter().any(|text| text.contains("hunter")));

    // Escape puts the question away, and not the page.
    click(&mut window, "Sources…");
    click(&mut window, "Password ward");
    until(&mut window, "the question", |w| says(w, "The password of ward"));
    window.key_press(Key::Escape);
    window.run_steps(3);
    assert!(!says(&window, "The password of ward") && says(&window, "Sources of scans"));
}

#[test]
fn a_thousand_studies_are_listed_and_only_those_that_are_seen_are_drawn() {
    let folder = tempfile::tempdir().expect("a folder");
    let server = Server::start(|_, request, stream| {
        let of = |k: usize| json!({ "0020000D": { "Value": [format!("1.2.{k}")] }, "00100010": { "Value": [format!("P{k}")] } });
        let all: Vec<Value> = (0..12_000).map(of).collect();
        list(stream, &page(request, &all, 5000));
    });
    keep(folder.path(), vec![source("ward", &server.address, Login::None)]);
    let mut window = archive(folder.path());
    until(&mut window, "the source", |w| says(w, &server.address));
    click(&mut window, "Search");
    until(&mut window, "the studies", |w| says(w, "1000 studies, the latest first"));
    assert!(says(&window, "There are more than 1000; look for less"));
    let rows = texts(&window).iter().filter(|text| text.starts_with("Study of ")).count();
    assert!((5..60).contains(&rows), "{rows} rows");
}

#[test]
fn a_result_is_sent_with_what_was_ticked_and_each_answer_is_told() {
    let (models, folder) = (TinyModels::new(), tempfile::tempdir().expect("a folder"));
    let server = Server::start(|_, _, stream| {
        send(stream, "400 No\r\nContent-Length: 0", b"");
        // What is sent is taken, lest the connection break before the answer is read.
        stream.shutdown(std::net::Shutdown::Write).ok();
        std::io::copy(stream, &mut std::io::sink()).ok();
    });
    keep(folder.path(), vec![source("ward", &server.address, Login::None)]);
    let scan = crate::exports::dicom_export::oblique(models.folder.path());
    let mut window = window(Start { archives: Some(folder.path().to_owned()), ..start(&models, scan) });
    until(&mut window, "the models", |w| says(w, "classifier.toml is loaded") && says(w, "autoencoder.toml is loaded"));
    until(&mut window, "the scan", |w| says(w, "the networks see"));
    assert!(window.get_by_label("Send results…").accesskit_node().is_disabled(), "there is no result yet");
    click(&mut window, "Compute counterfactual");
    until(&mut window, "the counterfactual", |w| says(w, "Stopped because"));
    click(&mut window, "Send results…");
    until(&mut window, "the source", |w| says(w, &server.address));
    let toggled = |window: &Window, label: &str| window.get_by_label(label).accesskit_node().toggled();
    assert_eq!(toggled(&window, "Counterfactual as a CT series"), Some(Toggled::False), "it looks like a scan");
    assert_eq!(toggled(&window, "The objects name no patient"), Some(Toggled::True), "at first");
    for object in ["Heatmap", "Changed regions", "Animation"] {
        window.get_by_role_and_label(Role::CheckBox, object).click();
        window.run_steps(2);
    }
    click(&mut window, "Send");
    until(&mut window, "the answer", |w| says(w, "0 of 1 object stored"));
    assert!(find(&window, "Difference: failed: ").is_some(), "{:?}", texts(&window));
    assert!(says(&window, "Written down in") && server.requests().len() == 1);
    click(&mut window, "Send again…");
    assert!(window.query_by_label("Send").is_some());
}

#[test]
fn every_widget_of_the_pages_is_reached_by_the_tab_key_and_has_a_name() {
    let (server, folder) = (honest(), tempfile::tempdir().expect("a folder"));
    keep(folder.path(), vec![source("ward", &server.address, Login::Bearer)]);
    let answers = vec![(Ask::Certificate, folder.path().join("ca.crt"))];
    let mut window = open_with(Start { archives: Some(folder.path().to_owned()), ..Start::default() }, answers);
    open(&mut window);
    until(&mut window, "the source", |w| says(w, &server.address));
    let form = ["Sources…", "Source", "Patient ID", "Name", "Accession", "Date", "Modality", "Search", "Close"];
    assert_eq!(reached(&mut window, form.len()), form.map(str::to_owned).into());
    click(&mut window, "Sources…");
    let list =
        ["Back to the search", "Try ward", "Password ward", "Change ward", "Remove ward", "Add a source…", "Close"];
    assert_eq!(reached(&mut window, list.len()), list.map(str::to_owned).into());
    click(&mut window, "Change ward");
    click(&mut window, "Browse: authority");
    until(&mut window, "the answer of the dialog", |w| says(w, "ca.crt"));
    let fields = [
        "Back to the search",
        "Called here",
        "DICOMweb",
        "DIMSE",
        "Address",
        "nothing, or a certificate",
        "user and password",
        "a token",
        "May be asked over plain http",
        "Authority",
        "Browse: authority",
        "Certificate",
        "Browse: certificate",
        "Its key",
        "Browse: its key",
        "Keep the source",
        "Leave it",
        "Close",
    ];
    assert_eq!(reached(&mut window, fields.len()), fields.map(str::to_owned).into());
    click(&mut window, "Leave it");
    click(&mut window, "Remove ward");
    click(&mut window, "Really remove ward");
    until(&mut window, "the removal", |w| w.query_by_label("Try ward").is_none());
    assert_eq!(pacs::load(&folder.path().join("pacs.json")).expect("sources").sources, []);
}

/// The names of all that the Tab key comes to.
fn reached(window: &mut Window, wanted: usize) -> BTreeSet<String> {
    let mut reached = BTreeSet::new();
    for _ in 0..2 * wanted + 2 {
        window.key_press(Key::Tab);
        window.run_steps(2);
        let focused = window.root().children_recursive().find(|node| node.accesskit_node().is_focused());
        reached.extend(focused.map(|node| node.accesskit_node().label().unwrap_or_else(|| "nameless".to_owned())));
    }
    reached
}

#[test]
fn a_result_is_sent_from_the_export_dialog_too() {
    let models = TinyModels::new();
    let mut window = explained_from(&models, models.stack(8));
    window.key_press_modifiers(Modifiers::COMMAND, Key::E);
    until(&mut window, "the dialog", |w| says(w, "Export the result"));
    let folder = models.folder.path().join("results");
    fill(&mut window, "Folder", folder.to_str().expect("plain"));
    until(&mut window, "a look into the folder", |w| says(w, "This folder will be made"));
    click(&mut window, "Export");
    until(&mut window, "the files", |w| says(w, "written to"));
    window.get_all_by_label("Send results…").last().expect("a button").click();
    window.run_steps(3);
    assert!(says(&window, "Send the result to a PACS") && !says(&window, "Export the result"));
}
