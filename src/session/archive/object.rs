//! The objects that results are sent to an archive as.

use crate::export::Kind;

/// One object of a result, or a series of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    Difference,
    Heatmap,
    Regions,
    Animation,
    /// The counterfactual, which an archive shows like any CT: it goes only when it is asked for.
    Ct,
}

impl Object {
    pub const ALL: [Self; 5] = [Self::Difference, Self::Heatmap, Self::Regions, Self::Animation, Self::Ct];
    /// The objects that go where nothing else is said.
    pub const USUAL: [Self; 4] = [Self::Difference, Self::Heatmap, Self::Regions, Self::Animation];

    /// The name on the screen.
    pub fn title(self) -> &'static str {
        match self {
            Self::Difference => "Difference",
            Self::Heatmap => "Heatmap",
            Self::Regions => "Changed regions",
            Self::Animation => "Animation",
            Self::Ct => "Counterfactual as a CT series",
        }
    }

    /// What it is in DICOM.
    pub fn describe(self) -> &'static str {
        match self {
            Self::Difference => "parametric map, HU; viewers show it over the scan",
            Self::Heatmap => "parametric map of all steps together",
            Self::Regions => "segmentation of what changed by more than the threshold",
            Self::Animation => "secondary capture in colour, which every PACS shows",
            Self::Ct => "synthetic images that look like a scan; each is marked as synthetic, but few viewers tell",
        }
    }

    /// The kind of export that makes it.
    pub fn kind(self) -> Kind {
        if self == Self::Ct { Kind::DicomCt } else { Kind::Dicom }
    }

    /// The name of its file, or the folder of its files, as an export writes them.
    fn path(self) -> &'static str {
        match self {
            Self::Ct => Kind::DicomCt.names()[0],
            one => Kind::Dicom.names()[one as usize],
        }
    }

    /// The object that a file of an export is of.
    pub fn of_file(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|object| name.starts_with(object.path()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_file_of_an_export_is_of_one_object() {
        let of = |name: &str| Object::of_file(name);
        assert_eq!(Kind::Dicom.names().iter().map(|name| of(name)).collect::<Vec<_>>(), Object::USUAL.map(Some));
        assert_eq!(of("dicom/counterfactual/0007.dcm"), Some(Object::Ct));
        assert_eq!((of("dicom/change.dcm"), of("result.json")), (Some(Object::Regions), None));
    }
}
