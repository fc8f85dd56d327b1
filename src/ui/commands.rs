//! All that can be done without a pointer, by name and by key: one list for the keys and for the palette.

use egui::{Key, Modifiers};

use super::key_names::{key_of, text};
use crate::frame::Plane;
use crate::frame::display::{Change, Changes, ENDS, Laid, Layout, MAPS, Shown};
use crate::latent_shift::saliency::Method;
use crate::session::Session;
use crate::session::action::{Action, Export, Insert, Measure, Run, Setting, Sheet, Study, View, Wanted, Which};
use crate::session::shown::told;
use crate::settings::OwnKeys;
use crate::study::{Pane, Reading};

const NUMBERS: [Key; 9] =
    [Key::Num1, Key::Num2, Key::Num3, Key::Num4, Key::Num5, Key::Num6, Key::Num7, Key::Num8, Key::Num9];
const COMMAND_SHIFT: Modifiers = Modifiers { ctrl: false, command: true, shift: true, alt: false, mac_cmd: false };

/// One thing that can be done now.
pub(super) struct Command {
    pub(super) name: String,
    /// None where only the palette has it.
    pub(super) key: Option<(Modifiers, Key)>,
    pub(super) action: Action,
    /// Whether the key counts while someone types.
    pub(super) everywhere: bool,
}

impl Command {
    fn new(name: impl Into<String>, key: impl Into<Option<(Modifiers, Key)>>, action: impl Into<Action>) -> Self {
        Self { name: name.into(), key: key.into(), action: action.into(), everywhere: false }
    }

    fn everywhere(self) -> Self {
        Self { everywhere: true, ..self }
    }

    /// "Ctrl + Shift + O"; nothing without a key.
    pub(super) fn key_text(&self) -> String {
        self.key.map_or_else(String::new, |key| text(key).replace('+', " + "))
    }
}

fn plain(key: Key) -> (Modifiers, Key) {
    (Modifiers::NONE, key)
}

fn shift(key: Key) -> (Modifiers, Key) {
    (Modifiers::SHIFT, key)
}

fn command(key: Key) -> (Modifiers, Key) {
    (Modifiers::COMMAND, key)
}

/// What can be done now. Keys with more modifiers come first: egui lets a shorter one match a longer one too.
pub(super) fn commands(session: &Session) -> Vec<Command> {
    let model = &session.model;
    if let Some(reading) = &session.study.reading {
        return of_reading(session, reading);
    }
    let mut all = of_files(session);
    if let Some(scan) = model.scan.ready() {
        all.extend(of_pictures());
        all.extend(of_presets(session));
        all.extend(of_hangings(session));
        all.push(Command::new("Window: the scan's own", plain(Key::Num0), View::Window(scan.window)));
        let patient = Setting::PatientShown(!model.settings.patient_shown);
        all.push(Command::new("The patient above the pictures, or not", None, patient));
        all.extend(of_measurements(session));
        all.extend(of_history(session));
    }
    if told(model, &session.view).result().is_some() {
        all.extend(of_result(session)); // none of it moves what lies behind a run's pictures so far
    }
    all.extend(of_window());
    take_keys(&mut all, &model.settings.keys);
    all.sort_by_key(|command| std::cmp::Reverse(command.key.map_or(0, |(held, _)| held_keys(held))));
    all
}

/// Gives commands the keys that the person chose. A usual key that is another command's now is lost.
fn take_keys(commands: &mut [Command], own: &OwnKeys) {
    let given: Vec<_> = own.0.values().filter_map(|text| key_of(text)).collect();
    for command in commands {
        command.key = match own.0.get(&command.name) {
            Some(text) if text.is_empty() => None,
            Some(text) => key_of(text).or(command.key),
            None => command.key.filter(|key| !given.contains(key)),
        };
    }
}

fn held_keys(held: Modifiers) -> usize {
    [held.command, held.shift, held.alt].into_iter().filter(|is| *is).count()
}

fn of_files(session: &Session) -> Vec<Command> {
    let model = &session.model;
    let mut all = vec![
        Command::new("Open a folder…", (COMMAND_SHIFT, Key::O), View::Ask(Wanted::ScanFolder)).everywhere(),
        Command::new("Open a file…", command(Key::O), View::Ask(Wanted::ScanFile)).everywhere(),
        Command::new("Published models…", None, View::Sheet(Sheet::Published)),
        Command::new("Reader study…", None, View::Sheet(Sheet::Study)),
        Command::new("Open from PACS…", None, View::Sheet(Sheet::Archive)),
        Command::new("Show the demo", None, Run::Demo),
    ];
    if model.scan.ready().is_some() {
        all.push(Command::new("Save the session…", command(Key::S), View::Ask(Wanted::Session)).everywhere());
        all.push(Command::new("Load a mask…", None, View::Ask(Wanted::Mask)));
        all.push(Command::new("Insert a finding…", None, Run::Insert(Insert::Show)));
        all.push(Command::new("Save the picture…", None, View::Ask(Wanted::Picture)));
        all.push(Command::new("Copy the picture", (COMMAND_SHIFT, Key::C), Export::CopyPicture).everywhere());
    }
    if model.inserted().is_some() && model.run.running().is_none() {
        all.push(Command::new("Back to the scan without the finding", None, Run::Insert(Insert::Remove)));
    }
    if session.cohort.root().is_some() {
        all.push(Command::new("Table of cases…", None, View::Sheet(Sheet::Cohort)));
    }
    if model.run.ready().is_some() {
        all.push(Command::new("Send results…", None, View::Sheet(Sheet::Send)));
        all.push(Command::new("Export…", command(Key::E), View::Sheet(Sheet::Export)).everywhere());
    }
    if model.missing().is_none() && model.run.running().is_none() {
        all.push(Command::new("Compute the counterfactual", command(Key::Enter), Run::Explain).everywhere());
    }
    if model.repeating.repeated.running().is_some() {
        all.push(Command::new("Stop repeating", None, Run::StopRepeating));
    }
    if model.run.running().is_some() {
        if model.run.ready().is_some() {
            let older = View::Older(!session.view.older);
            all.push(Command::new("The result before, or what the run has drawn so far", None, older));
        }
        all.push(Command::new("Cancel the run", plain(Key::Escape), Run::Cancel));
    } else if model.inserting.drawn.running().is_some() {
        all.push(Command::new("Cancel drawing the finding", plain(Key::Escape), Run::Insert(Insert::Cancel)));
    } else if model.opening().is_some() {
        all.push(Command::new("Cancel opening", plain(Key::Escape), Run::CancelOpening));
    }
    all
}

fn of_pictures() -> Vec<Command> {
    let slice = |name, key, by| Command::new(name, plain(key), View::Scroll(by));
    let change = |name, key, change| Command::new(name, plain(key), View::Change(change));
    let mut all = vec![
        Command::new("Axial plane", plain(Key::A), View::Plane(Plane::Axial)),
        Command::new("Coronal plane", plain(Key::C), View::Plane(Plane::Coronal)),
        Command::new("Sagittal plane", plain(Key::S), View::Plane(Plane::Sagittal)),
        Command::new("The whole slice", plain(Key::F), View::Fit),
        Command::new("Everything as at first", plain(Key::R), View::Reset),
        slice("Next slice", Key::ArrowUp, 1),
        slice("Slice before", Key::ArrowDown, -1),
        slice("Ten slices on", Key::PageUp, 10),
        slice("Ten slices back", Key::PageDown, -10),
        Command::new("Through the slices, or stop", shift(Key::Space), View::Cine),
        Command::new("First slice", plain(Key::Home), View::Slice(0)),
        Command::new("Last slice", plain(Key::End), View::Slice(usize::MAX)),
        change("Three planes, or one", Key::G, Change::Planes),
        change("The next volume in the one pane", Key::T, Change::NextVolume),
        change("Inverted", Key::I, Change::Inverted),
        change("Crosshair", Key::X, Change::Crosshair),
        change("Annotations", Key::O, Change::Annotated),
        change("Voxels as squares", Key::Q, Change::Sampling),
    ];
    all.push(Command::new("Lens under the pointer, or not", plain(Key::L), View::Lens));
    all.extend(MAPS.map(|(map, name)| Command::new(format!("Colours: {name}"), None, View::Change(Change::Map(map)))));
    all.extend(
        ENDS.map(|(ends, name)| Command::new(format!("Difference in: {name}"), None, View::Change(Change::Ends(ends)))),
    );
    all
}

fn of_presets(session: &Session) -> impl Iterator<Item = Command> {
    session.model.settings.presets.0.iter().enumerate().map(|(i, preset)| {
        let key = NUMBERS.get(i).map(|key| plain(*key));
        Command::new(format!("Window: {}", preset.name), key, View::Window(preset.window))
    })
}

fn of_hangings(session: &Session) -> impl Iterator<Item = Command> {
    let hangings = session.model.settings.hangings.0.iter().enumerate();
    hangings.map(|(at, hanging)| Command::new(format!("Hanging: {}", hanging.name), None, View::Hang(at)))
}

/// What a reader of a study can do: look around, ask for the difference, go on.
fn of_reading(session: &Session, reading: &Reading) -> Vec<Command> {
    let mut all = vec![
        Command::new("All commands…", command(Key::K), View::Sheet(Sheet::Palette)).everywhere(),
        Command::new("Leave the study", None, Run::Study(Study::Leave)),
    ];
    if reading.is_shown() {
        if reading.missing().is_none() {
            all.push(Command::new("Next case", None, Run::Study(Study::Next)));
        }
        all.push(Command::new("The difference, or not", plain(Key::D), Run::Study(Study::Turn(Pane::Difference))));
        let changes = [Change::Planes, Change::NextVolume, Change::Crosshair].map(|change| View::Change(change).into());
        let left_out = [View::Cine.into(), View::Lens.into()];
        let looks = |command: &Command| !changes.contains(&command.action) && !left_out.contains(&command.action);
        all.extend(of_pictures().into_iter().filter(looks));
        all.extend(of_presets(session));
    }
    all
}

fn of_measurements(session: &Session) -> Vec<Command> {
    let measurements = &session.view.measurements;
    let mut all = vec![Command::new("The next tool to measure", plain(Key::M), Measure::NextTool)];
    if measurements.selected.is_some() {
        all.push(Command::new("Delete the selected measurement", plain(Key::Delete), Measure::Delete));
    }
    if measurements.draft.is_some() {
        all.push(Command::new("Leave off drawing", plain(Key::Escape), Measure::Draft(None)));
    }
    all
}

fn of_history(session: &Session) -> Vec<Command> {
    let history = &session.view.history;
    let back = Command::new("Undo: the view before the last change", command(Key::Z), View::Undo);
    let forth = Command::new("Redo: the view before the last step back", (COMMAND_SHIFT, Key::Z), View::Redo);
    let all = [(history.can_go_back(), back), (history.can_go_forth(), forth)];
    all.into_iter().filter_map(|(can, command)| can.then_some(command)).collect()
}

fn of_result(session: &Session) -> Vec<Command> {
    let Some(run) = session.model.run.ready() else { return Vec::new() };
    let change = |name, key, change| Command::new(name, plain(key), View::Change(change));
    let layout = |name, layout| {
        let display = crate::frame::display::Display { layout, swipe: None, ..session.view.display };
        Command::new(name, None, View::Display(display))
    };
    let chosen = run.result().chosen as f32;
    let zero = run.step_at(0.0).round();
    let mut all = vec![
        Command::new("Where it changed most", plain(Key::J), View::MostChanged),
        Command::new("The next changed slice down", shift(Key::N), View::NextPeak(-1)),
        Command::new("The next changed slice up", plain(Key::N), View::NextPeak(1)),
        Command::new("Lambda of the counterfactual", shift(Key::ArrowLeft), View::Step(chosen)),
        Command::new("Lambda 0", shift(Key::ArrowRight), View::Step(zero)),
        Command::new("One step of lambda back", plain(Key::ArrowLeft), View::WheelLambda(-1.0)),
        Command::new("One step of lambda on", plain(Key::ArrowRight), View::WheelLambda(1.0)),
        change("Swipe", Key::W, Change::Swipe),
        change("Detail kept", Key::K, Change::DetailKept),
        change("Difference on the counterfactual", Key::D, Change::Overlay),
        change("Largest difference through the patient", Key::V, Change::Projection),
        change("The next heatmap", Key::H, Change::NextHeatmap),
        change("Overlay: less opaque", Key::OpenBracket, Change::Opacity(-0.1)),
        change("Overlay: more opaque", Key::CloseBracket, Change::Opacity(0.1)),
        change("Threshold of the difference: lower", Key::Comma, Change::Threshold(-10.0)),
        change("Threshold of the difference: higher", Key::Period, Change::Threshold(10.0)),
        Command::new("Scores as logits, or as probabilities", None, View::Change(Change::Logits)),
        layout("Layout: three panes", Layout::Three),
        layout("Layout: two by two", Layout::Rows),
        layout("Layout: three planes of one volume", Layout::Mpr(Shown::Counterfactual)),
        layout("Layout: one pane", Layout::Single(Shown::Counterfactual)),
    ];
    if run.result().steps.len() > 1 {
        all.push(Command::new("Play along lambda, or stop", plain(Key::Space), View::TogglePlay));
    }
    if run.agreement.is_some() {
        let laid = if session.view.display.laid == Laid::Agreement { Laid::Change } else { Laid::Agreement };
        all.push(Command::new("Where runs agree, or the change", None, View::Change(Change::Laid(laid))));
    }
    for laid in [Laid::Change].into_iter().chain(Method::ALL.map(Laid::By)) {
        let name = format!("Method shown: {}", laid.title().to_lowercase());
        all.push(Command::new(name, None, View::Change(Change::Laid(laid))));
    }
    if session.view.display.changes != Changes::Slice {
        let display = crate::frame::display::Display { changes: Changes::Slice, ..session.view.display };
        all.push(Command::new("The difference of the slice", None, View::Display(display)));
    }
    if session.model.aside.is_some() {
        all.push(Command::new("Show the other result", None, Run::SwapResults));
        all.push(Command::new("Compare with the other result", None, Run::CompareOther));
    }
    if session.model.beside.ready().is_some() {
        all.push(Command::new("Stop comparing", plain(Key::Escape), Run::StopComparing));
    }
    all
}

fn of_window() -> Vec<Command> {
    vec![
        Command::new("All commands…", command(Key::K), View::Sheet(Sheet::Palette)).everywhere(),
        Command::new("Window presets…", None, View::Sheet(Sheet::Presets)),
        Command::new("Change the keys…", None, View::Sheet(Sheet::OwnKeys)),
        Command::new("Hangings: keep or change…", None, View::Sheet(Sheet::Hangings)),
        Command::new("The panel of steps, or not", plain(Key::F9), View::Side(Which::Steps)).everywhere(),
        Command::new("The panel of the result, or not", plain(Key::F10), View::Side(Which::Result)).everywhere(),
        Command::new("Keys and mouse", plain(Key::F1), View::Sheet(Sheet::Keys)).everywhere(),
        Command::new("Keys and mouse", shift(Key::Questionmark), View::Sheet(Sheet::Keys)),
        Command::new("Keys and mouse", plain(Key::Questionmark), View::Sheet(Sheet::Keys)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_that_was_given_away_is_lost_and_one_that_cannot_be_read_changes_nothing() {
        let command = |name: &str, key| Command {
            name: name.to_owned(),
            key: Some((Modifiers::NONE, key)),
            action: View::Fit.into(),
            everywhere: false,
        };
        let mut all = [command("Fit", Key::F), command("Lens", Key::L), command("Reset", Key::R)];
        let own = OwnKeys::default().with("Lens", "F").with("Reset", "no key");
        take_keys(&mut all, &own);
        let keys = all.map(|command| command.key.map(|(_, key)| key));
        assert_eq!(keys, [None, Some(Key::F), Some(Key::R)]);
    }
}
