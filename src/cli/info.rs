//! `parallax info`: what a scan, a folder of scans, a model card, a checkpoint or a network holds.

use anyhow::Result;
use serde_json::{Value, json};

use super::args::InfoArgs;
use super::info_card::{self, Facts};
use super::{pacs, progress, say, say_json};
use crate::exchange::{self, Model, Port, Size};
use crate::files::printable;
use crate::graph::Plan;
use crate::io::{Note, Scan, Series, counted};
use crate::machine::gigabytes;
use crate::pipeline::{self, BadInput, Opened};
use crate::preprocess::Recipe;
use crate::volume::orientation;
use crate::weights::Checkpoint;

pub(super) fn run(args: &InfoArgs) -> Result<()> {
    let monitor = progress::monitor()?;
    let recipe = args.card.as_deref().map_or_else(|| Ok(Recipe::default()), pipeline::recipe)?;
    let opened = pipeline::inspect(&pacs::scan(&args.path, &monitor)?, &args.choice.choice(), &recipe, &monitor)?;
    let (mut parts, mut plans) = (Vec::new(), None);
    let facts = match &opened {
        Opened::Scan { scan, notes, sha256 } => scan_facts(scan, notes, sha256),
        Opened::Checkpoint { checkpoint, kind } => {
            plans = kind.as_ref().map(|_| pipeline::plans(&args.path, args.slices));
            checkpoint_facts(checkpoint, kind.as_deref())
        }
        Opened::Network(model) => network_facts(model, args)?,
        Opened::Card(card) => {
            plans = Some(pipeline::plans(&args.path, args.slices));
            let (facts, of_parts) = info_card::facts(card, |model| network_facts(model, args))?;
            parts = of_parts;
            facts
        }
    };
    if args.json {
        let mut facts: serde_json::Map<_, _> =
            facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        match &opened {
            Opened::Scan { scan, .. } => drop(facts.insert("series".to_owned(), series_json(scan))),
            Opened::Card(card) => {
                facts.insert("recipe".to_owned(), serde_json::to_value(&card.recipe)?);
                facts.insert("parts".to_owned(), info_card::parts_json(parts));
            }
            Opened::Checkpoint { .. } | Opened::Network(_) => {}
        }
        if let Some(plans) = &plans {
            facts.insert("plans".to_owned(), plans_json(plans));
        }
        say_json(&serde_json::to_string_pretty(&facts)?);
        return Ok(());
    }
    for (name, value) in facts.iter().chain(parts.iter().flatten()) {
        say(&format!("{:16} {}", name.replace('_', " "), plain(value)));
    }
    if let Opened::Scan { scan, .. } = &opened {
        for row in series_rows(scan) {
            say(&row);
        }
    }
    match &plans {
        Some(Ok(plans)) => plans.iter().flat_map(|(name, plan)| plan_lines(name, plan)).for_each(|row| say(&row)),
        Some(Err(error)) => say(&format!("{:16} none: {error:#}", "plan")),
        None => {}
    }
    Ok(())
}

/// The passes of a network, by name; an error where they cannot be planned.
type Plans = Result<Vec<(&'static str, Plan)>>;

fn plans_json(plans: &Plans) -> Value {
    let Ok(plans) = plans else { return Value::Null };
    let object = |(name, plan): &(&str, Plan)| {
        let mut object = json!({
            "pass": name,
            "inputs": plan.inputs(),
            "operations": plan.operations(),
            "forward_bytes": plan.forward_bytes(),
            "gradient_bytes": plan.gradient_bytes(),
            "segments": plan.segments(),
            "by_bands": plan.banded(),
        });
        if let Some(tiled) = plan.tiled() {
            object["tiles"] = json!({
                "count": tiled.count(),
                "inputs": tiled.plan().inputs(),
                "forward_bytes": tiled.plan().forward_bytes(),
                "gradient_bytes": tiled.plan().gradient_bytes(),
            });
        }
        object
    };
    plans.iter().map(object).collect()
}

/// What a pass costs: operations, memory, and how its gradient is cut to fit.
fn plan_lines(name: &str, plan: &Plan) -> Vec<String> {
    let inputs: Vec<String> = plan.inputs().iter().map(|shape| format!("{shape:?}")).collect();
    let (forward, gradient) = (gigabytes(plan.forward_bytes()), gigabytes(plan.gradient_bytes()));
    let segments = match plan.banded() {
        0 => counted(plan.segments(), "segment"),
        banded => format!("{}, {banded} of them by bands of planes", counted(plan.segments(), "segment")),
    };
    let mut lines = vec![
        format!("{:16} {}, planned for {}", name, counted(plan.operations(), "operation"), inputs.join(" and ")),
        format!("{:16} {forward} forward, {gradient} with the gradient, in {segments}, the weights apart", ""),
    ];
    if let Some(tiled) = plan.tiled() {
        let (of_one, shapes) = (tiled.plan(), tiled.plan().inputs());
        let (forward, gradient) = (gigabytes(of_one.forward_bytes()), gigabytes(of_one.gradient_bytes()));
        let tiles = counted(tiled.count(), "tile");
        lines.push(format!(
            "{:16} {tiles} of {:?}, one after another: {forward} forward, {gradient} with the gradient",
            "", shapes[0]
        ));
    }
    lines
}

fn scan_facts(scan: &Scan, notes: &[Note], sha256: &str) -> Facts {
    let grid = &scan.volume.grid;
    let (least, most) =
        scan.volume.voxels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), x| (l.min(x), m.max(x)));
    let m = grid.world_from_voxel;
    let rows: Vec<[f64; 4]> =
        (0..3).map(|r| [m.matrix3.x_axis[r], m.matrix3.y_axis[r], m.matrix3.z_axis[r], m.translation[r]]).collect();
    let mut facts = vec![
        ("kind", json!("scan")),
        ("format", json!(scan.format)),
        ("shape", json!(grid.shape)),
        ("spacing_mm", json!(grid.spacing_mm())),
        ("axes", json!(orientation::axis_codes(grid).to_string())),
        ("oblique_degrees", json!(orientation::obliqueness_degrees(grid))),
        ("world_from_voxel", json!(rows)),
        ("geometry_from", json!(format!("{:?}", scan.geometry).to_lowercase())),
        ("range_hu", json!([least, most])),
        ("window_hu", json!(scan.window_hu)),
        ("warnings", json!(notes.iter().map(|note| &note.text).collect::<Vec<_>>())),
        ("sha256", json!(sha256)),
    ];
    if scan.among.volumes > 1 {
        facts.extend([("volume", json!(scan.among.volume)), ("volumes", json!(scan.among.volumes))]);
    }
    if let Some(whole) = &scan.among.whole {
        facts.push(("slices_of_whole_series", json!(whole.slices)));
    }
    facts
}

/// All that the path holds, each as an object.
fn series_json(scan: &Scan) -> Value {
    let object = |series: &Series| {
        let Series { number, uid, modality, description, kernel, slices, size, spacing_mm, thickness_mm, unusable } =
            series;
        json!({
            "number": number,
            "uid": uid,
            "modality": modality,
            "description": description,
            "slices": slices,
            "size": size,
            "spacing_mm": spacing_mm,
            "thickness_mm": thickness_mm,
            "kernel": kernel,
            "unusable": unusable,
            "opened": *number == scan.among.number,
        })
    };
    scan.among.series.iter().map(object).collect()
}

/// All that the path holds, each in a row, and below it why it cannot be opened.
fn series_rows(scan: &Scan) -> Vec<String> {
    let series = &scan.among.series;
    let mut rows = Vec::new();
    if !series.is_empty() {
        rows.push(format!("{:16} {}", "series", series.len()));
    }
    for series in series {
        let opened = if series.number == scan.among.number { " (opened)" } else { "" };
        let description = Some(&series.description).filter(|text| !text.is_empty());
        let description = description.map_or_else(String::new, |text| format!("  \"{text}\""));
        rows.push(format!("{:4}  {}{description}{opened}", series.number, series.words()));
        rows.extend(series.unusable.as_ref().map(|why| format!("      cannot be opened: {why}")));
    }
    rows
}

fn checkpoint_facts(checkpoint: &Checkpoint, kind: Option<&str>) -> Facts {
    let tensors: serde_json::Map<String, Value> =
        checkpoint.names().map(|name| (name.to_owned(), json!(checkpoint.shape(name)))).collect();
    vec![
        ("kind", json!("checkpoint")),
        ("network", json!(kind.unwrap_or("not one that Parallax knows"))),
        ("format", json!(checkpoint.describe())),
        ("sha256", json!(checkpoint.sha256())),
        ("tensors", json!(tensors)),
    ]
}

/// An input or an output: "x: float32 [1, 1, depth, 96, 96]".
fn port(port: &Port) -> String {
    let side = |size: &Size| match size {
        Size::Fixed(side) => side.to_string(),
        Size::Open(name) if name.is_empty() => "any".to_owned(),
        Size::Open(name) => name.clone(),
    };
    let sizes = port.sizes.as_ref().map_or_else(
        || "of any shape".to_owned(),
        |sizes| format!("[{}]", sizes.iter().map(side).collect::<Vec<_>>().join(", ")),
    );
    format!("{}: {} {sizes}", port.name, port.dtype)
}

fn network_facts(model: &Model, args: &InfoArgs) -> Result<Facts> {
    let shapes: Vec<Vec<usize>> = args.size.iter().map(|size| size.0.clone()).collect();
    let ports = |ports: &[Port]| ports.iter().map(port).collect::<Vec<_>>();
    let mut facts = vec![
        ("kind", json!("network")),
        ("format", json!(model.format())),
        ("producer", json!(model.producer())),
        ("inputs", json!(ports(model.inputs()))),
        ("outputs", json!(ports(model.outputs()))),
        ("parameters", json!(model.parameters())),
        ("operations", json!(model.operations())),
    ];
    let verdict = match model.check(&[]) {
        Err(exchange::Error::Unsupported(why)) => why,
        Err(error) => return Err(BadInput::new(error).into()),
        Ok(()) => match pipeline::cost(model, &shapes) {
            Ok(Some(cost)) => {
                facts.extend([
                    ("size", json!(cost.shapes)),
                    ("operations_as_planned", json!(cost.operations)),
                    ("bytes_forward", json!(cost.forward_bytes)),
                    ("bytes_with_gradient", json!(cost.gradient_bytes)),
                ]);
                "differentiable".to_owned()
            }
            Ok(None) => "differentiable; its size is open: name one with --size to see what it takes".to_owned(),
            Err(error) => match error.downcast_ref() {
                Some(exchange::Error::Unsupported(why)) => why.clone(),
                _ => return Err(BadInput::new(error).into()),
            },
        },
    };
    facts.push(("verdict", json!(verdict)));
    Ok(facts)
}

/// A JSON value as a person would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => printable(text).into_owned(),
        Value::Null => "-".to_owned(),
        Value::Number(n) => {
            // Adding 0 takes the sign from -0.
            n.as_f64().filter(|_| !n.is_i64() && !n.is_u64()).map_or(n.to_string(), |x| format!("{:.4}", x + 0.0))
        }
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        // Sentences, each on a line of its own, below the first.
        Value::Array(items) if items.iter().all(Value::is_string) => {
            items.iter().map(plain).collect::<Vec<_>>().join(&format!("\n{:17}", ""))
        }
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(if items.iter().any(Value::is_array) {
            "; "
        } else {
            ", "
        }),
        Value::Object(rows) => {
            let lines: Vec<_> =
                rows.iter().map(|(name, value)| format!("\n  {}  [{}]", printable(name), plain(value))).collect();
            format!("{}{}", rows.len(), lines.concat())
        }
        Value::Bool(yes) => yes.to_string(),
    }
}
