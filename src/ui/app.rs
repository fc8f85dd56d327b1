//! The application: polls in `logic`, draws in `ui`, acts in `apply`.

use std::path::PathBuf;

use eframe::egui::{self, CentralPanel, Frame, Margin, Panel, RichText, ScrollArea};
use eframe::{CreationContext, Storage};

use super::action::{Action, Place, Wanted};
use super::export_dialog::{self, ExportDialog};
use super::picker::{Ask, Picker};
use super::picture::PictureFile;
use super::published::{self, PublishedPage};
use super::session::{Arrived, Role, Session};
use super::session_file::{SessionFile, session_file_ui};
use super::viewer::Viewer;
use super::wizard::{self, Wizard};
use super::{
    Start, compute_panel, help, input_panel, keys, lambda_bar, measure, model_panel, panes, presets, preview,
    result_panel, slice_bar, start_panel, status_bar, theme, toolbar, widgets,
};
use crate::catalogue;
use crate::gpu::SliceRenderer;
use crate::io::Choice;
use crate::job::{Job, Turn};
use crate::settings::{ExportChoices, ScoredBy, Settings, absolute};

const SETTINGS: &str = "settings";

/// What lies over the panes, one at a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sheet {
    /// The keys, and what the mouse does.
    Keys,
    /// The window presets, to be changed.
    Presets,
    /// What is exported. Keys are its own while it is there.
    Export,
    /// The card of a network that has none. Keys are its own too.
    Wizard,
    /// What is published. Keys are its own too.
    Published,
}

/// The window's whole state.
pub struct App {
    session: Session,
    viewer: Viewer,
    picture: PictureFile,
    session_file: SessionFile,
    export: ExportDialog,
    wizard: Option<Wizard>,
    published: PublishedPage,
    /// A dialog that is open, and what its answer is for.
    dialog: Option<(Wanted, Job<Option<PathBuf>>)>,
    /// What was done in passes that egui discarded; it is done at the end of the one that is shown.
    pending: Vec<Action>,
    picker: Box<dyn Picker>,
    /// Whether the demo was shown: what it chose for the user is not kept.
    demo: bool,
    sheet: Option<Sheet>,
    /// Whether there is a GPU, real or in software, to draw on.
    drawable: bool,
}

impl App {
    /// Takes up what was chosen last time, then what `start` says.
    pub fn new(cc: &CreationContext, mut start: Start, picker: Box<dyn Picker>) -> Self {
        theme::apply(&cc.egui_ctx);
        let drawable = cc.wgpu_render_state.as_ref().map(|state| {
            let renderer = SliceRenderer::new(&state.device, state.target_format);
            state.renderer.write().callback_resources.insert(renderer);
        });
        let settings: Settings =
            cc.storage.and_then(|storage| eframe::get_value(storage, SETTINGS)).unwrap_or_default();
        let ctx = cc.egui_ctx.clone();
        let mut app = Self {
            session: Session::new(settings, move || ctx.request_repaint()),
            viewer: Viewer::default(),
            picture: PictureFile::new(),
            session_file: SessionFile::new(),
            export: ExportDialog::default(),
            wizard: None,
            published: PublishedPage::new(start.published.take().unwrap_or_else(|| catalogue::all().to_vec())),
            dialog: None,
            pending: Vec::new(),
            picker,
            demo: false,
            sheet: None,
            drawable: drawable.is_some(),
        };
        app.begin(start);
        app
    }

    fn begin(&mut self, start: Start) {
        if start.demo {
            self.begin_demo();
            return;
        }
        let session = &mut self.session;
        if start.segmenter.is_some() {
            session.score_by(ScoredBy::Segmenter);
        } else if start.classifier.is_some() {
            session.score_by(ScoredBy::Classifier);
        } else if start.embedder.is_some() {
            session.score_by(ScoredBy::Embedder);
        }
        if start.toward.is_some() {
            session.settings.toward = start.toward;
        }
        if start.target.is_some() {
            session.settings.target = start.target;
        }
        session.slab = start.slab;
        let kept = session.settings.clone();
        let cards = [
            (Role::Autoencoder, start.autoencoder.or(kept.autoencoder)),
            (Role::Classifier, start.classifier.or(kept.classifier)),
            (Role::Segmenter, start.segmenter.or(kept.segmenter)),
            (Role::Embedder, start.embedder.or(kept.embedder)),
        ];
        for (role, card) in cards {
            if let Some(card) = card {
                session.load(role, card);
            }
        }
        if let Some(scan) = start.scan {
            session.open(scan, start.choice);
        }
    }

    /// Shows a sheet in the place of any other, or puts it away.
    fn toggle(&mut self, sheet: Sheet) {
        self.sheet = (self.sheet != Some(sheet)).then_some(sheet);
    }

    fn begin_demo(&mut self) {
        self.demo = true;
        self.session.begin_demo();
    }

    /// Every change goes through here.
    fn apply(&mut self, action: Action, frame: &eframe::Frame) {
        match action {
            Action::Ask(wanted) => self.ask(wanted, frame),
            Action::Open(path) => self.session.open(path, Choice::default()),
            Action::OpenChosen(path, choice) => self.session.open(path, choice),
            Action::Demo => self.begin_demo(),
            Action::CancelOpening => self.session.cancel_opening(),
            Action::Drop(paths) => self.session.drop_files(paths),
            Action::ShowWaiting => {
                let arrived = self.session.show_waiting();
                self.show(&arrived);
            }
            Action::KeepResult => self.session.waiting = None,
            Action::Load(role, card) => self.session.load(role, card),
            Action::ForgetRecent => self.session.settings.recent.clear(),
            Action::ScoreBy(by) => self.session.score_by(by),
            Action::Target(label) => self.session.settings.target = Some(label),
            Action::Toward(path) => self.session.settings.toward = Some(absolute(&path)),
            Action::Slab(slab) => self.session.slab = slab,
            Action::Options(options) => self.session.settings.options = options,
            Action::Mouse(mouse) => self.session.settings.mouse = mouse,
            Action::Panels(panels) => self.session.settings.panels = panels,
            Action::Help => self.toggle(Sheet::Keys),
            Action::EditPresets => self.toggle(Sheet::Presets),
            Action::Presets(presets) => self.session.settings.presets = presets,
            Action::Explain => self.session.explain(),
            Action::Cancel => self.session.run.cancel(),
            Action::CheckReconstruction => self.session.check_reconstruction(),
            Action::StopReconstruction => self.session.fitting.kept.cancel(),
            Action::SwapResults => {
                self.session.swap_results();
                self.show_run();
            }
            Action::SavePicture { path, replace } => {
                self.picture.save(&self.session, &mut self.viewer, path, replace);
            }
            Action::SaveSession { path, replace } => {
                self.session_file.save(&self.session, &self.viewer, path, replace);
            }
            Action::PictureMeasured(measured) => self.picture.measured = measured,
            Action::ExportDialog => {
                self.toggle(Sheet::Export);
                self.export.turn(self.sheet == Some(Sheet::Export));
            }
            Action::Export(act) => self.export.act(act, &mut self.session, &self.viewer),
            Action::Wizard(act) => self.wizard(act),
            Action::PublishedModels => {
                self.toggle(Sheet::Published);
                self.published.turn();
            }
            Action::Published(act) => self.published.act(act, &mut self.session),
            Action::CopyPicture => self.picture.copy(&self.session, &mut self.viewer),
            Action::DismissError(place) => match place {
                Place::Scan => self.session.scan.dismiss(),
                Place::Model(Role::Autoencoder) => self.session.autoencoder.dismiss(),
                Place::Model(Role::Classifier) => self.session.classifier.dismiss(),
                Place::Model(Role::Segmenter) => self.session.segmenter.dismiss(),
                Place::Fit => self.session.dismiss_fit(),
                Place::Model(Role::Embedder) => self.session.embedder.dismiss(),
                Place::Run => self.session.run.dismiss(),
                Place::Picture => self.picture.dismiss(),
                Place::Session => self.session.restored.dismiss(),
                Place::SessionFile => self.session_file.saved.dismiss(),
                Place::Export => self.export.dismiss(),
                Place::Wizard => self.wizard.iter_mut().for_each(Wizard::dismiss),
                Place::Published => self.published.dismiss(),
            },
            action => self.look(&action),
        }
    }

    fn wizard(&mut self, act: wizard::Act) {
        let Some(wizard) = &mut self.wizard else { return };
        match act {
            wizard::Act::Change(draft) => wizard.change(*draft),
            wizard::Act::Write => {
                let Some(load) = wizard.write() else { return };
                self.pending.push(load);
                (self.wizard, self.sheet) = (None, None);
            }
            wizard::Act::Close => (self.wizard, self.sheet) = (None, None),
        }
    }

    /// Changes of what is looked at, and how.
    fn look(&mut self, action: &Action) {
        let Some(scan) = self.session.scan.ready() else { return };
        let (grid, viewer) = (scan.layers.scan.grid, &mut self.viewer);
        let plane = viewer.plane;
        match *action {
            Action::Plane(plane) => viewer.plane = plane,
            Action::Slice(slice) => viewer.set_slice(&grid, plane, slice),
            Action::Scroll(slices) => viewer.scroll(&grid, plane, slices),
            Action::Wheel(plane, turned) => {
                viewer.plane = plane;
                viewer.turn_wheel(&grid, plane, turned);
            }
            Action::MostChanged => {
                if let Some(run) = self.session.run.ready() {
                    viewer.go_to_stack_slice(run, run.most_changed_slice);
                }
            }
            Action::Window(window) => viewer.set_window(window),
            Action::NextPeak(towards) => {
                if let Some(run) = self.session.run.ready() {
                    viewer.go_to_next_peak(run, towards);
                }
            }
            Action::Reset => viewer.reset(scan),
            Action::Zoom(factor, around) => viewer.zoom_by(factor, around),
            Action::Pan(plane, pixels) => viewer.pan(&grid, plane, pixels),
            Action::Cursor(place) => viewer.cursor = place,
            Action::Display(display) => viewer.display = display,
            Action::Measure(ref act) => viewer.measure(&grid, act),
            Action::Fit => viewer.fit(&grid),
            Action::Step(step) => (viewer.step, viewer.playing) = (step, None),
            Action::WheelLambda(turned) => {
                if let Some(run) = self.session.run.ready() {
                    viewer.turn_lambda(run, turned);
                }
            }
            Action::TogglePlay => viewer.toggle_play(),
            Action::Pace(pace) => viewer.pace = pace,
            _ => {}
        }
    }

    /// Looks at what has arrived.
    fn show(&mut self, arrived: &Arrived) {
        if let Some(scan) = self.session.scan.ready().filter(|_| arrived.scan) {
            self.viewer.show_scan(scan);
        }
        if arrived.run {
            self.show_run();
        }
        if let Some(restored) = &arrived.restored {
            self.demo |= restored.of_demo();
            restored.show(&mut self.viewer);
        }
    }

    fn show_run(&mut self) {
        if let Some(run) = self.session.run.ready() {
            self.viewer.show_run(run);
        }
    }

    /// Shows a dialog, unless one is open already. It must be made on this thread and is awaited on another.
    fn ask(&mut self, wanted: Wanted, frame: &eframe::Frame) {
        if self.dialog.is_some() {
            return;
        }
        let ask = match wanted {
            Wanted::ScanFile => Ask::ScanFile,
            Wanted::ScanFolder => Ask::ScanFolder,
            Wanted::Model(_) => Ask::Model,
            Wanted::Toward => Ask::Toward,
            Wanted::Picture => Ask::SavePicture,
            Wanted::Session => Ask::SaveSession,
            Wanted::ExportFolder => Ask::ExportFolder,
            Wanted::ModelsFrom => Ask::ModelsFrom,
            Wanted::ModelsInto => Ask::ModelsInto,
        };
        let answer = self.picker.pick(ask, frame);
        match self.session.spawn("dialog", &Turn::default(), move |_| Ok(pollster::block_on(answer))) {
            Ok(job) => self.dialog = Some((wanted, job)),
            Err(error) => self.session.scan.fail(error.into()),
        }
    }

    /// The answer of a dialog, if there is one.
    fn answered(&mut self) -> Option<Action> {
        let (wanted, job) = self.dialog.as_ref()?;
        let (wanted, answer) = (*wanted, job.poll()?);
        self.dialog = None;
        match answer {
            Ok(path) => path.map(|path| match wanted {
                Wanted::ModelsFrom | Wanted::ModelsInto => {
                    let mut places = self.session.settings.fetching.clone();
                    match wanted {
                        Wanted::ModelsFrom => places.from = path.display().to_string(),
                        _ => places.into = path,
                    }
                    Action::Published(published::Act::Places(places))
                }
                Wanted::ScanFile | Wanted::ScanFolder => Action::Open(path),
                Wanted::Model(role) => Action::Load(role, path),
                Wanted::Toward => Action::Toward(path),
                // The dialog has asked already whether a file may go.
                Wanted::Picture => Action::SavePicture { path, replace: true },
                Wanted::Session => Action::SaveSession { path, replace: true },
                Wanted::ExportFolder => {
                    let choices = self.session.settings.export.clone();
                    Action::Export(export_dialog::Act::Choose(ExportChoices { folder: path, ..choices }))
                }
            }),
            Err(error) => {
                self.session.scan.fail(error.context("the dialog failed; type the path instead"));
                None
            }
        }
    }

    fn panels_ui(&mut self, ui: &mut egui::Ui, actions: &mut Vec<Action>) {
        let (session, viewer) = (&self.session, &mut self.viewer);
        let side = theme::SIDE_WIDTH.min(0.25 * ui.available_width());
        Panel::top("toolbar").exact_size(40.0).show(ui, |ui| toolbar::toolbar_ui(ui, session, viewer, actions));
        Panel::bottom("status").exact_size(26.0).show(ui, |ui| status_bar::status_bar_ui(ui, session, viewer));
        Panel::left("steps").default_size(side).size_range(240.0..=480.0).show(ui, |ui| {
            Panel::bottom("run").show(ui, |ui| compute_panel::run_ui(ui, session, actions));
            ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
                widgets::clear_of_scroll_bar(ui);
                step_ui(ui, 1, |ui| input_panel::input_panel_ui(ui, session, actions));
                step_ui(ui, 2, |ui| model_panel::model_panel_ui(ui, session, &self.published, actions));
                step_ui(ui, 3, |ui| compute_panel::compute_panel_ui(ui, session, viewer, actions));
                widgets::scroll_to_focus(ui);
            });
        });
        Panel::right("result").default_size(side).size_range(220.0..=480.0).show(ui, |ui| {
            Panel::bottom("picture").frame(Frame::NONE).show(ui, |ui| {
                result_panel::picture_ui(ui, &self.picture, actions);
                export_dialog::button_ui(ui, session, &self.export, actions);
            });
            ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
                widgets::clear_of_scroll_bar(ui);
                measure::measure_panel_ui(ui, session, viewer, actions);
                result_panel::result_panel_ui(ui, session, actions);
                if session.scan.ready().is_some() {
                    session_file_ui(ui, &self.session_file, actions);
                }
                widgets::scroll_to_focus(ui);
            });
        });
        let early = session.early().filter(|_| self.drawable);
        if session.scan.ready().is_some() && early.is_none() {
            Panel::bottom("bars").show(ui, |ui| {
                ui.add_space(4.0);
                slice_bar::slice_bar_ui(ui, session, viewer, actions);
                lambda_bar::lambda_bar_ui(ui, session, viewer, actions);
                ui.add_space(4.0);
            });
        }
        let frame = Frame::new().fill(theme::colors(ui).background).inner_margin(Margin::ZERO);
        CentralPanel::default().frame(frame).show(ui, |ui| {
            if let Some((slice, opening)) = early {
                preview::preview_ui(ui, &slice, opening);
            } else if session.scan.ready().is_none() {
                start_panel::start_panel_ui(ui, session, &self.published, actions);
            } else if self.drawable {
                panes::panes_ui(ui, session, viewer, actions);
            } else {
                let text = "There is no GPU driver to draw with, not even one in software. Install one (Mesa's Vulkan drivers) and start again.";
                ui.label(RichText::new(text).color(theme::colors(ui).red));
            }
        });
    }
}

/// A step whose widgets keep their ids, and so the focus, whatever comes or goes in the steps above: a model that has loaded
/// must not stop someone from typing.
fn step_ui(ui: &mut egui::Ui, number: usize, contents: impl FnOnce(&mut egui::Ui)) {
    let id = egui::Id::unique(("step", number));
    ui.scope_builder(egui::UiBuilder::new().scope_id(id), contents);
}

impl eframe::App for App {
    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        let arrived = self.session.poll();
        self.show(&arrived);
        if let Some(run) = self.session.run.ready()
            && self.viewer.playing.is_some()
        {
            self.viewer.advance(run.result.steps.len(), ctx.input(|input| input.stable_dt).min(0.1));
            ctx.request_repaint();
        }
        self.session_file.poll();
        if let Some(picture) = self.picture.poll() {
            let size = [picture.width() as usize, picture.height() as usize];
            ctx.copy_image(egui::ColorImage::from_rgba_unmultiplied(size, picture.as_raw()));
        }
        self.export.poll(ctx);
        self.published.poll();
        if self.sheet == Some(Sheet::Published) {
            self.published.follow(&self.session);
        }
        if self.sheet == Some(Sheet::Export) {
            self.export.follow(&self.session, &self.viewer);
        }
        if let Some(facts) = self.session.without_card.take() {
            (self.wizard, self.sheet) = (Some(Wizard::new(facts)), Some(Sheet::Wizard));
        }
        if let Some(wizard) = &mut self.wizard {
            wizard.follow(&self.session, ctx);
        }
        let answered = self.answered();
        self.pending.extend(answered);
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        theme::choose(ui.ctx(), self.session.settings.panels);
        let mut actions = std::mem::take(&mut self.pending);
        if !matches!(self.sheet, Some(Sheet::Export | Sheet::Wizard | Sheet::Published)) {
            keys::keys(ui.ctx(), &self.session, &self.viewer, &mut actions);
        }
        self.viewer.blink = keys::blinks(ui.ctx());
        self.panels_ui(ui, &mut actions);
        let settings = &self.session.settings;
        match self.sheet {
            Some(Sheet::Keys) => help::help_ui(ui.ctx(), settings.mouse, &mut actions),
            Some(Sheet::Presets) => {
                presets::presets_ui(ui.ctx(), &settings.presets, self.viewer.window, &mut actions);
            }
            Some(Sheet::Export) => {
                export_dialog::export_dialog_ui(ui.ctx(), &self.session, &self.export, &mut actions);
            }
            Some(Sheet::Wizard) => {
                if let Some(wizard) = &self.wizard {
                    wizard::wizard_ui(ui.ctx(), wizard, &mut actions);
                }
            }
            Some(Sheet::Published) => published::published_ui(ui.ctx(), &self.session, &self.published, &mut actions),
            None => {}
        }
        keys::dropped(ui, &mut actions);
        if ui.ctx().will_discard() {
            self.pending = actions; // egui draws this frame again, without its input
            return;
        }
        if !actions.is_empty() {
            ui.ctx().request_repaint(); // what was acted on shows in the next frame
        }
        for action in actions {
            self.apply(action, frame);
        }
    }

    fn save(&mut self, storage: &mut dyn Storage) {
        if !self.demo {
            eframe::set_value(storage, SETTINGS, &self.session.settings);
        }
    }
}
