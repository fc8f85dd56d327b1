//! `parallax info`: what a scan, a model card or a checkpoint holds.

use anyhow::Result;
use serde_json::{Value, json};

use super::args::InfoArgs;
use super::{progress, say};
use crate::files::printable;
use crate::io::Scan;
use crate::pipeline::{self, Opened};
use crate::volume::orientation;
use crate::weights::Checkpoint;

pub(super) fn run(args: &InfoArgs) -> Result<()> {
    let monitor = progress::monitor()?;
    let facts = match pipeline::inspect(&args.path, &monitor)? {
        Opened::Scan { scan, sha256 } => scan_facts(&scan, &sha256),
        Opened::Checkpoint { checkpoint, kind } => checkpoint_facts(&checkpoint, kind.as_deref()),
    };
    if args.json {
        let facts: serde_json::Map<_, _> = facts.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        say(&serde_json::to_string_pretty(&facts)?);
    } else {
        for (name, value) in &facts {
            say(&format!("{:16} {}", name.replace('_', " "), plain(value)));
        }
    }
    Ok(())
}

/// What there is to say, the most telling first.
type Facts = Vec<(&'static str, Value)>;

fn scan_facts(scan: &Scan, sha256: &str) -> Facts {
    let grid = &scan.volume.grid;
    let (least, most) =
        scan.volume.voxels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), x| (l.min(x), m.max(x)));
    let m = grid.world_from_voxel;
    let rows: Vec<[f64; 4]> =
        (0..3).map(|r| [m.matrix3.x_axis[r], m.matrix3.y_axis[r], m.matrix3.z_axis[r], m.translation[r]]).collect();
    vec![
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
        ("warnings", json!(scan.notes.iter().map(|note| &note.text).collect::<Vec<_>>())),
        ("sha256", json!(sha256)),
    ]
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
