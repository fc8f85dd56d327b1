//! What files and messages say of themselves, cut and changed anywhere.

use parallax::io::{Message, Named};

use super::{SERIES, STUDY, instance, slice};

#[test]
fn a_file_says_its_names_and_one_that_is_cut_or_changed_says_some_or_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a.dcm");
    let whole = slice(3, 16);
    let named = |bytes: &[u8]| {
        std::fs::write(&path, bytes).expect("written");
        Named::of(&path)
    };
    let right = named(&whole).expect("names");
    assert_eq!((right.uid, right.series_uid.as_str(), right.study_uid.as_str()), (instance(3), SERIES, STUDY));
    assert_eq!(
        &whole[right.data_at as usize..right.data_at as usize + 4],
        [8, 0, 0x16, 0],
        "the data set begins with group 8"
    );
    for cut in (0..whole.len() - 512).step_by(3) {
        // Its name stands in the first bytes, before what it is of.
        if let Ok(cut) = named(&whole[..cut]) {
            assert_eq!((cut.uid, cut.class_uid), (instance(3), right.class_uid.clone()));
        }
        Message::of(&whole[cut..]);
    }
    for at in 128..800 {
        let mut changed = whole.clone();
        changed[at] ^= 0xff;
        // Whatever it says then, it is a name that DICOM allows.
        if let Ok(named) = named(&changed) {
            for uid in [named.uid, named.class_uid, named.syntax_uid] {
                assert!(
                    uid.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') && !uid.is_empty(),
                    "{at}: {uid}"
                );
            }
        }
    }
    assert!(named(&whole[128..]).is_err(), "without its preamble it is no file that is kept");
}
