//! A multipart body (RFC 2046, 5.1), taken apart while it comes: the bytes of each part are passed on in pieces.

use memchr::memmem;

use crate::pacs::error::Error;
use crate::pacs::shelf::Arrival;

/// A boundary has 70 letters at most (RFC 2046, 5.1.1); some servers write more.
const LONGEST_BOUNDARY: usize = 200;
/// What stands before a part's bytes, and what may stand before the first part.
const LONGEST_HEAD: usize = 1 << 16;

/// Why a body is not gone on with.
pub(super) enum Fault {
    /// Whoever takes the parts wants no more.
    Out(Error),
    /// It is no multipart body; what is wrong with it, in words.
    Strange(String),
}

/// The boundary of a content type: `multipart/related; type="application/dicom"; boundary="x"`.
pub(super) fn boundary(kind: &str) -> Option<String> {
    let mut rest = kind.trim();
    if !rest.to_ascii_lowercase().starts_with("multipart/") {
        return None;
    }
    loop {
        let at = parameter(rest)?;
        rest = rest[at..].trim_start();
        let (name, value) = rest.split_once('=')?;
        let is_boundary = name.trim().eq_ignore_ascii_case("boundary");
        let value = value.trim_start();
        let found = match value.strip_prefix('"') {
            Some(quoted) => quoted.split('"').next()?,
            None => value.split([';', ' ', '\t']).next()?,
        };
        if is_boundary {
            let is_fit =
                (1..=LONGEST_BOUNDARY).contains(&found.len()) && found.bytes().all(|b| (b' '..=b'~').contains(&b));
            return is_fit.then(|| found.to_owned());
        }
        rest = value;
    }
}

/// The place behind the next `;` that stands in no quotes.
fn parameter(of: &str) -> Option<usize> {
    let mut quoted = false;
    // A value that begins quoted was left at its first quote.
    for (at, c) in of.char_indices() {
        match c {
            '"' => quoted = !quoted,
            ';' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Before the first boundary.
    Before,
    /// Behind a boundary: its line's end, or the end of all.
    Bound,
    /// Within the header lines of a part.
    Head,
    /// Within the bytes of a part.
    Part,
    /// Behind the last boundary.
    After,
}

/// Takes a body apart. No more of it is held than a head or a boundary.
pub(super) struct Multipart {
    delimiter: Vec<u8>,
    held: Vec<u8>,
    stage: Stage,
}

impl Multipart {
    pub(super) fn new(boundary: &str) -> Self {
        // The line's end before the first boundary may be missing: one is thought before all.
        Self { delimiter: format!("\r\n--{boundary}").into_bytes(), held: b"\r\n".to_vec(), stage: Stage::Before }
    }

    /// Whether the last boundary has come.
    pub(super) fn ended(&self) -> bool {
        self.stage == Stage::After
    }

    /// Takes the next bytes of the body.
    pub(super) fn feed(
        &mut self,
        bytes: &[u8],
        give: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Fault> {
        if self.stage == Stage::After {
            return Ok(()); // an epilogue means nothing
        }
        self.held.extend_from_slice(bytes);
        while self.turn(give)? {}
        Ok(())
    }

    /// One step from stage to stage; whether there may be another.
    fn turn(&mut self, give: &mut dyn FnMut(Arrival) -> Result<(), Error>) -> Result<bool, Fault> {
        match self.stage {
            Stage::Before => match memmem::find(&self.held, &self.delimiter) {
                Some(at) => Ok(self.pass(at + self.delimiter.len(), Stage::Bound)),
                None if self.held.len() > LONGEST_HEAD => {
                    Err(Fault::Strange("the server's answer has no part that begins as it says".to_owned()))
                }
                None => Ok(false),
            },
            Stage::Bound => match self.held.as_slice() {
                [b'-', b'-', ..] => {
                    self.held.clear();
                    self.stage = Stage::After;
                    Ok(false)
                }
                [b'\r', b'\n', ..] => Ok(self.pass(0, Stage::Head)),
                // Spaces may stand behind a boundary.
                [b' ' | b'\t', ..] => Ok(self.pass(1, Stage::Bound)),
                [] | [b'-' | b'\r'] => Ok(false),
                _ => Err(Fault::Strange("the server's answer has a boundary that goes on as none may".to_owned())),
            },
            // The line's end behind the boundary is held: a head without lines ends with it and one more.
            Stage::Head => match memmem::find(&self.held, b"\r\n\r\n") {
                Some(at) => {
                    give(Arrival::Begin).map_err(Fault::Out)?;
                    // An empty part follows its head's last line at once: that line's end may be the boundary's.
                    Ok(self.pass(at + 4, Stage::Part))
                }
                None if self.held.len() > LONGEST_HEAD => Err(Fault::Strange(format!(
                    "a part of the server's answer has more than {LONGEST_HEAD} bytes of header"
                ))),
                None => Ok(false),
            },
            Stage::Part => self.part(give),
            Stage::After => Ok(false),
        }
    }

    /// Passes on what belongs to a part for sure.
    fn part(&mut self, give: &mut dyn FnMut(Arrival) -> Result<(), Error>) -> Result<bool, Fault> {
        if let Some(at) = memmem::find(&self.held, &self.delimiter) {
            let piece: Vec<u8> = self.held.drain(..at + self.delimiter.len()).take(at).collect();
            if !piece.is_empty() {
                give(Arrival::Bytes(piece)).map_err(Fault::Out)?;
            }
            give(Arrival::End).map_err(Fault::Out)?;
            self.stage = Stage::Bound;
            return Ok(true);
        }
        // The beginning of a boundary may stand at the end.
        let sure = self.held.len().saturating_sub(self.delimiter.len() - 1);
        if sure > 0 {
            let piece: Vec<u8> = self.held.drain(..sure).collect();
            give(Arrival::Bytes(piece)).map_err(Fault::Out)?;
        }
        Ok(false)
    }

    fn pass(&mut self, count: usize, to: Stage) -> bool {
        self.held.drain(..count);
        self.stage = to;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The parts of a body that comes in pieces of so many bytes.
    fn parts(body: &[u8], boundary: &str, piece: usize) -> Result<(Vec<Vec<u8>>, bool), String> {
        let (mut multipart, mut parts, mut whole) = (Multipart::new(boundary), Vec::new(), Vec::new());
        for bytes in body.chunks(piece) {
            let mut give = |arrival| {
                match arrival {
                    Arrival::Begin => parts.push(Vec::new()),
                    Arrival::Bytes(bytes) => parts.last_mut().expect("begun").extend(bytes),
                    Arrival::End => whole.push(parts.len()),
                }
                Ok(())
            };
            match multipart.feed(bytes, &mut give) {
                Ok(()) => {}
                Err(Fault::Strange(what)) => return Err(what),
                Err(Fault::Out(error)) => return Err(error.to_string()),
            }
        }
        parts.truncate(whole.len());
        Ok((parts, multipart.ended()))
    }

    #[test]
    fn parts_are_the_same_however_the_body_is_cut() {
        let body = b"preamble\r\n--b\r\nContent-Type: application/dicom\r\nContent-Length: 999\r\n\r\none\r\n-\r\n--\r\nb\r\n--b \r\n\r\n\r\n--b\r\nX: y\r\n\r\n\r\n--bb\r\n--b--\r\nafter";
        for piece in [1, 2, 3, 7, 1000] {
            // A part that holds the boundary with more behind it is no part: here it ends the body in words.
            assert!(parts(body, "b", piece).is_err(), "{piece}");
            let body = body.as_slice();
            let honest: Vec<u8> = String::from_utf8_lossy(body).replace("--bb", "--c").into_bytes();
            let (found, ended) = parts(&honest, "b", piece).unwrap();
            assert_eq!(found, [b"one\r\n-\r\n--\r\nb".to_vec(), b"".to_vec(), b"\r\n--c".to_vec()], "{piece}");
            assert!(ended);
        }
    }

    #[test]
    fn a_body_that_is_cut_or_none_at_all_is_told() {
        let whole = b"--b\r\n\r\n\r\nabc\r\n--b--";
        for cut in 0..whole.len() - 1 {
            let (_, ended) = parts(&whole[..cut], "b", 5).unwrap();
            assert!(!ended, "{cut}");
        }
        assert!(parts(&vec![b'x'; 1 << 17], "b", 1 << 10).unwrap_err().contains("no part that begins"));
        let endless = [b"--b\r\n".to_vec(), vec![b'h'; 1 << 17]].concat();
        assert!(parts(&endless, "b", 1 << 10).unwrap_err().contains("bytes of header"));
        let spaces = [b"--b".to_vec(), vec![b' '; 1 << 17]].concat();
        assert!(!parts(&spaces, "b", 1 << 10).unwrap().1);
    }

    #[test]
    fn a_boundary_is_found_in_and_out_of_quotes() {
        for (kind, found) in [
            ("multipart/related; boundary=abc", Some("abc")),
            ("Multipart/Related;Type=\"application/dicom\";Boundary=\"a; b=c\"", Some("a; b=c")),
            ("multipart/related; type=\"x; boundary=no\"; boundary=yes; start=z", Some("yes")),
            ("multipart/related", None),
            ("multipart/related; boundary=", None),
            ("multipart/related; boundary=\"\u{e9}\"", None),
            ("text/html; boundary=abc", None),
        ] {
            assert_eq!(boundary(kind).as_deref(), found, "{kind}");
        }
        assert_eq!(boundary(&format!("multipart/related; boundary={}", "a".repeat(201))), None);
    }
}
