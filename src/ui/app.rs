//! The application: polls in `logic`, draws in `ui`, and has the session act on what was done.

use std::path::PathBuf;
use std::time::Instant;

use eframe::{CreationContext, Storage};
use egui::{self, Button, CentralPanel, Frame, Margin, Panel, RichText, ScrollArea, Theme};

use super::in_turn::InTurn;
use super::picker::{Ask, Picker};
use super::{
    archive, cohort, compare_bar, compute_panel, export_dialog, gallery_panel, hangings, help, input_panel,
    insert_panel, keys, lambda_bar, measure, methods_panel, model_panel, own_keys, palette, panes, patient_bar,
    presets, preview, published, result_panel, send, session_panel, slice_bar, start_panel, status_bar, study, theme,
    toasts, toolbar, widgets, wizard,
};
use crate::catalogue;
use crate::gpu::SliceRenderer;
use crate::pipeline::in_words;
use crate::session::action::{Action, Setting, Sheet, View, Wanted, Which};
use crate::session::worker::Worker;
use crate::session::{Session, Start};
use crate::settings::{Settings, Side, Sides, kept};

const SETTINGS: &str = "settings";
/// A frame that took longer moves what plays no farther, seconds.
const LONGEST_FRAME_SECS: f32 = 0.1;
/// A narrower window has no room for both side panels beside the pictures, points.
const NARROW: f32 = 1200.0;

/// The window's whole state.
pub struct App {
    session: Session,
    /// What was done in passes that egui discarded; it is done at the end of the one that is shown.
    pending: Vec<Action>,
    in_turn: InTurn,
    picker: Box<dyn Picker>,
    /// Whether there is a GPU, real or in software, to draw on.
    drawable: bool,
    kept: KeptSettings,
}

/// Where settings are kept, and what was kept last.
struct KeptSettings {
    file: Option<PathBuf>,
    last: Option<Settings>,
}

impl App {
    /// Takes up what was chosen last time, then what `start` says.
    pub fn new(cc: &CreationContext, mut start: Start, picker: Box<dyn Picker>) -> Self {
        theme::apply(&cc.egui_ctx);
        let drawable = cc.wgpu_render_state.as_ref().map(|state| {
            let renderer = SliceRenderer::new(&state.device, state.target_format);
            state.renderer.write().callback_resources.insert(renderer);
        });
        let file = start.settings.take();
        let read = file.as_deref().map_or(Ok(None), kept::load);
        let (found, unread) = read.map_or_else(|why| (None, Some(in_words(&why))), |found| (found, None));
        // Where older versions kept them, readable for all; they go from there once they are kept here.
        let older = || cc.storage.and_then(|storage| eframe::get_value(storage, SETTINGS));
        let settings = if unread.is_none() { found.clone().or_else(older) } else { None }.unwrap_or_default();
        let ctx = cc.egui_ctx.clone();
        let published = start.published.take().unwrap_or_else(|| catalogue::all().to_vec());
        let mut session = Session::new(settings, published, Worker::new(move || ctx.request_repaint()));
        session.begin(start);
        if let Some(why) = unread {
            session.toasts.tell(&why, Instant::now());
        }
        let kept = KeptSettings { file, last: found };
        Self { session, pending: Vec::new(), in_turn: InTurn::default(), picker, drawable: drawable.is_some(), kept }
    }

    /// Shows the dialog that is asked for. It must be made on this thread and is awaited on another.
    fn ask(&mut self, frame: &eframe::Frame) {
        let Some(wanted) = self.session.dialog.take() else { return };
        let ask = match wanted {
            Wanted::ScanFile => Ask::ScanFile,
            Wanted::ScanFolder => Ask::ScanFolder,
            Wanted::Model(_) => Ask::Model,
            Wanted::Toward => Ask::Toward,
            Wanted::Mask => Ask::Mask,
            Wanted::Picture => Ask::SavePicture,
            Wanted::Session => Ask::SaveSession,
            Wanted::ExportFolder => Ask::ExportFolder,
            Wanted::ModelsFrom => Ask::ModelsFrom,
            Wanted::ModelsInto => Ask::ModelsInto,
            Wanted::StudyFolder => Ask::StudyFolder,
            Wanted::StudyFile => Ask::StudyFile,
            Wanted::SourceAuthority | Wanted::SourceCertificate | Wanted::SourceKey => Ask::Certificate,
        };
        let Session { dialog, model, .. } = &mut self.session;
        if let Err(error) = dialog.wait(wanted, self.picker.pick(ask, frame), &model.worker) {
            model.scan.fail(error.into());
        }
    }

    /// Puts the cursor into the field of a path that no dialog can be shown for.
    fn type_instead(&mut self, ctx: &egui::Context) {
        let field = match self.session.dialog.take_missing() {
            Some(Wanted::ScanFile | Wanted::ScanFolder) => input_panel::FIELD,
            Some(Wanted::Model(role)) => model_panel::name(role),
            Some(Wanted::Toward) => model_panel::OTHER_SCAN,
            Some(Wanted::Picture) => result_panel::SAVE_AS,
            Some(Wanted::Session) => session_panel::SAVE_AS,
            // The fields of the others stand on the sheet that asks.
            Some(_) | None => return,
        };
        widgets::focus_path_field(ctx, field);
    }

    fn panels_ui(&self, ui: &mut egui::Ui, actions: &mut Vec<Action>) {
        let Session { model, view, .. } = &self.session;
        Panel::top("toolbar").exact_size(40.0).show(ui, |ui| toolbar::toolbar_ui(ui, &self.session, actions));
        Panel::bottom("status").exact_size(26.0).show(ui, |ui| status_bar::status_bar_ui(ui, model, view));
        self.sides_ui(ui, actions);
        let early = model.early().filter(|_| self.drawable);
        if model.scan.ready().is_some() && early.is_none() {
            Panel::bottom("bars").show(ui, |ui| {
                ui.add_space(4.0);
                compare_bar::compare_bar_ui(ui, model, view, actions);
                slice_bar::slice_bar_ui(ui, model, view, actions);
                lambda_bar::lambda_bar_ui(ui, model, view, actions);
                ui.add_space(4.0);
            });
        }
        if let Some(words) = patient_bar::words(model).filter(|_| early.is_none()) {
            Panel::top("patient").show(ui, |ui| patient_bar::patient_bar_ui(ui, &words));
        }
        let frame = Frame::new().fill(theme::DARK.background).inner_margin(Margin::ZERO);
        CentralPanel::default().frame(frame).show(ui, |ui| {
            ui.set_style(ui.ctx().style_of(Theme::Dark)); // what is around pictures is dark in every theme
            if let Some((slice, opening)) = early {
                preview::preview_ui(ui, &slice, opening);
            } else if model.scan.ready().is_none() {
                start_panel::start_panel_ui(ui, &self.session, actions);
            } else if self.drawable {
                panes::panes_ui(ui, model, view, actions);
            } else {
                let text = "There is no GPU driver to draw with, not even one in software. Install one (Mesa's Vulkan drivers) and start again.";
                ui.label(RichText::new(text).color(theme::colors(ui).red));
            }
        });
    }

    /// The panels at both sides, or the strips that are left of them.
    fn sides_ui(&self, ui: &mut egui::Ui, actions: &mut Vec<Action>) {
        let narrow = ui.ctx().content_rect().width() < NARROW;
        if narrow != self.session.narrow {
            actions.push(View::Narrow(narrow).into());
        }
        let Sides { mut steps, mut result } = self.session.model.settings.sides;
        if self.session.shows(Which::Steps) {
            steps = side_ui(ui, Panel::left("steps"), steps, |ui| self.steps_ui(ui, actions));
        } else if strip_ui(ui, Panel::left("steps"), "the steps (F9)") {
            actions.push(View::Side(Which::Steps).into());
        }
        if self.session.shows(Which::Result) {
            result = side_ui(ui, Panel::right("result"), result, |ui| self.result_ui(ui, actions));
        } else if strip_ui(ui, Panel::right("result"), "the result (F10)") {
            actions.push(View::Side(Which::Result).into());
        }
        let new = Sides { steps, result };
        if new != self.session.model.settings.sides {
            actions.push(Setting::Sides(new).into());
        }
    }

    fn steps_ui(&self, ui: &mut egui::Ui, actions: &mut Vec<Action>) {
        let Session { model, view, published, cohort, .. } = &self.session;
        Panel::bottom("run").show(ui, |ui| compute_panel::run_ui(ui, model, actions));
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            widgets::clear_of_scroll_bar(ui);
            step_ui(ui, 1, |ui| {
                input_panel::input_panel_ui(ui, model, cohort, actions);
                insert_panel::insert_panel_ui(ui, model, actions);
            });
            step_ui(ui, 2, |ui| model_panel::model_panel_ui(ui, model, published, actions));
            step_ui(ui, 3, |ui| compute_panel::compute_panel_ui(ui, model, view, actions));
            widgets::scroll_to_focus(ui);
        });
    }

    fn result_ui(&self, ui: &mut egui::Ui, actions: &mut Vec<Action>) {
        let Session { model, view, picture, file, gallery, export, archive, .. } = &self.session;
        Panel::bottom("picture").frame(Frame::NONE).show(ui, |ui| {
            result_panel::picture_ui(ui, picture, model.scan.ready().is_some(), actions);
            ui.horizontal(|ui| {
                export_dialog::button_ui(ui, model, export, actions);
                send::button_ui(ui, model, archive, actions);
            });
            ui.add_space(4.0);
        });
        ScrollArea::vertical().auto_shrink([false, false]).show(ui, |ui| {
            widgets::clear_of_scroll_bar(ui);
            measure::measure_panel_ui(ui, model, view, actions);
            result_panel::result_panel_ui(ui, model, view, actions);
            methods_panel::methods_panel_ui(ui, model, view, actions);
            gallery_panel::gallery_ui(ui, model, gallery, actions);
            if model.scan.ready().is_some() {
                session_panel::session_panel_ui(ui, file, actions);
            }
            widgets::scroll_to_focus(ui);
        });
    }

    fn sheet_ui(&self, ctx: &egui::Context, actions: &mut Vec<Action>) {
        let Session { model, view, export, published, .. } = &self.session;
        match self.session.sheet {
            Some(Sheet::Keys) => help::help_ui(ctx, &model.settings, actions),
            Some(Sheet::Palette) => palette::palette_ui(ctx, &self.session, actions),
            Some(Sheet::Presets) => presets::presets_ui(ctx, &model.settings.presets, view.window, actions),
            Some(Sheet::Hangings) => hangings::hangings_ui(ctx, &model.settings.hangings, view, actions),
            Some(Sheet::OwnKeys) => own_keys::own_keys_ui(ctx, &self.session, actions),
            Some(Sheet::Export) => export_dialog::export_dialog_ui(ctx, model, export, actions),
            Some(Sheet::Wizard) => {
                if let Some(wizard) = &self.session.wizard {
                    wizard::wizard_ui(ctx, wizard, actions);
                }
            }
            Some(Sheet::Published) => published::published_ui(ctx, model, published, actions),
            Some(Sheet::Study) => study::study_ui(ctx, &self.session.study, actions),
            Some(Sheet::Archive) => archive::archive_ui(ctx, model, &self.session.archive, actions),
            Some(Sheet::Send) => send::send_ui(ctx, model, &self.session.archive, actions),
            Some(Sheet::Cohort) => cohort::cohort_ui(ctx, model, &self.session.cohort, actions),
            None => {}
        }
        archive::password_ui(ctx, &self.session.archive.passwords, actions);
    }
}

/// A panel at one side; gives how wide it is after this frame.
fn side_ui(ui: &mut egui::Ui, panel: Panel, side: Side, contents: impl FnOnce(&mut egui::Ui)) -> Side {
    const WIDTHS: std::ops::RangeInclusive<f32> = 240.0..=480.0;
    let most = 0.25 * ui.ctx().content_rect().width();
    let shown = panel.default_size(side.width_points.min(most)).size_range(WIDTHS).show(ui, contents);
    let width_points = shown.response.rect.width().round();
    // While it is narrower than was chosen because the window is, what was chosen stays.
    let kept = (width_points - side.width_points.min(most)).abs() < 1.0;
    Side { width_points: if kept { side.width_points } else { width_points }, ..side }
}

/// The strip that is left of a panel that is put away; gives whether it is to come back.
fn strip_ui(ui: &mut egui::Ui, panel: Panel, name: &str) -> bool {
    const STRIP: f32 = 30.0;
    let strip = panel.exact_size(STRIP).resizable(false).frame(Frame::new().fill(theme::colors(ui).panel));
    let open = |ui: &mut egui::Ui| {
        ui.add_space(6.0);
        ui.spacing_mut().button_padding.x = 4.0;
        let button = ui.vertical_centered(|ui| ui.add(Button::new("…").min_size([22.0, 24.0].into()))).inner;
        let words = format!("Show {name}");
        button.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Button, true, &words));
        button.on_hover_text(&words).clicked()
    };
    strip.show(ui, open).inner
}

/// A step whose widgets keep their ids, and so the focus, whatever comes or goes in the steps above: a model that has loaded
/// must not stop someone from typing.
fn step_ui(ui: &mut egui::Ui, number: usize, contents: impl FnOnce(&mut egui::Ui)) {
    let id = egui::Id::unique(("step", number));
    ui.scope_builder(egui::UiBuilder::new().scope_id(id), contents);
}

impl eframe::App for App {
    fn raw_input_hook(&mut self, _ctx: &egui::Context, raw_input: &mut egui::RawInput) {
        self.in_turn.take(&mut raw_input.events);
    }

    fn logic(&mut self, ctx: &egui::Context, _frame: &mut eframe::Frame) {
        if self.session.tick(ctx.input(|input| input.stable_dt).min(LONGEST_FRAME_SECS)) {
            ctx.request_repaint();
        }
        if let Some(picture) = self.session.take_copied() {
            let size = [picture.width() as usize, picture.height() as usize];
            ctx.copy_image(egui::ColorImage::from_rgba_unmultiplied(size, picture.as_raw()));
        }
    }

    fn ui(&mut self, ui: &mut egui::Ui, frame: &mut eframe::Frame) {
        theme::choose(ui.ctx(), self.session.model.settings.panels);
        let mut actions = std::mem::take(&mut self.pending);
        if !self.session.sheet.is_some_and(Sheet::takes_keys) {
            keys::keys(ui.ctx(), &self.session, &mut actions);
        }
        if self.session.study.reading.is_some() {
            study::page_ui(ui, &self.session, self.drawable, &mut actions);
        } else {
            keys::blinks(ui.ctx(), &self.session.view, &mut actions);
            self.panels_ui(ui, &mut actions);
        }
        self.sheet_ui(ui.ctx(), &mut actions);
        if self.session.study.reading.is_none() {
            toasts::toasts_ui(ui.ctx(), &self.session.toasts, &mut actions); // it may tell a score
            keys::dropped(ui, &mut actions);
        }
        if ui.ctx().will_discard() {
            self.pending = actions; // egui draws this frame again, without its input
            return;
        }
        if !actions.is_empty() || self.in_turn.waits() {
            ui.ctx().request_repaint(); // what was acted on shows in the next frame
        }
        if actions.iter().any(|action| matches!(action, Action::View(View::PaneSize(_)))) {
            ui.ctx().request_discard("pictures are drawn at the size of their panes at once");
        }
        for action in actions {
            self.session.apply(action);
        }
        self.ask(frame);
        self.type_instead(ui.ctx());
    }

    fn save(&mut self, storage: &mut dyn Storage) {
        let Self { session, kept, .. } = self;
        let Some(file) = &kept.file else { return };
        let settings = session.kept();
        if kept.last.as_ref() == Some(&settings) {
            return;
        }
        if let Err(why) = kept::save(file, &settings) {
            session.toasts.tell(&in_words(&why), Instant::now());
        }
        kept.last = Some(settings); // what could not be kept is told once
        storage.set_string(SETTINGS, String::new());
    }
}
