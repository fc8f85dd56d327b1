//! Where the scan changed, as a list: a click takes all planes there and draws the region's outline.

use eframe::egui::{RichText, Role, Ui, WidgetInfo};

use crate::quality::regions::{Region, Regions, volume_text};
use crate::quality::words::signed;
use crate::session::action::{Action, View};
use crate::ui::theme;
use crate::ui::widgets::meaning_ui;

/// Rows that are shown; `result.json` and the tables have more.
const MOST_ROWS: usize = 12;

pub(super) fn regions_ui(ui: &mut Ui, regions: &Regions, chosen: Option<usize>, actions: &mut Vec<Action>) {
    let small = |text: String| RichText::new(text).small().color(theme::colors(ui).weak);
    let above = format!("What changed by more than {:.0} HU, the weightiest first.", regions.threshold_hu);
    ui.label(small(above));
    for (index, region) in regions.list.iter().take(MOST_ROWS).enumerate() {
        row_ui(ui, index, region, chosen == Some(index), actions);
    }
    let more = regions.list.len().saturating_sub(MOST_ROWS) + regions.smaller.count;
    let text = match (regions.list.len(), more) {
        (0, 0) => "Nothing changed so much.".to_owned(),
        (_, 0) => return,
        (_, more) => format!("and {more} smaller"),
    };
    ui.label(RichText::new(text).small().color(theme::colors(ui).weak));
}

/// Place, volume and mean change; the rest stands in its meaning.
fn row_ui(ui: &mut Ui, index: usize, region: &Region, on: bool, actions: &mut Vec<Action>) {
    let text = format!("{}  {}", index + 1, region.place.words);
    let row = ui.selectable_label(on, text);
    row.widget_info(|| {
        WidgetInfo::selected(Role::Button, true, on, format!("Region {}: {}", index + 1, region.line()))
    });
    if row.clicked() {
        actions.push(View::Region((!on).then_some(index)).into());
    }
    meaning_ui(ui, row, &region.line());
    let numbers = format!(
        "{}, {} HU on average, {}",
        volume_text(region.volume_ml),
        signed(region.mean_hu, 0),
        region.slices_text()
    );
    ui.label(RichText::new(numbers).small().color(theme::colors(ui).weak));
}
