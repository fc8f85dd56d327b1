//! Masks beside a scan: read, placed or refused, measured by hand, by actions, in the window, and by the binary.

use std::path::{Path, PathBuf};

use egui::accesskit::Role;
use egui_kittest::kittest::Queryable;
use glam::{DAffine3, DVec3};
use parallax::audit::Against;
use parallax::export::nifti::nifti_bytes;
use parallax::frame::display::{Change, Laid};
use parallax::io::{self, Mask};
use parallax::job::Monitor;
use parallax::latent_shift::saliency::Method;
use parallax::pipeline;
use parallax::session::action::{Run, View};
use parallax::volume::{Grid, Volume, Voxels};

use crate::exports::dicom_regions;
use crate::support;
use crate::tiny_models::TinyModels;
use crate::window::driven::{explained, press, says, type_path};
use crate::window::without_window::{explain, ready, until};

fn grid(shape: [usize; 3], spacing_mm: f64, corner: DVec3) -> Grid {
    let world_from_voxel = DAffine3::from_scale(DVec3::splat(spacing_mm));
    Grid { shape, world_from_voxel: DAffine3::from_translation(corner) * world_from_voxel }
}

/// A file whose voxels are 1 where `marks` says so.
fn written(folder: &Path, name: &str, grid: Grid, marks: impl Fn([usize; 3]) -> bool) -> PathBuf {
    let [ni, nj, _] = grid.shape;
    let marked = |at: usize| i16::from(marks([at % ni, at / ni % nj, at / (ni * nj)]));
    let voxels: Vec<i16> = (0..grid.len()).map(marked).collect();
    let path = folder.join(name);
    let volume = Volume::new(grid, Voxels::I16(voxels.into()));
    std::fs::write(&path, nifti_bytes(&volume, "a mask").expect("bytes")).expect("written");
    path
}

fn opened(path: &Path, of: &Grid) -> Result<Mask, String> {
    Mask::open(path, of, &Monitor::default()).map_err(|error| error.to_string())
}

#[test]
fn numbers_against_a_mask_are_those_that_are_counted_by_hand() {
    // The three largest are the first three; the mask holds two of them and one that is 0.
    let map = [5.0, 4.0, 3.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0];
    let mask = [true, false, true, false, true, false, false, false, false, false];
    let Against { dice, iou, energy_inside, chance } = Against::of(&map, &mask);
    let near = |a: f64, b: f64| (a - b).abs() < 1e-12;
    assert!(near(dice, 2.0 / 3.0), "{dice}: two of three");
    assert!(near(iou, 2.0 / 4.0), "{iou}: two of four in either");
    assert!(near(energy_inside, 8.0 / 13.0), "{energy_inside}");
    assert!(near(chance, 0.3), "{chance}");
    let nothing = Against::of(&[0.0; 10], &mask);
    assert!(near(nothing.dice, 0.3) && nothing.energy_inside == 0.0, "a map of nothing is chance: {nothing:?}");
}

#[test]
fn a_mask_on_the_scans_own_grid_is_taken_voxel_by_voxel() {
    let folder = tempfile::tempdir().expect("a folder");
    let grid = grid([6, 5, 4], 2.0, DVec3::new(-3.0, 7.0, 1.0));
    let marks = |[i, j, k]: [usize; 3]| i == 2 && j > 2 && k < 3;
    let mask = opened(&written(folder.path(), "mask.nii.gz", grid, marks), &grid).expect("a mask");
    assert_eq!((mask.marked(), mask.notes.len()), (6, 0));
    assert!((mask.volume_ml() - 6.0 * 8.0 / 1000.0).abs() < 1e-12);
    let on = mask.on(&grid, &Monitor::default()).expect("not cancelled");
    assert_eq!(on, mask.inside);
    assert!(on.iter().enumerate().all(|(at, on)| *on == marks([at % 6, at / 6 % 5, at / 30])));
    // Two columns of voxels, a square of 1 x 2 in each of three slices: four sides in two axial slices, none in the last.
    let length = |place: DVec3| -> f64 { mask.outline(2, place).iter().map(|[a, b]| a.distance(*b)).sum() };
    assert!((length(grid.world_from_voxel.transform_point3(DVec3::new(0.0, 0.0, 1.0))) - 12.0).abs() < 1e-9);
    assert_eq!(length(grid.world_from_voxel.transform_point3(DVec3::new(0.0, 0.0, 3.0))), 0.0);
}

#[test]
fn a_mask_on_another_grid_is_placed_by_the_voxels_that_it_lies_in_and_that_is_said() {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = grid([8, 8, 8], 1.0, DVec3::ZERO);
    // Voxels of 2 mm whose corners are those of the scan's: each holds eight of the scan's.
    let coarse = grid([4, 4, 4], 2.0, DVec3::splat(0.5));
    let path = written(folder.path(), "coarse.nii.gz", coarse, |[i, j, k]| i == 1 && j == 2 && k == 3);
    let mask = opened(&path, &scan).expect("a mask");
    assert!(mask.notes.len() == 1 && mask.notes[0].text.contains("another grid"), "{:?}", mask.notes);
    let on = mask.on(&scan, &Monitor::default()).expect("not cancelled");
    for (at, on) in on.iter().enumerate() {
        let [i, j, k] = [at % 8, at / 8 % 8, at / 64];
        assert_eq!(*on, (2..4).contains(&i) && (4..6).contains(&j) && k >= 6, "{i} {j} {k}");
    }
    let shifted = grid([4, 4, 4], 2.0, DVec3::new(0.5, 0.5, 4.5));
    let path = written(folder.path(), "cut.nii.gz", shifted, |[i, j, _]| i == 1 && j == 2);
    let said = &opened(&path, &scan).expect("a mask").notes[0].text;
    assert!(said.contains("2 marked voxels lie beside the scan"), "{said}");
}

#[test]
fn a_mask_that_cannot_be_held_against_the_scan_is_refused_in_words() {
    let folder = tempfile::tempdir().expect("a folder");
    let scan = grid([8, 8, 8], 1.0, DVec3::ZERO);
    let empty = written(folder.path(), "empty.nii.gz", scan, |_| false);
    assert!(opened(&empty, &scan).expect_err("nothing").contains("no voxel is marked"));
    let away = written(folder.path(), "away.nii.gz", grid([8, 8, 8], 1.0, DVec3::splat(900.0)), |_| true);
    let said = opened(&away, &scan).expect_err("beside");
    assert!(said.contains("all lie beside the scan") && said.contains("away.nii.gz"), "{said}");
    let text = folder.path().join("text.nii");
    std::fs::write(&text, "no volume").expect("written");
    assert!(opened(&text, &scan).expect_err("no volume").contains("not a scan"));
    assert!(opened(&folder.path().join("none.nii"), &scan).is_err());
}

/// A segmentation as Parallax writes it of an oblique series: the file, the scan's grid, and which of its voxels changed.
fn segmentation(models: &TinyModels) -> (PathBuf, Grid, Vec<bool>) {
    let (path, grid, _, labels) = dicom_regions::written(models);
    (path, grid, labels.iter().map(|label| *label > 0).collect())
}

#[test]
fn a_segmentation_comes_back_voxel_by_voxel_and_damaged_ones_are_errors() {
    let models = TinyModels::new();
    let (path, grid, wanted) = segmentation(&models);
    let mask = opened(&path, &grid).expect("a mask");
    assert_eq!(mask.format, "DICOM segmentation");
    let placed = mask.notes.iter().any(|note| note.text.contains("another grid"));
    assert!(!placed, "it has the scan's own voxels: {:?}", mask.notes);
    assert_eq!(mask.on(&grid, &Monitor::default()).expect("not cancelled"), wanted);
    let whole = std::fs::read(&path).expect("a file");
    let damaged = models.folder.path().join("damaged.dcm");
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 40 + 1) {
        std::fs::write(&damaged, &whole[..at]).expect("written");
        refused += usize::from(opened(&damaged, &grid).is_err());
        let mut flipped = whole.clone();
        flipped[at] ^= 1 << (at % 8);
        std::fs::write(&damaged, flipped).expect("written");
        opened(&damaged, &grid).ok(); // an error, or a mask; never a panic
    }
    assert!(refused >= 39, "{refused} cuts were seen");
}

/// A box of the scan's voxels as a file.
fn box_of(models: &TinyModels, scan: &Path) -> PathBuf {
    let grid = io::open(scan, &Monitor::default()).expect("the scan").volume.grid;
    let inside = |at: usize, of: usize| at >= of / 4 && at < of / 2;
    let marks = |voxel: [usize; 3]| voxel.iter().zip(grid.shape).all(|(at, of)| inside(*at, of));
    written(models.folder.path(), "box.nii.gz", grid, marks)
}

#[test]
fn a_mask_measures_the_counterfactual_and_each_method_that_is_shown() {
    let models = TinyModels::new();
    let mut session = ready(&models);
    explain(&mut session);
    let run = session.model.run.ready().expect("a result").clone();
    let grid = run.scan.layers.scan.grid;
    let path = written(models.folder.path(), "ball.nii.gz", grid, |[i, j, k]| {
        (10..22).contains(&i) && (10..22).contains(&j) && (2..6).contains(&k)
    });
    session.apply(Run::LoadMask(path).into());
    until(&mut session, "the numbers", |session| session.model.masking.report().is_some());
    let report = session.model.masking.report().expect("numbers").clone();
    assert_eq!(report.methods.iter().map(|method| method.method).collect::<Vec<_>>(), ["counterfactual"]);
    let mask = session.model.masking.mask.ready().expect("a mask").mask.on(&run.result().grid, &Monitor::default());
    let change: Vec<f32> = run.result().difference_hu(run.result().chosen).voxels.iter().map(f32::abs).collect();
    assert_eq!(report.methods[0].against, Against::of(&change, &mask.expect("not cancelled")));
    session.apply(View::Change(Change::Laid(Laid::By(Method::Gradient))).into());
    until(&mut session, "the numbers of both", |session| {
        session.model.masking.report().is_some_and(|report| report.methods.len() == 2)
    });
    session.apply(Run::ForgetMask.into());
    session.tick(0.02);
    assert!(session.model.masking.report().is_none() && session.model.masking.mask.ready().is_none());
}

#[test]
fn a_mask_goes_with_its_scan_and_comes_with_the_one_that_it_was_given_with() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let start = parallax::session::Start {
        mask: Some(box_of(&models, &scan)),
        scan: Some(scan),
        ..parallax::session::Start::default()
    };
    let mut session = crate::window::without_window::session(start);
    until(&mut session, "the mask", |session| session.model.masking.mask.ready().is_some());
    session.apply(Run::Open(models.stack(8)).into());
    until(&mut session, "the other scan", |session| session.model.opening().is_none());
    assert!(session.model.masking.mask.ready().is_none(), "one patient's mask is not another's");
    session.apply(Run::LoadMask(models.card("classifier")).into());
    until(&mut session, "the refusal", |session| session.model.masking.mask.error().is_some());
}

#[test]
fn the_window_takes_a_mask_by_its_path_and_says_how_well_the_change_agrees() {
    let models = TinyModels::new();
    let mut window = explained(&models);
    let stack = pipeline::open(&models.stack(8), &parallax::preprocess::Recipe::default(), &Monitor::default());
    let grid = stack.expect("a stack").display_volume().grid;
    let path = written(models.folder.path(), "ball.nii.gz", grid, |[i, _, k]| i > 12 && k > 2);
    window.get_by_role_and_label(Role::TextInput, "Mask").focus();
    window.run_steps(3);
    type_path(&mut window, "Mask", &path);
    crate::window::driven::until(&mut window, "the numbers", |w| says(w, "Counterfactual: Dice 0."));
    assert!(says(&window, "of its energy inside"));
    press(&mut window, "Remove the mask");
    crate::window::driven::until(&mut window, "the end", |w| !says(w, "Counterfactual: Dice 0."));
}

#[test]
fn the_binary_says_how_well_each_method_agrees_with_a_mask_in_every_kind_of_file() {
    let models = TinyModels::new();
    let scan = support::data("nifti/syn_lps.nii.gz");
    let out = models.folder.path().join("out");
    let mut command = models.explain(&scan);
    command.args(["--target", "Fracture", "--range", "-20:0", "--steps", "2", "--export", "csv,html", "--json"]);
    command.args(["--methods", "gradient", "--mask"]).arg(box_of(&models, &scan)).arg("--out").arg(&out);
    let output = command.output().expect("it runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let schema = serde_json::from_str(include_str!("../../../assets/result.schema.json")).expect("JSON");
    let wrong = crate::schema::breaches(&schema, &report);
    assert!(wrong.is_empty(), "{wrong:?}");
    let methods = report["mask"]["methods"].as_array().expect("a list");
    let names: Vec<&str> = methods.iter().map(|method| method["method"].as_str().expect("a name")).collect();
    assert_eq!(names, ["counterfactual", "gradient"]);
    let mut table = csv::Reader::from_path(out.join("methods.csv")).expect("a table");
    let rows: Vec<csv::StringRecord> = table.records().map(|row| row.expect("a row")).collect();
    for (row, method) in rows.iter().zip(methods) {
        let [dice, iou] = [1, 2].map(|column| row[column].parse::<f64>().expect("a number"));
        assert_eq!((Some(dice), Some(iou)), (method["dice"].as_f64(), method["iou"].as_f64()), "{row:?}");
        assert!((iou - dice / (2.0 - dice)).abs() < 1e-12);
    }
    let grid = io::open(&scan, &Monitor::default()).expect("the scan").volume.grid;
    let map = io::open(&out.join("method_gradient.nii.gz"), &Monitor::default()).expect("a map").volume;
    let apart = (map.grid.world_from_voxel.translation - grid.world_from_voxel.translation).length();
    assert!(map.grid.shape == grid.shape && apart < 1e-3, "on the scan's grid: {:?}", map.grid);
    let page = std::fs::read_to_string(out.join("report.html")).expect("a page");
    assert!(page.contains("<h2>Against the mask</h2>") && page.contains("<th scope=\"row\">Gradient</th>"));
}

#[test]
fn a_mask_of_another_scan_is_refused_before_anything_is_computed() {
    let models = TinyModels::new();
    let away = written(models.folder.path(), "away.nii.gz", grid([4, 4, 4], 1.0, DVec3::splat(5000.0)), |_| true);
    let mut command = models.explain(&support::data("nifti/syn_lps.nii.gz"));
    let output = command.args(["--target", "Fracture", "--mask"]).arg(away).output().expect("it runs");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(3) && said.contains("all lie beside the scan"), "{said}");
    assert!(!said.contains("encoding"), "{said}");
}
