//! The questions of a case, each with what answers it.

use egui::{Button, Id, Key, Modifiers, RichText, Role, TextEdit, Ui, WidgetInfo};

use crate::session::action::{Action, Run, Study};
use crate::session::study::StudyPage;
use crate::session::view::measurements::Tool;
use crate::study::{Answer, AnswerKind, Pane, Question, Reading, STEPS};
use crate::ui::annotations::plane_name;
use crate::ui::measure::in_the_middle;
use crate::ui::theme;

/// All questions of the case that is shown, and the way to the next one.
pub(super) fn questions_ui(ui: &mut Ui, page: &StudyPage, reading: &Reading, actions: &mut Vec<Action>) {
    if reading.is_leaving() {
        ui.label(RichText::new("Writing the answers…").color(theme::colors(ui).weak));
        return;
    }
    // Here and not with the other keys: what is typed and not written down yet goes first.
    let goes_on = ui.input_mut(|input| input.consume_key(Modifiers::COMMAND, Key::Enter));
    let mut answers = Vec::new();
    let mut typed = Vec::new();
    for (at, question) in reading.study.questions.iter().enumerate() {
        ui.add_space(8.0);
        ui.label(RichText::new(&question.ask).color(theme::colors(ui).strong));
        if question.optional {
            ui.label(RichText::new("may be left out").small().color(theme::colors(ui).weak));
        }
        let answer = reading.answer_to(at);
        let new = match &question.kind {
            AnswerKind::FivePoint { low, high } => {
                let choices = STEPS.map(|step| (step.to_string(), Answer::Rating(step)));
                let new = choices_ui(ui, question, choices, answer);
                let ends = format!("1 {low}; {} {high}", STEPS.end());
                ui.label(RichText::new(ends).small().color(theme::colors(ui).weak));
                new
            }
            AnswerKind::YesNo => {
                let choices = [true, false].map(Answer::YesNo).map(|answer| (answer.text(), answer));
                choices_ui(ui, question, choices, answer)
            }
            AnswerKind::Text => {
                let (draft, is_left) = text_ui(ui, reading, at, answer);
                let [new, waiting] = if is_left { [draft, None] } else { [None, draft] };
                typed.extend(waiting.map(|answer| (at, answer)));
                new
            }
            AnswerKind::Region => {
                region_ui(ui, page, at, question, answer, actions);
                None
            }
        };
        answers.extend(new.map(|answer| (at, answer)));
    }
    let missing = reading.missing();
    if next_ui(ui, missing) || (goes_on && missing.is_none()) {
        answers.append(&mut typed);
        actions.extend(answers.into_iter().map(answered));
        actions.push(Run::Study(Study::Next).into());
    } else {
        actions.extend(answers.into_iter().map(answered));
    }
}

fn answered((at, answer): (usize, Answer)) -> Action {
    Run::Study(Study::Answer(at, answer)).into()
}

/// The way to the next case, and what bars it; gives whether it was taken.
fn next_ui(ui: &mut Ui, missing: Option<&Question>) -> bool {
    ui.add_space(14.0);
    let button = Button::new(RichText::new("Next case").strong()).fill(theme::colors(ui).accent_dim);
    let next = ui.add_enabled_ui(missing.is_none(), |ui| ui.add_sized([ui.available_width(), 30.0], button)).inner;
    let is_pressed = next.on_hover_text("Ctrl + Enter").clicked();
    // A line of its own in either case: nothing moves when it comes.
    let words = missing.map_or(String::new(), |question| format!("Still to answer: {}", question.ask));
    ui.label(RichText::new(words).small().color(theme::colors(ui).weak));
    is_pressed
}

/// A button for each answer; gives the one that was pressed.
fn choices_ui(
    ui: &mut Ui,
    question: &Question,
    choices: impl IntoIterator<Item = (String, Answer)>,
    chosen: Option<&Answer>,
) -> Option<Answer> {
    let mut pressed = None;
    ui.horizontal(|ui| {
        for (word, answer) in choices {
            let on = chosen == Some(&answer);
            let button = ui.selectable_label(on, format!("  {word}  "));
            let name = format!("{}: {word}", question.name);
            button.widget_info(|| WidgetInfo::selected(Role::RadioButton, true, on, &name));
            if button.clicked() {
                pressed = Some(answer);
            }
        }
    });
    pressed
}

/// A line to write into. Gives what stands there and is not written down yet, and whether the field was just left: then it is.
fn text_ui(ui: &mut Ui, reading: &Reading, at: usize, answer: Option<&Answer>) -> (Option<Answer>, bool) {
    let id = Id::unique(("study text", reading.answers_path(), reading.position()[0], at));
    let written = answer.map(Answer::text).unwrap_or_default();
    let mut draft: String = ui.data(|data| data.get_temp(id)).unwrap_or_else(|| written.clone());
    let field = TextEdit::singleline(&mut draft).id(id.with("field")).desired_width(f32::INFINITY);
    let field = ui.add(field.hint_text("Enter writes it down"));
    let (name, value) = (reading.study.questions[at].name.clone(), draft.clone());
    field.widget_info(|| WidgetInfo { label: Some(name.clone()), ..WidgetInfo::text_edit(true, &value, &value, "") });
    let is_new = !draft.trim().is_empty() && draft.trim() != written;
    let new = is_new.then(|| Answer::Text(draft.clone()));
    ui.data_mut(|data| data.insert_temp(id, draft));
    (new, field.lost_focus())
}

/// The way to draw a mark, and what was marked.
fn region_ui(
    ui: &mut Ui,
    page: &StudyPage,
    at: usize,
    question: &Question,
    answer: Option<&Answer>,
    actions: &mut Vec<Action>,
) {
    let on = page.marking == Some(at);
    let button = ui.selectable_label(on, "Mark on a picture");
    let name = format!("{}: mark on a picture", question.name);
    button.widget_info(|| WidgetInfo::selected(Role::Button, true, on, &name));
    if button.clicked() {
        actions.push(Run::Study(Study::Marking((!on).then_some(at))).into());
    }
    if on {
        ui.label(RichText::new("Drag a box around it").small().color(theme::colors(ui).accent));
        let help = "20 mm of the original, where the planes cross; for the keyboard";
        let is_pressed = ui.button("Mark the middle").on_hover_text(help).clicked();
        if let Some((scan, _)) = page.case().filter(|_| is_pressed) {
            let drawn = in_the_middle(Tool::Region, &page.viewer, &scan.layers.scan.grid);
            actions.push(Run::Study(Study::Drawn(Pane::Original, drawn)).into());
        }
    }
    if let Some(Answer::Region(mark)) = answer {
        let plane = plane_name(mark.plane).to_lowercase();
        ui.label(RichText::new(format!("Marked on the {}, {plane}", mark.pane.name())).small());
    }
}
