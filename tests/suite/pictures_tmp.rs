//! Temporary: pictures, by a script.
use crate::tiny_models::TinyModels;
use crate::window::{Window, says, start, until};
use eframe::egui;
use eframe::egui::accesskit::Role;
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use parallax::ui::{App, Start, SystemPicker};

fn at(start: Start, size: [f32; 2], scale: f32) -> Window {
    Harness::builder()
        .with_size(size)
        .with_pixels_per_point(scale)
        .wgpu()
        .build_eframe(move |cc| App::new(cc, start, Box::new(SystemPicker)))
}

#[test]
fn pics_script() {
    let Ok(script) = std::fs::read_to_string("/tmp/page_pics/script.txt") else { return };
    let models = TinyModels::new();
    let mut window: Option<Window> = None;
    for line in script.lines() {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        if word == "open" {
            let mut parts = rest.split(' ');
            let n: Vec<f32> = parts.by_ref().take(3).map(|n| n.parse().unwrap()).collect();
            let what = parts.next().unwrap_or("");
            let data = crate::support::data("nifti/syn_lps.nii.gz");
            let start = match what {
                "start" => Start::default(),
                "models" => Start { target: None, ..start(&models, data) },
                "scan" => Start { scan: Some(data), ..Start::default() },
                _ => start(&models, models.stack(8)),
            };
            window = Some(at(start, [n[0], n[1]], n[2]));
            continue;
        }
        let w = window.as_mut().unwrap();
        match word {
            "until" => until(w, rest, |w| says(w, rest)),
            "click" => {
                w.get_all_by_label(rest).next().unwrap().click();
                w.run_steps(3);
            }
            "type" => {
                let (field, text) = rest.split_once(' ').unwrap();
                w.get_by_role_and_label(Role::TextInput, field).focus();
                w.run_steps(2);
                w.get_by_role_and_label(Role::TextInput, field).type_text(text);
                w.run_steps(2);
            }
            "escape" => {
                w.key_press(egui::Key::Escape);
                w.run_steps(3);
            }
            "wait" => std::thread::sleep(std::time::Duration::from_millis(rest.parse().unwrap())),
            "shot" => {
                w.run_steps(3);
                w.render().expect("draws").save(format!("/tmp/page_pics/{rest}.png")).unwrap();
            }
            _ => {}
        }
    }
}
