//! Statuses of archives, in words (PS3.4, annexes B and C; PS3.7, annex C).

/// Answers that are not the last one.
pub(super) fn is_pending(status: u16) -> bool {
    matches!(status, 0xff00 | 0xff01)
}

/// Why a query or a retrieval ended without success.
pub(super) fn of_query(status: u16) -> String {
    let words = match status {
        0xa700..=0xa7ff => "the archive is out of resources",
        0xa801 => {
            "the archive does not know where to deliver: its administrator enters this program's AE title with host and port"
        }
        0xa900..=0xa9ff => "the archive says that the question does not fit what it is about",
        0xb000 => "the archive could not give all of it",
        0xfe00 => "the archive broke it off",
        0x0122 => "the archive does not do this",
        0x0124 => "the archive does not allow it",
        0xc000..=0xcfff => "the archive cannot do it",
        u16::MAX => "the archive's answer has no status",
        _ => "the archive refuses",
    };
    format!("{words} (status {status:#06x})")
}

/// Why an object was not stored.
pub(super) fn of_store(status: u16) -> String {
    let words = match status {
        0xa700..=0xa7ff => "the archive is out of room",
        0xa900..=0xa9ff => "the archive says that it is not what it says it is",
        0xc000..=0xcfff => "the archive does not understand it",
        0x0111 => "it is there already",
        0x0117 => "its UID is no valid one",
        0x0122 => "the archive takes no objects of this kind",
        0x0124 => "the archive does not allow it",
        u16::MAX => "the archive's answer has no status",
        _ => "the archive refuses it",
    };
    format!("{words} (status {status:#06x})")
}

/// What an archive complains of that it stored; nothing where it does not.
pub(super) fn warning(status: u16) -> Option<String> {
    let words = match status {
        0xb000 => "the archive changed some of its values",
        0xb006 => "the archive left some of its elements out",
        0xb007 => "the archive says that it is not what it says it is",
        0x0001 | 0x0107 | 0x0116 | 0xb001..=0xbfff => "the archive complains",
        _ => return None,
    };
    Some(format!("{words} (status {status:#06x})"))
}
