//! What `--export` chooses, through the real binary: the files, what they say, and that other programs could read them.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use flate2::read::GzDecoder;
use parallax::export::{Kind, names};
use parallax::io;
use parallax::job::Monitor;

use crate::support;
use crate::tiny_models::{LABELS, TinyModels};

fn path(path: &Path) -> &str {
    path.to_str().expect("plain names")
}

/// A run of tiny networks on a NIfTI scan, slices 9 to 13 free, in three steps.
fn explain(models: &TinyModels, scan: &Path, more: &[&str]) -> Output {
    let few = ["--target", "Fracture", "--slab", "9:14", "--range", "-50:0", "--steps", "3"];
    models.explain(scan).args(few).args(more).output().expect("the binary runs")
}

fn succeeds(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn fails(output: &Output, code: i32, words: &str) {
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(words), "{said}");
}

fn scan() -> PathBuf {
    support::data("nifti/syn_lps.nii.gz")
}

/// Every file below a folder, as paths within it, sorted.
fn files(folder: &Path) -> Vec<String> {
    let (mut found, mut folders) = (Vec::new(), vec![folder.to_owned()]);
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).expect("a folder") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.push(path.strip_prefix(folder).expect("inside").to_str().expect("plain names").to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn what_is_chosen_is_written_and_nothing_else() {
    let models = TinyModels::new();
    for kind in Kind::ALL {
        let out = models.folder.path().join(kind.name());
        // Twice is as good as once.
        succeeds(&explain(&models, &scan(), &["--export", kind.name(), "--export", kind.name(), "--out", path(&out)]));
        let promised: BTreeSet<_> = names(&[kind]).collect();
        let written = files(&out);
        // Of a folder of slices the folder is promised.
        let is_in = |file: &str, name: &str| file == name || name.ends_with('/') && file.starts_with(name);
        let kept = |file: &String| promised.iter().copied().find(|name| is_in(file, name));
        let kept: Option<BTreeSet<_>> = written.iter().map(kept).collect();
        assert_eq!(kept, Some(promised.clone()), "{}: {written:?}", kind.name());
    }
}

#[test]
fn a_choice_that_cannot_be_is_refused_before_anything_is_computed() {
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    fails(&explain(&models, &scan(), &["--export", "jpeg", "--out", path(&out)]), 2, "'jpeg'");
    fails(&explain(&models, &scan(), &["--export", "png"]), 2, "--out");
    assert!(!out.exists(), "nothing is made");
    std::fs::create_dir(&out).expect("a folder");
    std::fs::write(out.join("panes.png"), "mine").expect("written");
    let refused = explain(&models, &scan(), &["--export", "nifti,png", "--out", path(&out)]);
    fails(&refused, 1, "the file exists");
    assert!(!String::from_utf8_lossy(&refused.stderr).contains("encoding"), "nothing is computed");
    assert_eq!(files(&out), ["panes.png"]);
    // What stands there under another kind's name is in no one's way.
    succeeds(&explain(&models, &scan(), &["--export", "nifti", "--out", path(&out)]));
    assert_eq!(std::fs::read(out.join("panes.png")).expect("kept"), b"mine");
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

#[test]
fn pictures_say_where_they_came_from_and_are_of_the_size_that_was_asked_for() {
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    let more = ["--export", "png,ladder,apng,mp4", "--size", "241", "--fps", "5", "--out", path(&out)];
    succeeds(&explain(&models, &scan(), &more));
    for (name, columns) in [("panes.png", 3), ("lambda.png", 3), ("ladder.png", 4)] {
        let bytes = read(&out.join(name));
        let picture = image::load_from_memory(&bytes).expect(name);
        assert_eq!(picture.width(), columns * 241 + 2 * (columns - 1), "{name}");
        let reader = png::Decoder::new(std::io::Cursor::new(bytes)).read_info().expect(name);
        let said = |keyword: &str| {
            let chunk = reader.info().utf8_text.iter().find(|chunk| chunk.keyword == keyword);
            chunk.and_then(|chunk| chunk.get_text().ok()).unwrap_or_else(|| panic!("{name}: no {keyword}"))
        };
        assert!(said("Program").starts_with("parallax "));
        assert_eq!(said("Target"), "Fracture");
        assert!(said("Note").contains("Not for diagnosis"));
        assert_eq!(said("Input voxels, SHA-256").len(), 64);
        let text = format!("{:?}", reader.info().utf8_text);
        assert!(!text.contains(path(models.folder.path())), "a folder of this machine: {text}");
    }
    // An odd width: the video is one column wider.
    for name in ["lambda.mp4", "slices.mp4", "tour.mp4"] {
        let bytes = read(&out.join(name));
        let at = bytes.windows(4).position(|w| w == b"avc1").expect("a track") + 4 + 24;
        let [width, height] = [at, at + 2].map(|at| u16::from_be_bytes([bytes[at], bytes[at + 1]]));
        assert!(width == 3 * 241 + 4 + 1 && height % 2 == 0, "{name}: {width} x {height}");
    }
    fails(&explain(&models, &scan(), &["--size", "9", "--out", path(&out)]), 2, "240..=1200");
    fails(&explain(&models, &scan(), &["--fps", "0", "--out", path(&out)]), 2, "1..=25");
}

struct Played {
    width: u16,
    /// How long each stands, hundredths of a second.
    delays: Vec<u16>,
    pictures: Vec<Vec<u8>>,
    /// After the first time; 0 is without end.
    repeats: Option<u16>,
}

fn gif(path: &Path) -> Played {
    let bytes = read(path);
    let at = bytes.windows(11).position(|w| w == b"NETSCAPE2.0");
    let repeats = at.map(|at| u16::from_le_bytes([bytes[at + 13], bytes[at + 14]]));
    let mut options = gif::DecodeOptions::new();
    options.set_color_output(gif::ColorOutput::RGBA);
    let mut decoder = options.read_info(bytes.as_slice()).expect("a GIF");
    let (mut delays, mut pictures) = (Vec::new(), Vec::new());
    while let Some(frame) = decoder.read_next_frame().expect("a picture") {
        delays.push(frame.delay);
        pictures.push(frame.buffer.to_vec());
    }
    Played { width: decoder.width(), delays, pictures, repeats }
}

#[test]
fn a_layout_shows_what_it_says_and_animations_play_as_often_as_they_are_told() {
    let models = TinyModels::new();
    for (layout, panes, delays) in
        [("panes", 3, &[90, 10, 90, 10][..]), ("single", 1, &[90, 10, 90, 10]), ("blink", 1, &[90, 90])]
    {
        let out = models.folder.path().join(layout);
        let more = ["--export", "png,gif,mp4", "--layout", layout, "--size", "300", "--fps", "10", "--loops", "2"];
        succeeds(&explain(&models, &scan(), &[&more[..], &["--out", path(&out)]].concat()));
        // In a still picture the two windows, or what blinks, stand side by side.
        let still = image::load_from_memory(&read(&out.join("panes.png"))).expect("a picture");
        let columns = u32::max(panes, 2);
        assert_eq!(still.width(), 300 * columns + 2 * (columns - 1), "{layout}");
        let played = gif(&out.join("lambda.gif"));
        assert_eq!(u32::from(played.width), 300 * panes + 2 * (panes - 1), "{layout}");
        assert_eq!(played.delays, delays, "{layout}");
        assert!(played.pictures[0] != played.pictures[1], "{layout}: the pictures differ");
        assert_eq!(played.repeats, Some(1), "{layout}: once, and once more");
    }
    let bare = models.folder.path().join("bare");
    let more = ["--export", "png", "--size", "300", "--leave-out", "letters,slice,scale-bar,color-bar,lambda,scores"];
    succeeds(&explain(&models, &scan(), &[&more[..], &["--out", path(&bare)]].concat()));
    let [whole, bare] = [models.folder.path().join("panes"), bare].map(|out| read(&out.join("panes.png")));
    let [whole, bare] = [whole, bare].map(|bytes| image::load_from_memory(&bytes).expect("a picture").to_rgba8());
    assert!(bare.width() == whole.width() && bare.height() < whole.height(), "the lines of scores are gone");
    // At the right edge of the left pane, halfway down: the letter. Titles and the research line stay.
    let lit = |picture: &image::RgbaImage, [x, y, width, height]: [u32; 4]| {
        let part = image::imageops::crop_imm(picture, x, y, width, height).to_image();
        part.pixels().filter(|pixel| pixel.0[..3].iter().all(|level| *level > 200)).count()
    };
    let letter = [286, 150, 14, 20];
    assert!(lit(&whole, letter) > lit(&bare, letter), "a letter is gone");
    // On the grey pane in the middle, and in the last line.
    let amber = |picture: &image::RgbaImage, [x, y, width, height]: [u32; 4]| {
        let part = image::imageops::crop_imm(picture, x, y, width, height).to_image();
        part.pixels().filter(|pixel| pixel.0[0] > pixel.0[2].saturating_add(60)).count()
    };
    let [tag, last] = [[302, 24, 300, 24], [0, bare.height() - 24, 904, 24]];
    assert!((1..amber(&whole, tag)).contains(&amber(&bare, tag)), "SYNTHETIC stays, lambda goes");
    assert!(amber(&bare, last) > 0, "the research line stays");
    fails(&explain(&models, &scan(), &["--layout", "wall", "--out", path(models.folder.path())]), 2, "'wall'");
    fails(&explain(&models, &scan(), &["--loops", "1001", "--out", path(models.folder.path())]), 2, "0..=1000");
}

/// The tags of a page, in order; what is within quotes belongs to its tag.
fn tags(page: &str) -> Vec<String> {
    let (mut tags, mut rest) = (Vec::new(), page);
    while let Some(at) = rest.find('<') {
        rest = &rest[at + 1..];
        let mut quoted = false;
        let ends = |c: char| {
            quoted ^= c == '"';
            c == '>' && !quoted
        };
        let end = rest.find(ends).expect("a tag that ends");
        tags.push(rest[..end].to_owned());
        rest = &rest[end..];
    }
    tags
}

#[test]
fn the_report_is_one_page_that_loads_nothing_and_is_whole() {
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    succeeds(&explain(&models, &scan(), &["--export", "html", "--out", path(&out)]));
    let page = String::from_utf8(read(&out.join("report.html"))).expect("UTF-8");
    let tags = tags(&page);
    let mut open = Vec::new();
    for tag in &tags {
        let name = tag.split([' ', '\n']).next().expect("a name");
        if let Some(closed) = name.strip_prefix('/') {
            assert_eq!(open.pop(), Some(closed), "in the order in which they were opened");
        } else if !tag.ends_with('/') && !["!DOCTYPE", "meta", "img"].contains(&name) {
            open.push(name);
        }
        assert!(name != "script" && name != "link", "{tag}");
        for source in ["src=\"", "href=\""].iter().filter_map(|s| tag.split_once(s)) {
            assert!(source.1.starts_with("data:"), "loads something: {}", &source.1[..40.min(source.1.len())]);
        }
        assert!(name != "img" || tag.contains(" alt=\""), "a picture without words");
    }
    assert!(open.is_empty(), "{open:?}");
    assert!(tags.iter().any(|tag| tag == "html lang=\"en\""));
    for words in [
        "Not for diagnosis",
        "SYNTHETIC",
        "Reconstruction gap",
        "Other outputs",
        "Changed regions",
        "Provenance",
        "<svg",
    ] {
        assert!(page.contains(words), "no {words}");
    }
    assert!(!page.contains(path(models.folder.path())), "a folder of this machine");
    let url = format!("file://{}", path(&out.join("report.html")));
    let Some(browser) = support::browser() else { return };
    let shown = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom", &url])
        .output()
        .expect("the browser runs");
    let dom = String::from_utf8_lossy(&shown.stdout);
    assert!(shown.status.success() && dom.contains("Reconstruction gap") && dom.contains("data:video/mp4"));
    assert_eq!(dom.matches("<figure>").count(), page.matches("<figure>").count(), "the browser sees what was written");
}

#[cfg(unix)]
#[test]
fn a_killed_export_leaves_no_file_that_is_cut() {
    use std::io::{BufRead, BufReader};

    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    let start = |out: &Path| {
        models
            .explain(&scan())
            .args(["--target", "Fracture", "--slab", "9:14", "--range", "-50:0", "--steps", "40"])
            .args(["--export", "png,mp4,html", "--size", "600", "--out", path(out)])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .expect("the binary runs")
    };
    let mut child = start(&out);
    let mut lines = BufReader::new(child.stderr.take().expect("piped")).lines();
    assert!(lines.any(|line| line.expect("text").contains("drawing the animation")), "the export began");
    child.kill().expect("killed");
    assert!(!child.wait().expect("it ends").success(), "it was killed before its end");
    // All files are made before the first gets its name.
    let kept: Vec<_> = files(&out).into_iter().filter(|name| names(&Kind::ALL).any(|other| other == name)).collect();
    assert!(kept.is_empty(), "{kept:?}");
}

#[cfg(unix)]
#[test]
fn a_target_that_takes_nothing_or_not_all_is_told_in_words_and_nothing_is_cut() {
    let models = TinyModels::new();
    let file = models.folder.path().join("notes");
    std::fs::write(&file, "mine").expect("written");
    #[cfg(target_os = "linux")]
    {
        let output = explain(&models, &scan(), &["--export", "png", "--out", "/proc"]);
        fails(&output, 1, "cannot write into /proc");
        assert!(!String::from_utf8_lossy(&output.stderr).contains("encoding"), "nothing is computed");
    }
    let inside = file.join("out");
    fails(&explain(&models, &scan(), &["--export", "png", "--out", path(&inside)]), 1, "cannot make the folder");
    assert_eq!(read(&file), b"mine");
    // As on a disk that is full, a write ends before all is written: no file may be longer than 32 kB.
    let out = models.folder.path().join("out");
    let [autoencoder, classifier] = ["autoencoder", "classifier"].map(|name| models.card(name));
    let full = Command::new("sh")
        .args(["-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_parallax")])
        .args(["explain", path(&scan()), "--autoencoder", path(&autoencoder), "--classifier", path(&classifier)])
        .args(["--target", "Fracture", "--slab", "9:14", "--range", "-50:0", "--steps", "3"])
        .args(["--export", "png", "--out", path(&out)])
        .output()
        .expect("a shell runs");
    fails(&full, 1, "cannot write");
    // Nothing is left, by any name, of the report either.
    assert!(!out.exists());
}

/// That a file of this name is whole, as its readers see it.
fn parses(path: &Path) {
    let (name, bytes) = (path.file_name().expect("a name").to_string_lossy(), read(path));
    match path.extension().and_then(|ext| ext.to_str()) {
        Some("json") => drop(serde_json::from_slice::<serde_json::Value>(&bytes).expect(&name)),
        Some("png") => drop(image::load_from_memory(&bytes).expect(&name)),
        Some("gif") => assert!(gif(path).pictures.len() > 1, "{name}"),
        Some("csv") => assert!(csv::Reader::from_reader(&bytes[..]).records().all(|row| row.is_ok()), "{name}"),
        // To the end, so that the sum of all bytes is checked.
        Some("gz") => drop(GzDecoder::new(&bytes[..]).read_to_end(&mut Vec::new()).expect(&name)),
        _ => panic!("{name}: no one knows what it should hold"),
    }
}

#[cfg(unix)]
#[test]
fn an_export_killed_while_it_writes_leaves_nothing_that_looks_finished_and_the_next_sweeps_it() {
    use std::os::unix::process::ExitStatusExt;

    /// Linux, macOS and the BSDs agree.
    const SIGXFSZ: i32 = 25;
    let models = TinyModels::new();
    let kinds = "png,gif,nifti,csv";
    let whole = models.folder.path().join("whole");
    succeeds(&explain(&models, &scan(), &["--export", kinds, "--size", "1200", "--out", path(&whole)]));
    for name in files(&whole) {
        parses(&whole.join(name));
    }
    let mut kept_of = Vec::new();
    // No file may grow beyond so many blocks of 512 bytes: the system kills the writer in the middle of the first that does.
    for blocks in ["1", "16", "600"] {
        let out = models.folder.path().join(format!("blocks_{blocks}"));
        let [autoencoder, classifier] = ["autoencoder", "classifier"].map(|name| models.card(name));
        let killed = Command::new("sh")
            .args([
                "-c",
                "ulimit -c 0; ulimit -f \"$1\"; shift; exec \"$@\"",
                "sh",
                blocks,
                env!("CARGO_BIN_EXE_parallax"),
            ])
            .args(["explain", path(&scan()), "--autoencoder", path(&autoencoder), "--classifier", path(&classifier)])
            .args(["--target", "Fracture", "--slab", "9:14", "--range", "-50:0", "--steps", "3"])
            .args(["--export", kinds, "--size", "1200", "--out", path(&out)])
            .output()
            .expect("a shell runs");
        assert_eq!(killed.status.signal(), Some(SIGXFSZ), "{blocks}: {}", String::from_utf8_lossy(&killed.stderr));
        let (finished, cut): (Vec<_>, Vec<_>) =
            files(&out).into_iter().partition(|name| names(&Kind::ALL).any(|other| other == name));
        assert!(finished.is_empty(), "{blocks}: {finished:?}");
        // What was cut lies in a folder that no one takes for a result.
        assert!(cut.iter().all(|name| name.starts_with(".parallax-export-")), "{blocks}: {cut:?}");
        kept_of.push(cut.len());
        succeeds(&explain(&models, &scan(), &["--export", kinds, "--size", "1200", "--out", path(&out)]));
        assert_eq!(files(&out), files(&whole));
    }
    assert!(kept_of[2] > kept_of[0], "killed at different files: {kept_of:?}");
}

/// A field of an NRRD header: its numbers, brackets and commas aside.
fn numbers(header: &str, field: &str) -> Vec<f64> {
    let line = header.lines().find_map(|line| line.strip_prefix(&format!("{field}: "))).expect(field);
    line.split(|c: char| "(), ".contains(c))
        .filter(|word| !word.is_empty())
        .map(|n| n.parse().expect("a number"))
        .collect()
}

#[test]
fn nrrd_and_nifti_hold_the_same_numbers_at_the_same_places() {
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    succeeds(&explain(&models, &scan(), &["--export", "nifti,nrrd", "--out", path(&out)]));
    let monitor = Monitor::default();
    let open = |file: &Path| io::open(file, &monitor).expect("a scan").volume;
    let original = open(&scan());
    for stem in ["counterfactual", "counterfactual_detail_kept", "difference", "heatmap"] {
        let nifti = open(&out.join(format!("{stem}.nii.gz")));
        let bytes = std::fs::read(out.join(format!("{stem}.nrrd"))).expect("a file");
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("an empty line");
        let header = String::from_utf8(bytes[..end].to_vec()).expect("text");
        assert!(header.starts_with("NRRD0005\n") && header.contains("description:=SYNTHETIC"), "{header}");
        assert!(header.contains("space: right-anterior-superior") && header.contains("Research use only"), "{header}");
        let shape: Vec<usize> = numbers(&header, "sizes").iter().map(|n| *n as usize).collect();
        assert_eq!(shape, original.grid.shape, "{stem}");
        let place = [numbers(&header, "space directions"), numbers(&header, "space origin")].concat();
        assert_eq!(place, original.grid.world_from_voxel.to_cols_array(), "{stem}: another place");
        let mut voxels = Vec::new();
        GzDecoder::new(&bytes[end + 2..]).read_to_end(&mut voxels).expect("gzip");
        let voxels: Vec<f32> = voxels.as_chunks::<4>().0.iter().map(|four| f32::from_le_bytes(*four)).collect();
        assert_eq!(voxels, nifti.voxels.iter().collect::<Vec<_>>(), "{stem}");
    }
    let [kept, difference] =
        ["counterfactual_detail_kept.nii.gz", "difference.nii.gz"].map(|name| open(&out.join(name)));
    assert!(difference.voxels.iter().any(|change| change != 0.0), "something changed");
    for at in 0..original.grid.len() {
        assert_eq!(kept.voxels.at(at), original.voxels.at(at) + difference.voxels.at(at), "voxel {at}");
    }
}

#[test]
fn a_threshold_and_a_lung_segmenter_are_told_and_recorded() {
    let models = TinyModels::new();
    let lungs = models.card("segmenter");
    let told = |more: &[&str]| {
        let output = explain(&models, &scan(), &[more, &["--json"]].concat());
        succeeds(&output);
        serde_json::from_slice::<serde_json::Value>(&output.stdout).expect("JSON")["regions"].clone()
    };
    let usual = told(&[]);
    assert!(usual["threshold_hu"].as_f64().is_some_and(|hu| hu >= 10.0), "{usual}");
    assert!(usual["list"].as_array().is_some_and(|list| list.iter().all(|region| region["lung_share"].is_null())));
    let above = told(&["--regions-above", "2.5", "--lungs", path(&lungs)]);
    assert_eq!(above["threshold_hu"], 2.5);
    let shares: Vec<_> =
        above["list"].as_array().expect("a list").iter().map(|one| one["lung_share"].as_f64()).collect();
    assert!(!shares.is_empty() && shares.iter().all(|share| share.is_some_and(|share| (0.0..=1.0).contains(&share))));
    // Words name the largest.
    let output = explain(&models, &scan(), &["--regions-above", "2.5"]);
    succeeds(&output);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("changed by more than 2.5 HU") && said.contains(", slice"), "{said}");
    let output = explain(&models, &scan(), &["--regions-above", "1e9"]);
    assert!(String::from_utf8_lossy(&output.stdout).contains("nothing changed by more than 1000000000 HU"));
    fails(&explain(&models, &scan(), &["--regions-above", "0"]), 2, "above 0");
    fails(&explain(&models, &scan(), &["--lungs", path(&models.card("classifier"))]), 3, "a segmenter is wanted here");
}

#[test]
fn tables_hold_the_numbers_of_the_report() {
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    succeeds(&explain(&models, &scan(), &["--export", "csv", "--out", path(&out)]));
    let report = std::fs::read(out.join("result.json")).expect("a report");
    let report: serde_json::Value = serde_json::from_slice(&report).expect("JSON");
    let rows = |name: &str| -> Vec<Vec<String>> {
        let mut reader = csv::Reader::from_path(out.join(name)).expect("a table");
        reader.records().map(|row| row.expect("a row").iter().map(str::to_owned).collect()).collect()
    };
    let column = |rows: &[Vec<String>], at: usize| -> Vec<f64> {
        rows.iter().map(|row| row[at].parse().expect("a number")).collect()
    };
    let listed = |name: &str| -> Vec<f64> {
        report[name].as_array().expect("a list").iter().map(|n| n.as_f64().expect("a number")).collect()
    };
    let curve = rows("curve.csv");
    assert_eq!((column(&curve, 0), column(&curve, 1)), (listed("lambdas"), listed("sweep_scores")));
    let chosen: Vec<_> = curve.iter().filter(|row| row[2] == "true").map(|row| row[0].parse::<f64>()).collect();
    assert_eq!(chosen, [Ok(report["lambda"].as_f64().expect("a number"))]);

    let profile = column(&rows("profile.csv"), 4);
    let most = (0..profile.len()).max_by(|a, b| profile[*a].total_cmp(&profile[*b]));
    assert_eq!(most.map(|slice| slice as u64), report["most_changed_slice"].as_u64());
    assert!(profile.iter().enumerate().all(|(slice, change)| (9..14).contains(&slice) || *change == 0.0));

    let drift = rows("drift.csv");
    assert_eq!(drift.len(), LABELS.len() - 1, "all but the one explained");
    for (row, reported) in drift.iter().zip(report["drift"].as_array().expect("a list")) {
        assert_eq!(Some(row[0].as_str()), reported["name"].as_str());
        assert_eq!(row[4].parse().ok(), reported["logits"][0].as_f64());
        let [before, after] = [&row[1], &row[2]].map(|n| n.parse::<f64>().expect("a number"));
        assert_eq!(row[3].parse(), Ok(after - before));
    }

    let (regions, listed) = (rows("regions.csv"), report["regions"]["list"].as_array().expect("a list"));
    assert!(!listed.is_empty() && regions.len() == listed.len(), "{}", report["regions"]);
    for (row, region) in regions.iter().zip(listed) {
        assert_eq!(
            (Some(row[1].as_str()), Some(row[2].as_str())),
            (region["place"].as_str(), region["direction"].as_str())
        );
        for (cell, field) in [(3, "volume_ml"), (4, "mean_hu"), (6, "amount_hu_ml")] {
            assert_eq!(row[cell].parse().ok(), region[field].as_f64(), "{field}");
        }
        // A number of f32: the table writes its shortest digits.
        assert_eq!(row[5].parse().ok(), region["largest_hu"].as_f64().map(|hu| hu as f32));
        assert_eq!([&row[7], &row[8]].map(|n| n.parse().ok()), [0, 1].map(|end| region["slices"][end].as_u64()));
        assert_eq!(
            [9, 10, 11].map(|cell| row[cell].parse().ok()),
            [0, 1, 2].map(|axis| region["peak_mm"][axis].as_f64())
        );
        assert_eq!(row[12], "", "no segmenter said where the lungs are");
    }
}
