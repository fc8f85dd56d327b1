//! The whole session, and the one place where it changes: a match for each group of actions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use image::RgbaImage;

use super::action::{self, Action, Export, Measure, Place, Published, Setting, Sheet, View, Which};
use super::archive::Archive;
use super::cohort::CohortTable;
use super::dialog::Dialog;
use super::explained::Explained;
use super::exporting::{Exporting, Written};
use super::file::SessionFile;
use super::gallery::Gallery;
use super::model::Model;
use super::picture::PictureFile;
use super::published::PublishedPage;
use super::recent::Recent;
use super::shown::{Told, read_in, told};
use super::study::StudyPage;
use super::toasts::{Toasts, Work};
use super::undo::{kind_of, kind_of_measure};
use super::view::Viewer;
use super::view::history::ViewChange;
use super::wizard::Wizard;
use super::worker::Worker;
use crate::catalogue::Entry;
use crate::frame::display::Laid;
use crate::io::{Choice, counted};
use crate::models::Role;
use crate::settings::{MOST_REPEATS, Settings, absolute};

/// All of the window's state but what egui keeps.
pub struct Session {
    /// What is open, chosen and computed.
    pub model: Model,
    /// What is looked at, and how.
    pub view: Viewer,
    pub picture: PictureFile,
    pub file: SessionFile,
    pub gallery: Gallery,
    pub export: Exporting,
    pub published: PublishedPage,
    pub study: StudyPage,
    pub archive: Archive,
    pub cohort: CohortTable,
    pub recent: Recent,
    pub wizard: Option<Wizard>,
    pub dialog: Dialog,
    /// What lies over the panes.
    pub sheet: Option<Sheet>,
    pub toasts: Toasts,
    /// Whether the window has no room for both side panels beside the pictures.
    pub narrow: bool,
}

impl Session {
    /// `published` is what the page of published networks offers.
    pub fn new(settings: Settings, published: Vec<Entry>, worker: Worker) -> Self {
        Self {
            model: Model::new(settings, worker),
            view: Viewer::default(),
            picture: PictureFile::default(),
            file: SessionFile::default(),
            gallery: Gallery::default(),
            export: Exporting::default(),
            published: PublishedPage::new(published),
            study: StudyPage::default(),
            archive: Archive::new(None),
            cohort: CohortTable::default(),
            recent: Recent::default(),
            wizard: None,
            dialog: Dialog::default(),
            sheet: None,
            toasts: Toasts::default(),
            narrow: false,
        }
    }

    /// What is kept for the next time; nothing of the demo's choices.
    pub fn kept(&self) -> Settings {
        self.model.kept()
    }

    /// Acts. Every change of a session but time's goes through here.
    pub fn apply(&mut self, action: Action) {
        match action {
            Action::View(view) => {
                let kind = kind_of(&view);
                self.remembered(kind, |session| session.look(view));
            }
            Action::Run(run) => self.work(run),
            Action::Setting(setting) => self.set(setting),
            Action::Export(export) => self.export(export),
            Action::Archive(act) => self.act_on_archive(act),
            Action::Cohort(act) => self.act_on_cohort(act),
            Action::Measure(act) => self.remembered(kind_of_measure(&act), |session| session.measure(&act)),
        }
    }

    /// Acts on the view, which can be gone back to if it changes.
    fn remembered(&mut self, kind: Option<ViewChange>, act: impl FnOnce(&mut Self)) {
        let before = kind.map(|kind| (kind, self.view.saved()));
        act(self);
        if let Some((kind, before)) = before.filter(|(_, before)| *before != self.view.saved()) {
            self.view.history.changed(before, kind, Instant::now());
        }
    }

    /// Takes what the workers have answered, and starts what follows from it. True while something moves: then it wants to be called
    /// again at the next frame, `secs` after this one.
    pub fn tick(&mut self, secs: f32) -> bool {
        let arrived = self.model.poll();
        self.show(&arrived);
        self.follow_gallery();
        self.file.poll();
        self.picture.poll();
        self.export.poll();
        self.published.poll();
        self.study.poll(&self.model.worker);
        self.recent.follow(&self.model.settings.recent, &self.model.worker);
        match self.sheet {
            Some(Sheet::Published) => self.published.follow(&self.model),
            Some(Sheet::Export) => self.export.follow(&self.model, &self.view),
            _ => {}
        }
        if let Some(facts) = self.model.without_card.take() {
            (self.wizard, self.sheet) = (Some(Wizard::new(facts)), Some(Sheet::Wizard));
        }
        if let Some(wizard) = &mut self.wizard {
            wizard.follow(&self.model);
        }
        self.follow_pages();
        self.take_answer();
        self.lay();
        let work = self.work_in_background();
        self.toasts.follow(work, Instant::now());
        if let Some(scan) = self.model.scan.ready() {
            self.view.advance_slices(&scan.layers.scan.grid, secs);
            let read_in = read_in(&self.model, &self.view);
            self.view.read_regions(&read_in, &self.model.worker);
        }
        self.advance(secs)
    }

    /// Moves what plays, and says whether anything does. Lambda plays on what is shown alone.
    fn advance(&mut self, secs: f32) -> bool {
        match told(&self.model, &self.view) {
            Told::Result(_, run) | Told::Pair(_, [run, _]) => self.view.advance(run.result().steps.len(), secs),
            Told::Nothing | Told::Scan(_) | Told::SoFar(..) => self.view.stop_lambda(),
        }
        self.view.playing.is_some() || self.view.cine.is_some()
    }

    /// Lays what was chosen over the pictures, as far as it is there.
    fn lay(&mut self) {
        let wanted = match self.view.display.laid {
            Laid::By(method) => Some(method),
            Laid::Change | Laid::Agreement => None,
        };
        self.model.follow_methods(wanted);
        self.model.follow_mask();
        let (scan, run) = self.model.shown();
        let layers = run.map(|run| &*run.layers).or(scan.map(|scan| &*scan.layers));
        self.view.lay(layers, self.model.map(self.view.display.laid));
    }

    /// All work whose end may be out of sight.
    fn work_in_background(&self) -> Vec<Work> {
        let (sheet, model) = (self.sheet, &self.model);
        let beside = self.shows(Which::Result);
        let run = |run: &Explained| {
            let scores = run.result().scores;
            format!("The counterfactual is there: {:.4}, from {:.4}", scores.counterfactual, scores.scan)
        };
        let export = |written: &Written| {
            format!("{} exported to {}", counted(written.names.len(), "file"), written.folder.display())
        };
        let fetched = self.published.entries.get(self.published.getting).map_or("A network", |entry| &entry.name);
        let saved = |path: &PathBuf| format!("Saved as {}", path.display());
        vec![
            Work::of(
                &model.run,
                sheet.is_none_or(|sheet| !sheet.takes_keys()),
                run,
                sheet.map(|s| View::Sheet(s).into()),
            ),
            Work::of(&self.export.written, sheet == Some(Sheet::Export), export, Some(Export::ShowFolder.into())),
            Work::of(
                &self.published.got,
                sheet == Some(Sheet::Published),
                |_| format!("{fetched} is fetched"),
                Some(View::Sheet(Sheet::Published).into()),
            ),
            Work::of(&self.picture.saved, beside, saved, None),
            Work::of(&self.file.saved, beside, saved, None),
        ]
    }

    /// A picture that is ready for the clipboard, once.
    pub fn take_copied(&mut self) -> Option<Arc<RgbaImage>> {
        self.picture.take_copied()
    }

    /// What needs a scan or a result does nothing where none is shown: while a run's pictures so far are, nothing moves behind them.
    fn look(&mut self, act: View) {
        let shown = told(&self.model, &self.view).result().cloned();
        let (scan, run, view) = match self.study.looked_at() {
            Some((scan, view)) => (scan, None, view), // a reader moves no lambda
            None => (self.model.scan.ready().cloned(), shown, &mut self.view),
        };
        let plane = view.plane;
        let grid = scan.as_deref().map(|scan| &scan.layers.scan.grid);
        match (act, grid, &run) {
            (View::Sheet(sheet), ..) => self.toggle(sheet),
            (View::Ask(wanted), ..) => self.dialog.ask(wanted),
            (View::CloseToast(at), ..) => self.toasts.close(at),
            (View::Beside(output), ..) => view.toggle_beside(&output),
            (View::Lens, ..) => view.lens = !view.lens,
            (View::Blink(held), ..) => view.blink = held,
            (View::Older(older), ..) => view.older = older,
            (View::PaneSize(pixels), ..) => view.pane_px = pixels,
            (View::Narrow(narrow), ..) => self.narrow = narrow,
            (View::Side(which), ..) => self.turn_side(which),
            (View::Probe(place), ..) => view.probe = place,
            (View::Hang(at), ..) => {
                if let Some(hanging) = self.model.settings.hangings.0.get(at) {
                    view.hang(hanging);
                }
            }
            (View::Display(display), ..) => view.display = display,
            (View::Change(change), ..) => view.display = view.display.changed(change),
            (View::Pace(pace), ..) => view.pace = pace,
            (View::Window(window), ..) => view.set_window(window),
            (View::Undo, ..) => view.undo(self.model.run.ready().map(Arc::as_ref)),
            (View::Redo, ..) => view.redo(self.model.run.ready().map(Arc::as_ref)),
            (View::Plane(plane), ..) => view.plane = plane,
            (View::Slice(slice), Some(grid), _) => {
                view.cine = None; // who takes the slices into his hand stops what plays
                view.set_slice(grid, plane, slice);
            }
            (View::Scroll(slices), Some(grid), _) => view.scroll(grid, plane, slices),
            (View::Wheel(plane, turned), Some(grid), _) => {
                view.plane = plane;
                view.turn_wheel(grid, plane, turned);
            }
            (View::Zoom(factor, around), Some(_), _) => view.zoom_by(factor, around),
            (View::Pan(plane, pixels), Some(grid), _) => view.pan(grid, plane, pixels),
            (View::Cursor(place), Some(_), _) => view.cursor = place,
            (View::Cine, Some(_), _) => view.cine = if view.cine.is_none() { Some(0.0) } else { None },
            (View::Fit, Some(grid), _) => view.fit(grid),
            (View::Reset, Some(_), _) => scan.iter().for_each(|scan| view.reset(scan)),
            (View::MostChanged, _, Some(run)) => view.go_to_most_changed(run),
            (View::Region(region), _, Some(run)) => view.choose_region(run, region),
            (View::NextPeak(towards), _, Some(run)) => view.go_to_next_peak(run, towards),
            (View::Step(step), _, Some(_)) => (view.step, view.playing) = (step, None),
            (View::WheelLambda(turned), _, Some(run)) => view.turn_lambda(run, turned),
            (View::TogglePlay, _, Some(_)) => view.toggle_play(),
            (
                View::Slice(_)
                | View::Scroll(_)
                | View::Wheel(..)
                | View::Zoom(..)
                | View::Pan(..)
                | View::Cursor(_)
                | View::Cine
                | View::Fit
                | View::Reset,
                None,
                _,
            )
            | (
                View::MostChanged
                | View::Region(_)
                | View::NextPeak(_)
                | View::Step(_)
                | View::WheelLambda(_)
                | View::TogglePlay,
                _,
                None,
            ) => {}
        }
    }

    fn work(&mut self, act: action::Run) {
        use action::Run;
        let model = &mut self.model;
        match act {
            Run::Open(path) => model.open(path, Choice::default()),
            Run::OpenChosen(path, choice) => model.open(path, choice),
            Run::Demo => model.begin_demo(),
            Run::CancelOpening => model.cancel_opening(),
            Run::ShowWaiting => {
                let arrived = model.show_waiting();
                self.show(&arrived);
            }
            Run::KeepResult => model.waiting = None,
            Run::Drop(paths) => model.drop_files(paths),
            Run::Load(role, card) => model.load(role, card),
            Run::Explain => {
                self.view.older = false;
                model.explain();
            }
            Run::Cancel => model.run.cancel(),
            Run::LoadMask(path) => model.load_mask(path),
            Run::ForgetMask => model.forget_mask(),
            Run::Insert(act) => self.insert(act),
            Run::StopMethod => {
                model.methods.coming.cancel();
                self.view.display.laid = Laid::Change;
            }
            Run::RegionsAbove(hu) => {
                self.view.region = None; // its place in the list is another one's soon
                model.regions_above(hu);
            }
            Run::StopRepeating => model.repeating.repeated.cancel(),
            Run::CheckReconstruction => model.check_reconstruction(),
            Run::StopReconstruction => model.fitting.kept.cancel(),
            Run::SwapResults => {
                model.swap_results();
                self.show_run();
            }
            Run::Compare(path) => model.compare_with(path),
            Run::CompareOther => model.compare_with_other(),
            Run::StopComparing => model.stop_comparing(),
            Run::ClearResults => {
                self.gallery.clear(model);
                model.settings.shown_result = None;
            }
            Run::Wizard(act) => self.write_card(act),
            Run::Published(act) => self.fetch(&act),
            Run::Study(act) => {
                self.study.act(act, &self.model.worker);
                self.sheet.take_if(|sheet| *sheet == Sheet::Study && self.study.reading.is_some());
            }
            Run::DismissError(place) => self.dismiss(place),
        }
    }

    fn set(&mut self, setting: Setting) {
        let settings = &mut self.model.settings;
        match setting {
            Setting::ForgetRecent => settings.recent.clear(),
            Setting::ScoreBy(by) => self.model.score_by(by),
            Setting::Target(label) => settings.target = Some(label),
            Setting::Toward(path) => settings.toward = Some(absolute(&path)),
            Setting::Slab(slab) => self.model.slab = slab,
            Setting::Options(options) => settings.options = options,
            Setting::Repeats(repeats) => settings.repeats = repeats.min(MOST_REPEATS),
            Setting::Mouse(mouse) => settings.mouse = mouse,
            Setting::Panels(panels) => settings.panels = panels,
            Setting::Sides(sides) => settings.sides = sides,
            Setting::PatientShown(shown) => settings.patient_shown = shown,
            Setting::Presets(presets) => settings.presets = presets,
            Setting::Hangings(hangings) => settings.hangings = hangings,
            Setting::Keys(keys) => settings.keys = keys,
            Setting::Exports(choices) => {
                settings.export = choices;
                self.export.forget_written();
            }
            Setting::Places(places) => settings.fetching = places,
            Setting::KeepResults(keep) => settings.keep_results = keep,
            Setting::PictureMeasured(measured) => self.picture.measured = measured,
        }
    }

    fn export(&mut self, act: Export) {
        let (model, view) = (&self.model, &mut self.view);
        match act {
            Export::SavePicture { path, replace } => self.picture.save(model, view, path, replace),
            Export::CopyPicture => self.picture.copy(model, view),
            Export::SaveSession { path, replace } => self.file.save(model, view, path, replace),
            Export::Replace(may) => self.export.may_replace = may,
            Export::Tell(patient) => self.export.patient = patient,
            Export::Start => self.export.start(model, view),
            Export::Cancel => self.export.written.cancel(),
            Export::Again => self.export.forget_written(),
            Export::ShowFolder => self.export.show_folder(model),
        }
    }

    fn measure(&mut self, act: &Measure) {
        let (scan, view) = match self.study.looked_at() {
            Some(looked_at) => looked_at,
            None => (self.model.scan.ready().cloned(), &mut self.view),
        };
        if let Some(scan) = scan {
            view.measure(&scan.layers.scan.grid, act);
        }
    }

    fn write_card(&mut self, act: action::Wizard) {
        let Some(wizard) = &mut self.wizard else { return };
        match act {
            action::Wizard::Change(draft) => wizard.change(*draft),
            action::Wizard::Write => {
                if let Some((role, card)) = wizard.write() {
                    (self.wizard, self.sheet) = (None, None);
                    self.model.load(role, card);
                }
            }
            action::Wizard::Close => (self.wizard, self.sheet) = (None, None),
        }
    }

    fn fetch(&mut self, act: &Published) {
        let (page, model) = (&mut self.published, &self.model);
        match *act {
            Published::Choose(at) => page.choose(at),
            Published::Accept(accepted) => page.accepted = accepted,
            Published::Get => page.get(model),
            Published::Cancel => page.got.cancel(),
            Published::ShowFolder => page.show_folder(model),
            Published::ShowSource => page.show_source(model),
        }
    }

    fn dismiss(&mut self, place: Place) {
        let model = &mut self.model;
        match place {
            Place::Scan => model.scan.dismiss(),
            Place::Model(Role::Autoencoder) => model.autoencoder.dismiss(),
            Place::Model(Role::Classifier) => model.classifier.dismiss(),
            Place::Model(Role::Segmenter) => model.segmenter.dismiss(),
            Place::Model(Role::Embedder) => model.embedder.dismiss(),
            Place::Fit => model.fitting.dismiss(),
            Place::Run => model.run.dismiss(),
            Place::Mask => {
                model.masking.mask.dismiss();
                model.masking.measured.dismiss();
            }
            Place::Insert => model.inserting.drawn.dismiss(),
            Place::Method => model.methods.coming.dismiss(),
            Place::Repeats => model.repeating.repeated.dismiss(),
            Place::Session => model.restored.dismiss(),
            Place::Picture => self.picture.dismiss(),
            Place::Results => self.gallery.dismiss(),
            Place::Comparison => model.beside.dismiss(),
            Place::SessionFile => self.file.saved.dismiss(),
            Place::Export => self.export.dismiss(),
            Place::Wizard => self.wizard.iter_mut().for_each(Wizard::dismiss),
            Place::Published => self.published.dismiss(),
            Place::Study => self.study.dismiss(),
            Place::Archive => self.archive.dismiss(),
            Place::Cohort => self.cohort.dismiss(),
        }
    }

    /// Shows a sheet in the place of any other, or puts it away.
    fn toggle(&mut self, sheet: Sheet) {
        self.sheet = (self.sheet != Some(sheet)).then_some(sheet);
        match sheet {
            Sheet::Export => self.export.turn(self.sheet == Some(sheet)),
            Sheet::Published => self.published.turn(),
            Sheet::Keys
            | Sheet::OwnKeys
            | Sheet::Presets
            | Sheet::Hangings
            | Sheet::Palette
            | Sheet::Wizard
            | Sheet::Cohort
            | Sheet::Study => {}
            Sheet::Archive | Sheet::Send => self.turn_page(sheet),
        }
    }
}
