//! Where a NIfTI header says that its voxels lie: nibabel's rule, and what in the header contradicts the answer.

use glam::{DAffine3, DMat3, DQuat, DVec3};

use super::super::units::{digits, place as said, triple};
use super::super::{Geometry, Note};
use super::header::Header;
use crate::volume::Grid;

/// Two answers that differ by less than this share of a voxel are one: f32 and quaternions round.
const SAME_SHARE: f64 = 0.1;
/// Spacings that differ by less than this share are one.
const SAME_SPACING: f64 = 0.01;
/// Axes that are off a right angle by no more are upright: f32 rounds.
const UPRIGHT_DEGREES: f64 = 0.1;

/// nibabel's rule, `Nifti1Header.get_best_affine`: sform, else qform, else spacing. An sform of zeros, which nibabel passes on, is
/// no answer where there is a qform. In the header's unit.
pub(super) fn place(header: &Header, shape: [usize; 3], notes: &mut Vec<Note>) -> Result<(DAffine3, Geometry), String> {
    let signed = DVec3::new(header.pixdim[1], header.pixdim[2], header.pixdim[3]);
    let (sform, qform) = (header.sform_code > 0, header.qform_code > 0);
    let stored = self::sform(header);
    let empty = sform && stored.matrix3 == DMat3::ZERO;
    let (affine, geometry) = if sform && !(empty && qform) {
        (stored, Geometry::Sform)
    } else if qform {
        (self::qform(header)?, Geometry::Qform)
    } else {
        (base(signed.abs(), shape), Geometry::Spacing)
    };
    if empty && qform {
        notes.push(Note::serious(format!(
            "the sform (sform_code {}) is all zeros, which nibabel passes on; the qform is taken, with {} mm between voxels",
            header.sform_code,
            triple(spacing(&affine))
        )));
    }
    if geometry == Geometry::Sform {
        contradictions(header, &affine, shape, notes);
    } else {
        if signed.min_element() < 0.0 {
            notes.push(Note::serious(format!("a negative spacing in the header ({signed}): its sign is ignored")));
        }
        let qfac = header.pixdim[0];
        if qform && qfac.abs() != 1.0 {
            let taken = if qfac < 0.0 { "-1" } else { "1" };
            notes.push(Note::caution(format!(
                "pixdim[0] = {} should be 1 or -1, which mirrors the third axis; {taken} is taken",
                digits(qfac)
            )));
        }
    }
    Ok((affine, geometry))
}

/// What to say where neither form is set: `grid` is nibabel's guess. ITK's is that of a DICOM image.
pub(super) fn guessed(grid: &Grid) -> Note {
    let [x, y, z] = grid.spacing_mm();
    Note::serious(format!(
        "the file says nothing of orientation (no sform, no qform): left and right are a guess, and so are front and back. \
         The axes are taken to step by {} mm towards right, front and head, as nibabel does; ITK takes {}",
        said([-x, y, z]),
        said([-x, -y, z])
    ))
}

fn sform(header: &Header) -> DAffine3 {
    let column = |c: usize| DVec3::from_array(header.srow.map(|row| row[c]));
    DAffine3::from_mat3_translation(DMat3::from_cols(column(0), column(1), column(2)), column(3))
}

/// nibabel's `get_qform`; a negative pixdim counts without its sign, as in `_chk_pixdims` there.
fn qform(header: &Header) -> Result<DAffine3, String> {
    let zooms = DVec3::new(header.pixdim[1], header.pixdim[2], header.pixdim[3]).abs();
    let [b, c, d] = header.quatern;
    let square = 1.0 - (b * b + c * c + d * d);
    // nibabel, `fillpositive`: f32 rounding may take it a little below 0.
    if square < -3.0 * f64::from(f32::EPSILON) || !square.is_finite() {
        return Err(format!("the quaternion ({b}, {c}, {d}) of its qform is longer than 1"));
    }
    let rotation = DMat3::from_quat(DQuat::from_xyzw(b, c, d, square.max(0.0).sqrt()).normalize());
    let flip = if header.pixdim[0] < 0.0 { -1.0 } else { 1.0 };
    let matrix = rotation * DMat3::from_diagonal(zooms * DVec3::new(1.0, 1.0, flip));
    Ok(DAffine3::from_mat3_translation(matrix, DVec3::from_array(header.qoffset)))
}

/// nibabel's `get_base_affine`: x is flipped by convention, the middle voxel is the origin.
fn base(zooms: DVec3, shape: [usize; 3]) -> DAffine3 {
    let zooms = zooms * DVec3::new(-1.0, 1.0, 1.0);
    let middle = DVec3::from_array(shape.map(|n| (n as f64 - 1.0) / 2.0));
    DAffine3::from_mat3_translation(DMat3::from_diagonal(zooms), -(zooms * middle))
}

fn spacing(affine: &DAffine3) -> [f64; 3] {
    let matrix = affine.matrix3;
    [matrix.x_axis.length(), matrix.y_axis.length(), matrix.z_axis.length()]
}

fn differ(a: [f64; 3], b: [f64; 3]) -> bool {
    a.iter().zip(b).any(|(a, b)| (a - b).abs() > SAME_SPACING * a.abs().max(b.abs()))
}

/// Says what differs from the sform, which is taken.
fn contradictions(header: &Header, sform: &DAffine3, shape: [usize; 3], notes: &mut Vec<Note>) {
    let by_sform = spacing(sform);
    let pixdim = [1, 2, 3].map(|axis| header.pixdim[axis].abs());
    // A spacing that is no number is refused by what looks at the grid.
    if differ(by_sform, pixdim) && pixdim.iter().all(|mm| mm.is_finite()) {
        let also = if header.qform_code > 0 { "and the qform " } else { "" };
        notes.push(Note::serious(format!(
            "the sform says {} mm between voxels, pixdim {also}{}: the sform is taken, as nibabel does; ITK takes pixdim",
            triple(by_sform),
            triple(pixdim)
        )));
    }
    if let Some(off) = skew_degrees(sform).filter(|degrees| *degrees > UPRIGHT_DEGREES) {
        notes.push(Note::caution(format!(
            "the axes of the sform are sheared: two of them meet at {} degrees, as nibabel reads them; ITK takes no sheared grid",
            digits(90.0 - off)
        )));
    }
    if header.qform_code <= 0 {
        return;
    }
    let Ok(qform) = qform(header) else {
        notes.push(Note::caution("the qform is broken (its quaternion is longer than 1); the sform is taken"));
        return;
    };
    // What is said above, of spacing, is not said again.
    let lengths = DVec3::from_array(by_sform) / DVec3::from_array(spacing(&qform));
    let alike = DAffine3::from_mat3_translation(qform.matrix3 * DMat3::from_diagonal(lengths), qform.translation);
    let gap = apart(sform, &alike, shape);
    if gap > SAME_SHARE * by_sform.iter().copied().fold(f64::INFINITY, f64::min) {
        let corner = |affine: &DAffine3| said(affine.translation.to_array());
        let turned =
            |affine: &DAffine3| crate::volume::orientation::axis_codes(&Grid { shape, world_from_voxel: *affine });
        let weight = if turned(sform) == turned(&qform) { Note::caution } else { Note::serious };
        notes.push(weight(format!(
            "sform (code {}) and qform (code {}) lie up to {} mm apart: the first voxel lies at {} by the sform, with axes to \
             {}, and at {} by the qform, with axes to {}; the sform is taken, as nibabel does",
            header.sform_code,
            header.qform_code,
            digits(gap),
            corner(sform),
            turned(sform),
            corner(&qform),
            turned(&qform)
        )));
    }
}

/// How far the angle between two axes is from a right one, at most; none of axes without length.
fn skew_degrees(affine: &DAffine3) -> Option<f64> {
    let [x, y, z] = [affine.matrix3.x_axis, affine.matrix3.y_axis, affine.matrix3.z_axis];
    let cosine = |a: DVec3, b: DVec3| (a.dot(b) / (a.length() * b.length())).abs();
    let worst = [cosine(x, y), cosine(y, z), cosine(z, x)].into_iter().fold(0.0, f64::max);
    worst.is_finite().then(|| worst.clamp(0.0, 1.0).asin().to_degrees())
}

/// How far the corners of a grid lie apart by two affines, at most.
fn apart(a: &DAffine3, b: &DAffine3, shape: [usize; 3]) -> f64 {
    let last = shape.map(|n| n as f64 - 1.0);
    let corner =
        |bits: usize| DVec3::from_array([0, 1, 2].map(|axis| if bits >> axis & 1 == 1 { last[axis] } else { 0.0 }));
    let gap = |bits: usize| a.transform_point3(corner(bits)).distance(b.transform_point3(corner(bits)));
    (0..8).map(gap).fold(0.0, f64::max)
}
