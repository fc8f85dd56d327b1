//! Units that a header gives its places in, and numbers as notes say them.

use glam::DAffine3;

use super::{Note, check_grid};
use crate::volume::Grid;

/// A unit of length.
#[derive(Debug, Clone)]
pub(super) struct Unit {
    /// As the header says it, with its field.
    pub(super) name: String,
    pub(super) mm: f64,
}

/// A grid in millimetres. The header is taken at its word where a scan can be as large as it says then; else the numbers are
/// taken to be millimetres already, as nibabel does whatever the unit. The error says that neither can be.
pub(super) fn in_millimetres(grid: Grid, unit: Option<&Unit>, notes: &mut Vec<Note>) -> Result<Grid, String> {
    let Some(unit) = unit.filter(|unit| unit.mm != 1.0) else {
        return check_grid(&grid).map(|()| grid).map_err(|what| format!("{what}; its header is broken"));
    };
    let stored = grid.world_from_voxel;
    let world_from_voxel = DAffine3::from_mat3_translation(stored.matrix3 * unit.mm, stored.translation * unit.mm);
    let converted = Grid { world_from_voxel, ..grid };
    let (name, said, mm) = (&unit.name, triple(grid.spacing_mm()), triple(converted.spacing_mm()));
    if check_grid(&converted).is_ok() {
        notes.push(Note::serious(format!(
            "the header gives its spacing in {name}: {said} of them are {mm} mm, which is taken; programs that ignore the \
             unit, as nibabel does, take {said} mm"
        )));
        return Ok(converted);
    }
    check_grid(&grid).map_err(|what| format!("{what}; the header says {name}: save it in millimetres"))?;
    notes.push(Note::serious(format!(
        "the header gives its spacing in {name}: {said} of them are {mm} mm, which no scan has; {said} mm is taken, as by \
         programs that ignore the unit"
    )));
    Ok(grid)
}

/// "0.7 x 0.7 x 1.5": five digits of each.
pub(super) fn triple(values: [f64; 3]) -> String {
    values.map(digits).join(" x ")
}

/// "(-0.7, 0.7, 1.5)": a place or a direction.
pub(super) fn place(values: [f64; 3]) -> String {
    format!("({})", values.map(digits).join(", "))
}

/// Five digits of a number, and no zeros behind them.
pub(super) fn digits(value: f64) -> String {
    let rounded: f64 = format!("{value:.4e}").parse().unwrap_or(value);
    // Minus zero is zero.
    format!("{}", rounded + 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_said_in_five_digits() {
        assert_eq!(triple([0.600_000_023_8, 1.5, 123_456.7]), "0.6 x 1.5 x 123460");
        assert_eq!(place([-0.0, 7e-4, f64::NAN]), "(0, 0.0007, NaN)");
    }
}
