//! `parallax predict`: the scores of a scan.

use anyhow::Result;
use serde_json::json;

use super::args::PredictArgs;
use super::{compute, pacs, progress, say, say_json};
use crate::pipeline;

pub(super) fn run(args: &PredictArgs) -> Result<()> {
    compute::start(&args.compute)?;
    let monitor = progress::monitor()?;
    let classifier = pipeline::load_classifier(&args.classifier, &monitor)?;
    let input =
        pipeline::open_chosen(&pacs::scan(&args.scan, &monitor)?, &args.choice.choice(), &classifier.recipe, &monitor)?;
    let scores = pipeline::predict(&input, &classifier, &monitor)?;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[b].1.total_cmp(&scores[a].1));
    order.truncate(args.top);
    if args.json {
        let rows: Vec<_> =
            order.iter().map(|&i| json!({ "index": i, "label": scores[i].0, "probability": scores[i].1 })).collect();
        say_json(&serde_json::to_string_pretty(&json!({
            "notice": crate::export::report::NOTICE,
            "input_sha256": input.sha256(),
            "warnings": input.warnings(),
            "classifier": {
                "name": classifier.name,
                "sha256": classifier.sha256,
                "self_check": classifier.self_check.words(),
                "notes": classifier.notes().collect::<Vec<_>>(),
            },
            "predictions": rows,
        }))?);
    } else {
        for i in order {
            say(&format!("{i:5}  {:.4}  {}", scores[i].1, scores[i].0));
        }
        for note in classifier.notes() {
            say(&format!("note: {note}"));
        }
        for note in input.notes() {
            say(&format!("note: {}", note.text));
        }
        say("Model output, not a diagnosis. Research use only.");
    }
    Ok(())
}
