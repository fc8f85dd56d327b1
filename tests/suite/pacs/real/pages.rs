//! The pages of archives without a window, on a real Orthanc, by either protocol.

use parallax::session::Session;
use parallax::session::action::{Archive, Sheet, View};
use parallax::session::archive::act::Send;
use parallax::session::archive::draft::{Draft, Knows, Protocol};
use parallax::session::archive::thumbnails::Thumbnail;
use parallax::ui::Start;

use super::servers::{self, Orthanc};
use super::{add_dimse, plain};
use crate::pacs::binary::done;
use crate::pacs::pages::{add, draft, error, search, show_study};
use crate::pacs::{SERIES, series};
use crate::tiny_models::TinyModels;
use crate::window::without_window::{explain, until};

#[test]
fn orthanc_is_searched_shown_fetched_from_and_sent_to_from_the_window() {
    let receive = servers::free_port();
    let Some(orthanc) = Orthanc::start(Some(receive)) else { return };
    let home = tempfile::tempdir().expect("a folder");
    series::write(&home.path().join("series"), 9, 64);
    add_dimse(home.path(), "get", orthanc.dimse, "PXTEST", &[]);
    done(home.path(), &["pacs", "send", "get", plain(&home.path().join("series"))]);

    let url = format!("http://127.0.0.1:{}/dicom-web", orthanc.http);
    let web = Draft { knows: Knows::Password, user: "px".to_owned(), ..draft("web", &url) };
    let dimse = |name: &str| Draft {
        protocol: Protocol::Dimse,
        host: "localhost".to_owned(),
        port: orthanc.dimse.to_string(),
        called: "PXTEST".to_owned(),
        ..draft(name, "")
    };
    let moved = Draft { retrieve: parallax::pacs::Retrieve::Move, receive_port: receive.to_string(), ..dimse("moved") };
    for (at, source) in [web, dimse("get"), moved].into_iter().enumerate() {
        let folder = home.path().join(format!("window-{at}"));
        let name = source.name.clone();
        let mut session = opened(Start { archives: Some(folder.clone()), ..Start::default() }, Sheet::Archive);
        add(&mut session, source);
        search(&mut session);
        if session.archive.passwords.asked.is_some() {
            let secret = parallax::pacs::Secret::new("secret".to_owned());
            session.apply(Archive::Password { secret, keep: false }.into());
            until(&mut session, "an answer", |session| session.archive.studies.running().is_none());
        }
        let found = session.archive.studies.ready().map(|found| found.all.len());
        assert_eq!(found, Some(1), "{name}: {:?}", error(&session));
        show_study(&mut session);
        session.apply(Archive::Seen(0..5).into());
        until(&mut session, "a picture", |session| session.archive.thumbnails.of(SERIES).is_some());
        if let Some(Thumbnail::None(why)) = session.archive.thumbnails.of(SERIES) {
            panic!("{name}: {why}");
        }
        session.apply(Archive::Fetch(0).into());
        until(&mut session, "the scan", |session| session.model.scan.ready().is_some() || error(session).is_some());
        assert!(error(&session).is_none(), "{name}: {:?}", error(&session));
        assert_eq!(session.model.scan.ready().expect("a scan").layers.scan.grid.shape, [64, 64, 9], "{name}");
    }

    // Results back: all that Parallax makes is stored, and found again.
    let models = TinyModels::new();
    let scan = crate::exports::dicom_export::oblique(models.folder.path());
    let folder = home.path().join("window-1");
    let start =
        Start { scan: Some(scan), archives: Some(folder.clone()), ..crate::window::without_window::all(&models) };
    let mut session = opened(start, Sheet::Send);
    explain(&mut session);
    until(&mut session, "the source", |session| session.archive.source().is_some());
    session.apply(Archive::Send(Send::Start).into());
    until(&mut session, "the answers", |session| session.archive.sending.sent.running().is_none());
    let answers = session.archive.sending.answers();
    assert!(answers.len() == 4 && answers.iter().all(|one| one.stored), "{answers:?} {:?}", error(&session));
    let log = std::fs::read_to_string(folder.join("pacs-sent.jsonl")).expect("a log");
    assert_eq!(log.lines().count(), 4);
    session.apply(View::Sheet(Sheet::Archive).into());
    search(&mut session);
    assert_eq!(session.archive.studies.ready().map(|found| found.all.len()), Some(2), "{:?}", error(&session));
}

fn opened(start: Start, sheet: Sheet) -> Session {
    let mut session = crate::window::without_window::session(start);
    session.apply(View::Sheet(sheet).into());
    until(&mut session, "the sources", |session| session.archive.sources.kept.ready().is_some());
    session
}
