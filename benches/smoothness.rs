//! What a person feels: how soon the window shows something, how long its thread is busy with a frame while lambda or slices are
//! scrubbed, what goes to the GPU meanwhile, whether an idle window draws, how soon a cancelled search answers, how long a large
//! scan takes to show, and how much memory opening it takes.
//!
//! `cargo bench --bench smoothness -- [startup] [demo] [large]` prints one JSON line per measurement: `startup` with an empty
//! window, from the search for a GPU to the first frame drawn; `demo` with the demo's scan; `large` with 512 x 512 x 600 voxels
//! from a `.nii.gz`. Frames are the real window's: its logic, its layout, the tree for screen readers and the tessellation;
//! drawing them, which a GPU does or a rasteriser in its stead, is not counted. `of_cpu` is what of a frame's milliseconds the thread
//! computed, on Linux: the rest it waited for a processor, as it does on a busy machine.

mod synthetic;

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use eframe::egui_wgpu::{RenderState, RendererOptions};
use egui::accesskit::Role;
use egui::{Key, ViewportId};
use egui_kittest::kittest::{NodeT, Queryable};
use egui_kittest::wgpu::{WgpuTestRenderer, create_render_state, default_wgpu_setup};
use egui_kittest::{Harness, Node};
use glam::DVec3;
use parallax::demo;
use parallax::export::nifti::nifti_bytes;
use parallax::gpu::SliceRenderer;
use parallax::job::Monitor;
use parallax::nn::threads;
use parallax::pipeline;
use parallax::preprocess::Recipe;
use parallax::ui::{Answer, App, Ask, Picker, Start};
use serde_json::json;

/// Of a window as it is at first.
const SIZE: [f32; 2] = [1440.0, 900.0];
const FRAMES: usize = 400;
/// So many frames are drawn, to see what they send to the GPU.
const DRAWN: usize = 8;
const LARGE: [usize; 3] = [512, 512, 600];
const LARGE_SPACING_MM: DVec3 = DVec3::new(0.7, 0.7, 0.6);
/// So many searches are cancelled, each this much later than the one before.
const CANCELLED: u32 = 12;
const CANCEL_EVERY: Duration = Duration::from_millis(470);
/// What this program is told, with a path, to measure the memory of opening it.
const MEMORY: &str = "memory-of-opening";
/// Longer than the demo's search takes on a small machine.
const PATIENCE: Duration = Duration::from_mins(10);

/// Nobody is asked for a file here.
struct NoDialog;

impl Picker for NoDialog {
    fn pick(&self, _: Ask, _: &eframe::Frame) -> Answer {
        Box::pin(async { None })
    }
}

/// The real window, and the GPU that it draws on.
struct Window {
    harness: Harness<'static, App>,
    state: RenderState,
}

impl Window {
    fn open(start: Start) -> Self {
        let state = create_render_state(default_wgpu_setup(), RendererOptions::PREDICTABLE);
        let renderer = WgpuTestRenderer::from_render_state(state.clone());
        let builder = Harness::builder().with_size(SIZE).renderer(renderer);
        let harness = builder.build_eframe(move |cc| App::new(cc, start, Box::new(NoDialog)));
        Self { harness, state }
    }

    fn says(&self, part: &str) -> bool {
        self.harness.root().children_recursive().any(|node| {
            let node = node.accesskit_node();
            [node.label(), node.value()].into_iter().flatten().any(|text| text.contains(part))
        })
    }

    fn until(&mut self, what: &str) -> Result<f64> {
        self.wait(what, |window| window.says(what))
    }

    /// Seconds until something is so.
    fn wait(&mut self, what: &str, so: impl Fn(&Self) -> bool) -> Result<f64> {
        let began = Instant::now();
        while !so(self) {
            ensure!(began.elapsed() < PATIENCE, "{what:?} did not come");
            std::thread::sleep(Duration::from_millis(5));
            self.harness.step();
        }
        let secs = began.elapsed().as_secs_f64();
        self.harness.run_steps(3); // words that come or go move what stands beside them
        Ok(secs)
    }

    fn compute(&self) -> Node<'_> {
        self.button().expect("the button that computes")
    }

    /// The button that computes, where no search goes on.
    fn button(&self) -> Option<Node<'_>> {
        let words = ["Compute counterfactual", "Compute it again"];
        words.into_iter().find_map(|words| self.harness.query_by_role_and_label(Role::Button, words))
    }

    /// Draws until all of the volumes are on the GPU.
    fn settle(&mut self) -> Result<()> {
        let began = Instant::now();
        loop {
            let before = self.uploaded_bytes();
            self.draw()?;
            self.harness.step();
            ensure!(began.elapsed() < PATIENCE, "the volumes do not come to rest");
            if self.uploaded_bytes() == before && before > 0 {
                return Ok(());
            }
        }
    }

    fn draw(&mut self) -> Result<()> {
        self.harness.render().map_err(anyhow::Error::msg).map(|_| ())
    }

    fn uploaded_bytes(&self) -> u64 {
        let renderer = self.state.renderer.read();
        renderer.callback_resources.get::<SliceRenderer>().map_or(0, SliceRenderer::uploaded_bytes)
    }

    /// Frames in which keys are pressed in turn, to and fro.
    fn scrub(&mut self, case: &str, what: &str, keys: [Key; 2]) -> Result<()> {
        let uploaded = self.uploaded_bytes();
        let (mut busy_ms, mut of_cpu_ms) = (Vec::new(), Vec::new());
        for frame in 0..FRAMES {
            let key = keys[frame / 9 % 2]; // a few steps each way: lambda has ten
            self.harness.key_press(key);
            // A press and a release: two frames.
            let (computed, began) = (computed_ms(), Instant::now());
            self.harness.step();
            let shapes = self.harness.output().shapes.clone();
            std::hint::black_box(self.harness.ctx.tessellate(shapes, self.harness.ctx.pixels_per_point()));
            busy_ms.push(began.elapsed().as_secs_f64() * 1e3);
            of_cpu_ms.extend(computed_ms().zip(computed).map(|(now, before)| now - before));
            self.harness.step();
            if frame % (FRAMES / DRAWN) == 0 {
                self.draw()?;
            }
        }
        let sent = self.uploaded_bytes() - uploaded;
        println!(
            "{}",
            json!({
                "case": case, "scrub": what, "frames": FRAMES, "uploaded_bytes": sent,
                "median_ms": at(&mut busy_ms, 0.5), "p99_ms": at(&mut busy_ms, 0.99),
                "of_cpu_median_ms": at(&mut of_cpu_ms, 0.5), "of_cpu_p99_ms": at(&mut of_cpu_ms, 0.99),
            })
        );
        Ok(())
    }

    /// Frames that a window asks for which nobody touches.
    fn idle(&mut self, case: &str) {
        for _ in 0..40 {
            self.harness.step();
        }
        let mut asked = 0;
        for _ in 0..100 {
            let delay = self.harness.output().viewport_output[&ViewportId::ROOT].repaint_delay;
            asked += usize::from(delay != Duration::MAX);
            self.harness.step();
        }
        println!("{}", json!({ "case": case, "idle_frames_asked_for": asked }));
    }

    /// Cancels searches, each after longer; what is left of the piece of work at hand counts with the answer.
    fn cancel(&mut self, case: &str) -> Result<()> {
        let mut answer_ms = Vec::new();
        for after in 1..=CANCELLED {
            self.compute().click();
            self.harness.run_steps(2);
            let began = Instant::now();
            self.wait("the search", |_| began.elapsed() > CANCEL_EVERY * after)?;
            let Some(button) = self.harness.query_by_label("Cancel") else { break };
            let pressed = Instant::now();
            button.click();
            self.harness.step();
            self.wait("the end of the search", |window| window.button().is_some())?;
            answer_ms.push(pressed.elapsed().as_millis());
        }
        println!("{}", json!({ "case": case, "cancelled_answers_after_ms": answer_ms }));
        Ok(())
    }

    fn scrub_all(&mut self, case: &str) -> Result<()> {
        self.settle()?;
        self.scrub(case, "lambda", [Key::ArrowRight, Key::ArrowLeft])?;
        self.scrub(case, "slice", [Key::ArrowUp, Key::ArrowDown])?;
        self.idle(case);
        Ok(())
    }
}

/// What a share of frames takes no more than; none where nothing was measured.
fn at(ms: &mut [f64], share: f64) -> Option<f64> {
    ms.sort_by(f64::total_cmp);
    let found = ms.get((ms.len().saturating_sub(1) as f64 * share).round() as usize)?;
    Some((found * 1e3).round() / 1e3)
}

/// The time that this thread has computed, milliseconds: proc(5), the first number of schedstat. None on other systems.
fn computed_ms() -> Option<f64> {
    std::thread::yield_now(); // brings the number up to date
    let said = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(said.split_whitespace().next()?.parse::<f64>().ok()? / 1e6)
}

fn startup() -> Result<()> {
    let began = Instant::now();
    Window::open(Start::default()).draw()?;
    let secs = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    println!("{}", json!({ "case": "startup", "seconds_until_the_first_frame": secs }));
    Ok(())
}

fn demo_scan() -> Result<()> {
    let began = Instant::now();
    let mut window = Window::open(Start { demo: true, ..Start::default() });
    window.until("Stopped because")?;
    window.draw()?;
    let secs = (began.elapsed().as_secs_f64() * 1e3).round() / 1e3;
    println!("{}", json!({ "case": "demo", "seconds_until_the_first_frame_with_its_result": secs }));
    window.wait("a button to press", |window| !window.compute().accesskit_node().is_disabled())?;
    window.scrub_all("demo")?;
    window.cancel("demo")
}

/// Opens a scan and prepares it, without a window: a texture in software would be counted too.
fn memory(path: &Path) -> Result<()> {
    let Some(before) = resident_bytes("VmRSS") else { return Ok(()) };
    std::fs::write("/proc/self/clear_refs", "5").context("the peak is not reset")?; // proc(5)
    let input = pipeline::open(path, &Recipe::default(), &Monitor::default())?;
    let peak = resident_bytes("VmHWM").context("no peak")?.saturating_sub(before);
    let whole = LARGE.iter().product::<usize>() * size_of::<i16>();
    let share = (peak as f64 / whole as f64 * 1e3).round() / 1e3;
    println!("{}", json!({ "case": "large", "opening_takes_bytes": peak, "of_its_16_bit_size": share }));
    drop(input);
    Ok(())
}

/// A line of /proc/self/status; none where there is no such file.
fn resident_bytes(line: &str) -> Option<usize> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let kilobytes = status.lines().find_map(|found| found.strip_prefix(line)?.strip_prefix(':'))?;
    Some(kilobytes.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()? * 1024)
}

fn large() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("large.nii.gz");
    std::fs::write(&path, nifti_bytes(&synthetic::scan(LARGE, LARGE_SPACING_MM), "drawn by a benchmark")?)?;
    // Another process: this one keeps what it has freed.
    let opened = Command::new(std::env::current_exe()?).arg(MEMORY).arg(&path).status()?;
    ensure!(opened.success(), "the memory of opening is not measured");
    let cards = demo::Cards::find()?;
    let mut window = Window::open(Start {
        scan: Some(path),
        autoencoder: Some(cards.autoencoder),
        classifier: Some(cards.classifier),
        target: Some("effusion".to_owned()),
        slab: Some(20..28),
        ..Start::default()
    });
    let first = window.wait("a slice", |window| window.harness.query_by_label("Preview pane").is_some())?;
    let rest = window.until("the networks see")?;
    let rounded = |secs: f64| (secs * 100.0).round() / 100.0;
    println!(
        "{}",
        json!({ "case": "large", "seconds_until_a_slice": rounded(first), "seconds_until_shown": rounded(first + rest) })
    );
    // The scan is prepared again once the networks have loaded, and until then the button does nothing.
    window.wait("a button to press", |window| !window.compute().accesskit_node().is_disabled())?;
    window.compute().click();
    window.harness.run_steps(2);
    window.until("Stopped because")?;
    window.scrub_all("large")
}

#[expect(unsafe_code, reason = "only the first line of a program can promise that there is no other thread")]
fn main() -> Result<()> {
    // SAFETY: nothing has run in this process yet.
    unsafe { threads::prepare_process() }; // this and the next as the program does
    threads::start(std::thread::available_parallelism()?.get())?;
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    if let [MEMORY, path] = words.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        return memory(Path::new(path));
    }
    for word in if words.is_empty() { ["startup", "demo", "large"].map(str::to_owned).to_vec() } else { words } {
        match word.as_str() {
            "startup" => startup(),
            "demo" => demo_scan(),
            "large" => large(),
            _ => Err(anyhow::anyhow!("there is no case {word:?}: startup, demo or large")),
        }
        .with_context(|| format!("the case {word}"))?;
    }
    Ok(())
}
