//! Files that come from anywhere: which of them are opened and locked, how much of a text is read, and how their words are shown.

use std::borrow::Cow;
use std::fs::{File, FileType, Metadata, TryLockError};
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

/// Opens a regular file. Anything else is an error that says what it is: a pipe would wait for its other end, and a device has no
/// end at all.
pub fn open(path: &Path) -> Result<File> {
    refuse_others(&std::fs::metadata(path)?)?;
    let file = File::open(path)?;
    // Another may have come in its place since.
    refuse_others(&file.metadata()?)?;
    Ok(file)
}

/// How long a lock that this process has given up may still be held by a child process that has just been started: until the child
/// becomes another program, it has every file of this process.
const CHILD_HOLDS: Duration = Duration::from_millis(200);

/// Locks a file for this process alone. `WouldBlock` says that another process holds the lock, and not for a moment only.
pub fn lock(file: &File) -> std::result::Result<(), TryLockError> {
    let start = Instant::now();
    loop {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if start.elapsed() < CHILD_HOLDS => {
                std::thread::sleep(Duration::from_millis(2));
            }
            told => return told,
        }
    }
}

/// Makes a folder that no other user may look into. `with_parents` makes those above it too, and takes it as made where it stands.
pub fn private_folder(folder: &Path, with_parents: bool) -> Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(with_parents);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

/// The SHA-256 of a file's bytes, hex.
pub fn sha256(path: &Path) -> Result<String> {
    let mut hasher = Sha256::new();
    let mut file = open(path)?;
    let mut buffer = vec![0; 1 << 20];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hex::encode(hasher.finalize())),
            n => hasher.update(&buffer[..n]),
        }
    }
}

/// One SHA-256 for several files, of their hashes.
pub fn sha256_of_all(hashes: &[String]) -> String {
    hex::encode(Sha256::digest(hashes.concat()))
}

fn refuse_others(metadata: &Metadata) -> Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    let text = format!("it is {}, where a file is wanted", kind(metadata.file_type()));
    Err(Error::new(ErrorKind::InvalidInput, text))
}

#[cfg(unix)]
fn kind(of: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;

    if of.is_dir() {
        "a folder"
    } else if of.is_fifo() {
        "a pipe"
    } else if of.is_socket() {
        "a socket"
    } else {
        "a device"
    }
}

#[cfg(not(unix))]
fn kind(of: FileType) -> &'static str {
    if of.is_dir() { "a folder" } else { "a device" }
}

/// The whole text of a regular file in UTF-8, of at most `limit_bytes`. No more than that is ever read.
pub fn read_text(path: &Path, limit_bytes: u64) -> Result<String> {
    let mut bytes = Vec::new();
    open(path)?.take(limit_bytes.saturating_add(1)).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > limit_bytes {
        return Err(Error::new(
            ErrorKind::InvalidData,
            format!("it is longer than the {limit_bytes} bytes it may have"),
        ));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        Error::new(ErrorKind::InvalidData, format!("it is no text in UTF-8: byte {at} belongs to no letter"))
    })
}

/// What is wrong with a text that should be JSON, in words that follow its name. The reader's own words stand only where they name a key.
pub fn of_json(error: &serde_json::Error) -> String {
    let line = error.line();
    match error.classify() {
        serde_json::error::Category::Eof => format!("ends in the middle, at line {line}"),
        serde_json::error::Category::Data => {
            let said = error.to_string();
            let key = said.strip_prefix("missing field `").and_then(|rest| rest.split('`').next());
            match key {
                Some(key) => format!("has no \"{}\"", printable(key)),
                None => format!("holds at line {line} another kind of value than belongs there"),
            }
        }
        _ => format!("is no JSON from line {line} on"),
    }
}

/// Whether a letter shows as itself and changes nothing around it: no control character, none that turns the direction of a
/// text, no line separator, and none that is not seen.
pub fn is_plain(letter: char) -> bool {
    let steers = matches!(letter,
        '\u{61c}' | '\u{200b}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}');
    !letter.is_control() && !steers
}

/// A text of a file as a terminal may show it: each letter that is not plain is written as JSON escapes it, `\u001b`. A text of
/// JSON means the same afterwards, as such letters stand only within its strings.
pub fn printable(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_plain) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if is_plain(letter) {
            shown.push(letter);
        } else {
            let mut units = [0; 2];
            shown.extend(letter.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")));
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_read_up_to_its_limit_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("text");
        std::fs::write(&path, "grün").unwrap();
        assert_eq!(read_text(&path, 5).unwrap(), "grün");
        assert!(read_text(&path, 4).unwrap_err().to_string().contains("longer than the 4 bytes"));
        std::fs::write(&path, b"ab\xff").unwrap();
        assert!(read_text(&path, 9).unwrap_err().to_string().contains("byte 2 belongs to no letter"));
    }

    #[test]
    fn what_is_wrong_with_json_is_told_in_words() {
        #[derive(Debug, serde::Deserialize)]
        struct Two {
            #[serde(rename = "a")]
            _a: u8,
            #[serde(rename = "b")]
            _b: u8,
        }
        for (text, said) in [
            ("", "ends in the middle, at line 1"),
            ("{\n\"a\": 1", "ends in the middle, at line 2"),
            ("{\n}}", "has no \"a\""),
            ("{\"a\": 1}", "has no \"b\""),
            ("{\"a\": 1,\n\"b\": \"x\"}", "holds at line 2 another kind of value than belongs there"),
            ("\n\u{0}\u{0}", "is no JSON from line 2 on"),
        ] {
            assert_eq!(of_json(&serde_json::from_str::<Two>(text).unwrap_err()), said, "{text:?}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_lock_is_refused_for_its_holder_alone_and_not_for_a_child_that_just_starts() {
        let folder = tempfile::tempdir().unwrap();
        let opened = || File::create(folder.path().join("lock")).unwrap();
        let (holder, other) = (opened(), opened());
        lock(&holder).unwrap();
        assert!(matches!(lock(&other), Err(TryLockError::WouldBlock)));
        drop((holder, other));
        let starts = || {
            for _ in 0..100 {
                std::process::Command::new("true").current_dir("/").status().unwrap();
            }
        };
        std::thread::scope(|scope| {
            let starting = scope.spawn(starts);
            while !starting.is_finished() {
                lock(&opened()).unwrap();
            }
        });
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_is_named_and_never_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("pipe");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        let socket = folder.path().join("socket");
        let _listening = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        for (path, said) in [
            (pipe.as_path(), "it is a pipe"),
            (socket.as_path(), "it is a socket"),
            (folder.path(), "it is a folder"),
            (Path::new("/dev/zero"), "it is a device"),
        ] {
            let error = read_text(path, 9).unwrap_err().to_string();
            assert!(error.contains(said), "{}: {error}", path.display());
        }
        assert!(open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn letters_that_steer_a_terminal_are_written_out() {
        assert!(matches!(printable("Pleurisy; \u{e9}panchement \u{2265} 2 cm"), Cow::Borrowed(_)));
        assert_eq!(printable("\u{1b}[2Ja\nb\u{9b}\u{202e}\u{7f}"), "\\u001b[2Ja\\u000ab\\u009b\\u202e\\u007f");
        let json = serde_json::to_string("a\u{202e}\u{e0041}b").unwrap();
        assert_eq!(serde_json::from_str::<String>(&printable(&json)).unwrap(), "a\u{202e}\u{e0041}b");
    }
}
