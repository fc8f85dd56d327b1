//! Changed regions as a DICOM segmentation, read back: one segment each, and no voxel in two.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use dicom_dictionary_std::tags;
use parallax::export::report::report;
use parallax::export::{self, Kind, Style, Subject};
use parallax::job::Monitor;
use parallax::latent_shift::Options;
use parallax::pipeline::{self, Request, Target};
use parallax::quality::regions::{Change, Region, Regions, SMALLER_BRIGHTER, SMALLER_DARKER, regions};
use parallax::volume::Grid;

use crate::exports::dicom_export::{groups, items, object, oblique, said, slices};
use crate::support;
use crate::tiny_models::TinyModels;

/// A run on an oblique series with tiny networks, written as DICOM into their folder: the segmentation's file, the grid of the scan,
/// and the regions with what they are on that grid.
pub(crate) fn written(models: &TinyModels) -> (PathBuf, Grid, Regions, Vec<u8>) {
    let monitor = Monitor::default();
    let series = oblique(models.folder.path());
    let classifier = pipeline::load_classifier(&models.card("classifier"), &monitor).expect("a classifier");
    let request = Request {
        autoencoder: pipeline::load_autoencoder(&models.card("autoencoder"), &monitor).expect("an autoencoder"),
        target: Target::Classes { classifier, terms: vec![(2, 1.0)], offset: 0.0 },
        slab: None,
        options: Options { range: Some([-50.0, 0.0]), steps: 2, ..Options::default() },
    };
    let input = pipeline::open(&series, request.recipe().expect("a recipe"), &monitor).expect("a series");
    let run = pipeline::Run::of(&Arc::new(input), &request, &monitor).expect("a result");
    let grid = run.input.display_volume().grid;
    let found = regions(&Change::of(&run.result, &grid), 10.0, None, &monitor).expect("not cancelled");
    let labels = found.labels_on(&grid, &monitor).expect("not cancelled");
    let report = report(&run, found.clone());
    let names = export::names(&[Kind::Dicom]);
    let mut set = export::write::Set::open(models.folder.path(), names, |_| false).expect("a folder");
    let subject = Subject::new(&run, &report, Style::default());
    export::files(&subject, &[Kind::Dicom], &monitor, &mut |file| set.put(&file)).expect("files");
    set.finish().expect("written");
    (models.folder.path().join("dicom/change.dcm"), grid, found, labels)
}

#[test]
fn each_changed_region_is_a_segment_that_holds_its_voxels_alone() {
    let models = TinyModels::new();
    let (path, grid, found, labels) = written(&models);
    let wanted = values(&found, &labels);
    let words: Vec<String> = found.list.iter().map(Region::line).collect();
    assert!(!words.is_empty() && labels.iter().any(|label| (1..SMALLER_DARKER).contains(label)), "{:?}", found.smaller);
    let object = object(&path);

    let segments = items(&object, tags::SEGMENT_SEQUENCE);
    assert_eq!(segments.len(), wanted.len());
    for (segment, words) in segments.iter().zip(&words) {
        assert!(said(segment, tags::SEGMENT_DESCRIPTION).starts_with(words), "{words}");
        let label = said(segment, tags::SEGMENT_LABEL);
        assert!(label.starts_with("SYNTHETIC region") && label.len() <= 64, "{label}");
    }
    let pixels = grid.shape[0] * grid.shape[1];
    let bytes = object.element(tags::PIXEL_DATA).expect("pixels").to_bytes().expect("bytes").into_owned();
    let bit = |at: usize| bytes[at / 8] >> (at % 8) & 1 == 1;
    let (frames, slices) = (groups(&object).0, slices(&object, &grid));
    let mut held = vec![0; grid.len()];
    for (at, frame) in frames.iter().enumerate() {
        let of = said(&items(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)[0], tags::REFERENCED_SEGMENT_NUMBER);
        let value = wanted[of.parse::<usize>().expect("a number") - 1];
        for pixel in (0..pixels).filter(|pixel| bit(at * pixels + pixel)) {
            let voxel = &mut held[slices[at] * pixels + pixel];
            assert_eq!(*voxel, 0, "in two segments");
            *voxel = value;
        }
    }
    assert_eq!(held, labels);
}

/// Which region each segment of a file holds, by its number less one.
fn values(found: &Regions, labels: &[u8]) -> Vec<u8> {
    let smaller = [SMALLER_DARKER, SMALLER_BRIGHTER].into_iter().filter(|value| labels.contains(value));
    (1..=found.list.len() as u8).chain(smaller).collect()
}

/// A picture of 8-bit grey as DCMTK writes it: columns, rows, and the pixels.
fn pgm(path: &std::path::Path) -> ([usize; 2], Vec<u8>) {
    let bytes = std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let lines: Vec<&[u8]> = bytes.splitn(4, |byte| *byte == b'\n').collect();
    let [b"P5", size, b"255", pixels] = lines.as_slice() else { panic!("{} is no PGM", path.display()) };
    let size = std::str::from_utf8(size).expect("a size").split(' ');
    let size: Vec<usize> = size.map(|side| side.parse().expect("a side")).collect();
    ([size[0], size[1]], pixels.to_vec())
}

#[test]
fn another_reader_sees_the_same_regions_though_rows_end_within_a_byte() {
    let Some(reader) = support::dcmj2pnm() else { return };
    let models = TinyModels::new();
    let (path, grid, found, labels) = written(&models);
    assert!(!grid.shape[0].is_multiple_of(8), "this series has rows that end within a byte");
    let pictures = models.folder.path().join("frame");
    let ran = Command::new(reader).args(["+Fa", "+op"]).arg(&path).arg(&pictures).output().expect("it runs");
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    let (object, wanted) = (object(&path), values(&found, &labels));
    let (frames, slices) = (groups(&object).0, slices(&object, &grid));
    let pixels = grid.shape[0] * grid.shape[1];
    let mut held = vec![0; grid.len()];
    for (at, frame) in frames.iter().enumerate() {
        let of = said(&items(frame, tags::SEGMENT_IDENTIFICATION_SEQUENCE)[0], tags::REFERENCED_SEGMENT_NUMBER);
        let value = wanted[of.parse::<usize>().expect("a number") - 1];
        let (size, picture) = pgm(&pictures.with_added_extension(format!("{at}.pgm")));
        assert_eq!(size, [grid.shape[0], grid.shape[1]], "viewers want frames of the scan's own size");
        for (pixel, _) in picture.iter().enumerate().filter(|(_, grey)| **grey > 0) {
            held[slices[at] * pixels + pixel] = value;
        }
    }
    assert!(held == labels, "{} of {} voxels", held.iter().zip(&labels).filter(|(a, b)| a == b).count(), labels.len());
}
