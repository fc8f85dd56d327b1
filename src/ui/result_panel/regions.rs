//! Where the scan changed, as a list: a click takes all planes there and draws the region's outline.

use egui::{DragValue, RichText, Role, Ui, WidgetInfo};

use crate::export::report::Report;
use crate::frame::display::{Change, LARGEST_THRESHOLD_HU, Laid};
use crate::quality::regions::{Region, volume_text};
use crate::quality::words::signed;
use crate::session::action::{Action, Run, View};
use crate::session::view::Viewer;
use crate::stability::{Again, Stability};
use crate::ui::theme;
use crate::ui::widgets::meaning_ui;

/// Rows that are shown; `result.json` and the tables have more.
const MOST_ROWS: usize = 12;

pub(super) fn regions_ui(
    ui: &mut Ui,
    report: &Report,
    (repeats, coming_hu): (bool, Option<f32>),
    viewer: &Viewer,
    actions: &mut Vec<Action>,
) {
    let (regions, chosen) = (&report.regions, viewer.region);
    threshold_ui(ui, coming_hu.unwrap_or(regions.threshold_hu), repeats || report.stability.is_some(), actions);
    for (index, region) in regions.list.iter().take(MOST_ROWS).enumerate() {
        let again = report.stability.as_ref().and_then(|stability| stability.regions.get(index));
        row_ui(ui, index, region, again, chosen == Some(index), actions);
    }
    stability_ui(ui, report.stability.as_ref(), repeats, viewer, actions);
    let more = regions.list.len().saturating_sub(MOST_ROWS) + regions.smaller.count;
    let text = match (regions.list.len(), more) {
        (0, 0) => "Nothing changed so much.".to_owned(),
        (_, 0) => return,
        (_, more) => format!("and {more} smaller"),
    };
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
}

/// Shows and changes the threshold: a place belongs to a region where it changed by more, HU.
fn threshold_ui(ui: &mut Ui, above_hu: f32, told_by_repeats: bool, actions: &mut Vec<Action>) {
    ui.horizontal_wrapped(|ui| {
        let label = ui.label(RichText::new("Changed by more than").small().color(theme::colors(ui).weak));
        let mut above_hu = above_hu;
        let value =
            DragValue::new(&mut above_hu).range(1.0..=LARGEST_THRESHOLD_HU).speed(1.0).max_decimals(0).suffix(" HU");
        let field = ui.add_enabled(!told_by_repeats, value).labelled_by(label.id);
        let why = "Repeats tell of these regions; they stay as they are";
        if field.on_disabled_hover_text(why).changed() {
            actions.push(Run::RegionsAbove(above_hu).into());
        }
    });
    ui.label(RichText::new("The weightiest first").small().color(theme::colors(ui).weak));
}

/// Place, volume and mean change; the rest stands in its meaning.
fn row_ui(ui: &mut Ui, index: usize, region: &Region, again: Option<&Again>, on: bool, actions: &mut Vec<Action>) {
    let text = format!("{}  {}", index + 1, region.place.words);
    let row = ui.selectable_label(on, text);
    let again = again.map_or_else(String::new, |again| format!(", {}", again.text()));
    let name = format!("Region {}: {}{again}", index + 1, region.line());
    row.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &name));
    if row.clicked() {
        actions.push(View::Region((!on).then_some(index)).into());
    }
    meaning_ui(ui, row, &region.line());
    let numbers = format!(
        "{}, {} HU on average, {}{again}",
        volume_text(region.volume_ml),
        signed(region.mean_hu, 0),
        region.slices_text()
    );
    ui.label(RichText::new(numbers).small().color(theme::colors(ui).weak));
}

/// What came again in repetitions, and a way to see where they agree.
fn stability_ui(ui: &mut Ui, stability: Option<&Stability>, repeats: bool, viewer: &Viewer, actions: &mut Vec<Action>) {
    let Some(stability) = stability else {
        if repeats {
            let text = "In how many repeats each comes again will stand here.";
            ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
        }
        return;
    };
    let made = if stability.runs < stability.asked {
        format!("Repeated {} of {} times: it was stopped.", stability.runs, stability.asked)
    } else {
        format!("Repeated from {} perturbed starts.", stability.runs)
    };
    ui.label(RichText::new(made).small().color(theme::colors(ui).weak));
    let mut shown = viewer.display.laid == Laid::Agreement;
    let help = "The share of repeats that change each place the same way, over the pictures";
    if ui.checkbox(&mut shown, "Show where runs agree").on_hover_text(help).changed() {
        let laid = if shown { Laid::Agreement } else { Laid::Change };
        actions.push(View::Change(Change::Laid(laid)).into());
    }
}
