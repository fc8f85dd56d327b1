//! `parallax info`: what a scan, a model card or a checkpoint holds.

use anyhow::Result;
use serde_json::{Value, json};

use super::args::InfoArgs;
use super::{progress, say};
use crate::io::Scan;
use crate::pipeline::{self, Opened};
use crate::volume::orientation;
use crate::weights::Checkpoint;

pub(super) fn run(args: &InfoArgs) -> Result<()> {
    let monitor = progress::monitor()?;
    let facts = match pipeline::inspect(&args.path, &monitor)? {
        Opened::Scan(scan) => scan_facts(&scan),
        Opened::Checkpoint { checkpoint, kind } => checkpoint_facts(&checkpoint, kind.as_deref()),
    };
    if args.json {
        say(&serde_json::to_string_pretty(&facts)?);
    } else if let Value::Object(rows) = &facts {
        for (name, value) in rows {
            say(&format!("{:16} {}", name.replace('_', " "), plain(value)));
        }
    }
    Ok(())
}

fn scan_facts(scan: &Scan) -> Value {
    let grid = &scan.volume.grid;
    let (least, most) =
        scan.volume.voxels.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(l, m), x| (l.min(x), m.max(x)));
    let m = grid.world_from_voxel;
    let rows: Vec<[f64; 4]> =
        (0..3).map(|r| [m.matrix3.x_axis[r], m.matrix3.y_axis[r], m.matrix3.z_axis[r], m.translation[r]]).collect();
    json!({
        "kind": "scan",
        "format": scan.format,
        "shape": grid.shape,
        "spacing_mm": grid.spacing_mm(),
        "axes": orientation::axis_codes(grid).to_string(),
        "oblique_degrees": orientation::obliqueness_degrees(grid),
        "world_from_voxel": rows,
        "geometry_from": format!("{:?}", scan.geometry).to_lowercase(),
        "range_hu": [least, most],
        "window_hu": scan.window_hu,
        "warnings": scan.warnings,
        "sha256": scan.sha256,
    })
}

fn checkpoint_facts(checkpoint: &Checkpoint, kind: Option<&str>) -> Value {
    let tensors: serde_json::Map<String, Value> =
        checkpoint.names().map(|name| (name.to_owned(), json!(checkpoint.shape(name)))).collect();
    json!({
        "kind": "checkpoint",
        "network": kind.unwrap_or("not one that Parallax knows"),
        "format": checkpoint.describe(),
        "sha256": checkpoint.sha256(),
        "tensors": tensors,
    })
}

/// A JSON value as a person would write it.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        Value::Number(n) => {
            n.as_f64().filter(|_| !n.is_i64() && !n.is_u64()).map_or(n.to_string(), |x| format!("{x:.4}"))
        }
        Value::Array(items) if items.is_empty() => "none".to_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(if items.iter().any(Value::is_array) {
            "; "
        } else {
            ", "
        }),
        Value::Object(rows) => {
            let lines: Vec<_> = rows.iter().map(|(name, value)| format!("\n  {name}  [{}]", plain(value))).collect();
            format!("{}{}", rows.len(), lines.concat())
        }
        Value::Bool(yes) => yes.to_string(),
    }
}
