//! What the program writes is its user's alone: one place makes files, and what else makes any is known.

use std::path::Path;

use super::architecture::files;

/// What makes a file or a folder without saying for whom, and where it may stand all the same, with the reason.
const MAKERS: [(&str, &[(&str, &str)]); 6] = [
    (
        "fs::write(",
        &[
            ("src/machine.rs", "it clears a counter of the system's"),
            ("src/session/archive/thumbnails.rs", "it lies in a folder of the user's own, which goes at once"),
        ],
    ),
    ("File::create(", &[("src/export/write/set.rs", "it lies in a folder of the user's own")]),
    (
        "File::options(",
        &[
            ("src/cohort/place.rs", "it is a lock in a folder of the user's own"),
            ("src/export/write/set.rs", "it names the mode"),
        ],
    ),
    (
        "OpenOptions::new(",
        &[
            ("src/catalogue/get.rs", "it names the mode"),
            ("src/catalogue/part.rs", "it names the mode"),
            ("src/pacs/log.rs", "it names the mode"),
            ("src/pacs/shelf.rs", "it names the mode"),
            ("src/study/answers.rs", "it names the mode"),
        ],
    ),
    ("create_dir_all(", &[]),
    ("create_dir(", &[]),
];

#[test]
fn files_that_others_could_read_are_made_nowhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut wrong = Vec::new();
    for path in files("src", &["rs"]) {
        let text = std::fs::read_to_string(&path).expect("readable");
        let program = text.split("\nmod tests {").next().unwrap_or_default();
        let name = path.strip_prefix(root).expect("a file of the program").display().to_string();
        for (maker, allowed) in MAKERS {
            if program.contains(maker) && !allowed.iter().any(|(file, _)| *file == name) {
                wrong.push(format!(
                    "{name} calls {maker}…): export::write makes files and folders that no other user may read"
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
