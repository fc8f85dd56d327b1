//! Explains a scan by the library alone: `cargo run --example explain -- DIR`, or `-- DIR SCAN` for a scan other than the demo's.
//!
//! The networks are those that come with Parallax, which know drawn chests alone. Research use only.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parallax::demo::{self, Cards};
use parallax::export::report::report;
use parallax::export::{self, Kind, Style, Subject, write::Set};
use parallax::job::Monitor;
use parallax::pipeline::{self, Run};
use parallax::quality::regions::{Change, regions};

fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args_os().skip(1).map(PathBuf::from);
    let (out, scan) = (arguments.next().unwrap_or_else(|| "explained".into()), arguments.next());
    let monitor = Monitor::default(); // reports progress to no one; another thread may cancel by it

    // The networks, the class, and how to search: `pipeline::load_classifier` and its like open other cards.
    let request = demo::request(&Cards::find()?, &monitor)?;
    let input = match scan {
        Some(scan) => pipeline::open(&scan, request.recipe()?, &monitor)?,
        None => demo::input(request.recipe()?, &monitor)?,
    };
    let run = Run::of(&Arc::new(input), &request, &monitor)?;
    println!("score {:.3} -> {:.3}", run.result.scores.scan, run.result.scores.counterfactual);

    // What changed, and the files: a report, pictures, volumes on the scan's own grid.
    let change = Change::of(&run.result, &run.input.display_volume().grid);
    let regions = regions(&change, change.usual_threshold_hu(), None, &monitor)?;
    let report = report(&run, regions);
    let subject = Subject::new(&run, &report, Style::default());
    let mut set = Set::open(Path::new(&out), export::names(&Kind::DEFAULT), |_| false)?;
    export::files(&subject, &Kind::DEFAULT, &monitor, &mut |file| set.put(&file))?;
    set.finish()?;
    Ok(())
}
