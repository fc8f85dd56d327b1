//! The paths that a source file names, as the compiler would begin to resolve them: no more of Rust than that needs.

use std::collections::BTreeSet;

/// One path, braces of `use` written out.
#[derive(Debug)]
pub(crate) struct Named {
    /// Where it stands, inline modules included: `["io", "nifti", "tests"]`.
    module: Vec<String>,
    /// `["candle_core", "Tensor"]`; the first is empty for a leading `::`, the last may be `*` or `self`.
    pub(crate) segments: Vec<String>,
    /// A `use` of a single name is a crate; any other single name is a variable or the like.
    imported: bool,
    /// A `pub use`: what it names is found here too.
    passed_on: bool,
    /// The first name was declared or imported from this crate, right there.
    local: bool,
}

impl Named {
    /// The top-level module of this crate that it leads to: by `crate`, or by more `super` than it stands deep.
    pub(crate) fn ours(&self) -> Option<&String> {
        let names: Vec<_> = self.segments.iter().skip_while(|name| *name == "self").collect();
        let up = names.iter().take_while(|name| **name == "super").count();
        let root = if names.first().is_some_and(|name| *name == "crate") {
            1
        } else if up > 0 && up >= self.module.len() {
            up
        } else {
            return None;
        };
        names.get(root).copied()
    }

    /// The crate that it leads to, if it is not this one.
    pub(crate) fn krate(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [none, name, ..] if none.is_empty() => Some(name),
            [first, rest @ ..] if !within(first) && !self.local && (self.imported || !rest.is_empty()) => Some(first),
            _ => None,
        }
    }

    /// Where it leads to from the crate's root, if it stays in this crate: `["io", "nifti", "open"]`.
    pub(crate) fn absolute(&self) -> Option<Vec<String>> {
        let mut names = self.segments.iter().peekable();
        let mut at = match names.peek().map(|name| name.as_str()) {
            Some("crate") => Vec::new(),
            Some("self" | "super") => self.module.clone(),
            Some(first) if self.local && !self.imported => return self.in_scope(first),
            _ => return None,
        };
        for name in names {
            match name.as_str() {
                "crate" | "self" => {}
                "super" => _ = at.pop()?,
                name => at.push(name.to_owned()),
            }
        }
        Some(at)
    }

    /// `child::f` where `mod child;` stands in the same file. What was imported is counted where it was.
    fn in_scope(&self, first: &str) -> Option<Vec<String>> {
        (self.segments.len() > 1 && first.chars().all(|c| c.is_lowercase() || c == '_'))
            .then(|| [self.module.as_slice(), self.segments.as_slice()].concat())
    }

    pub(crate) fn passed_on(&self) -> bool {
        self.passed_on
    }

    pub(crate) fn in_tests(&self) -> bool {
        self.module.iter().any(|name| name == "tests")
    }
}

/// Whether a path that begins so stays in this crate.
fn within(first: &str) -> bool {
    ["crate", "self", "super", "Self"].contains(&first)
}

/// Every path of a file that is `module`.
pub(crate) fn named(text: &str, module: &[String]) -> Vec<Named> {
    let (words, module) = (words(text), module.to_vec());
    let mut reader = Reader { words, at: 0, module, found: Vec::new(), passes_on: false, locals: BTreeSet::new() };
    reader.file();
    for path in &mut reader.found {
        path.local = reader.locals.contains(&(path.module.clone(), path.segments[0].clone()));
    }
    reader.found
}

struct Reader {
    words: Vec<String>,
    at: usize,
    module: Vec<String>,
    found: Vec<Named>,
    /// Whether the `use` that is being read is a `pub use`.
    passes_on: bool,
    /// Names of this crate, and the module in whose scope they stand.
    locals: BTreeSet<(Vec<String>, String)>,
}

impl Reader {
    fn word(&self, ahead: usize) -> &str {
        self.words.get(self.at + ahead).map_or(";", String::as_str)
    }

    fn is(&self, words: &[&str]) -> bool {
        words.iter().enumerate().all(|(ahead, word)| self.word(ahead) == *word)
    }

    fn file(&mut self) {
        let mut open = Vec::new(); // whether each open brace is an inline module's
        while self.at < self.words.len() {
            if self.is(&["mod"]) && is_name(self.word(1)) {
                let name = self.word(1).to_owned();
                self.locals.insert((self.module.clone(), name.clone()));
                self.at += 2;
                if self.is(&["{"]) {
                    self.at += 1;
                    self.module.push(name);
                    open.push(true);
                }
            } else if self.is(&["use"]) || self.is(&["extern", "crate"]) {
                let before = self.at.checked_sub(1).map(|at| self.words[at].as_str());
                self.passes_on = matches!(before, Some("pub" | ")"));
                self.at += if self.is(&["use"]) { 1 } else { 2 };
                self.tree(&[]);
            } else if self.is(&["{"]) {
                self.at += 1;
                open.push(false);
            } else if self.is(&["}"]) {
                self.at += 1;
                if open.pop() == Some(true) {
                    self.module.pop();
                }
            } else if is_name(self.word(0)) {
                self.path();
            } else {
                // Behind `::<T>::` a path goes on: no new one begins there.
                self.at += if self.is(&["::"]) && is_name(self.word(1)) { 2 } else { 1 };
            }
        }
    }

    /// `a::b::c` in code.
    fn path(&mut self) {
        let mut segments = vec![self.word(0).to_owned()];
        self.at += 1;
        while self.is(&["::"]) && is_name(self.word(1)) {
            segments.push(self.word(1).to_owned());
            self.at += 2;
        }
        self.found.push(Named {
            module: self.module.clone(),
            segments,
            imported: false,
            passed_on: false,
            local: false,
        });
    }

    /// `a::{b, c::{self, d as e}, f::*}` behind `use`.
    fn tree(&mut self, before: &[String]) {
        let mut segments = before.to_vec();
        while is_name(self.word(0)) || self.is(&["*"]) {
            segments.push(self.word(0).to_owned());
            self.at += 1;
            if self.is(&["::"]) {
                self.at += 1;
                continue;
            }
            let mut name = segments.iter().rev().find(|name| *name != "self").cloned();
            if self.is(&["as"]) {
                name = Some(self.word(1).to_owned());
                self.at += 2;
            }
            if within(&segments[0]) {
                self.locals.extend(name.map(|name| (self.module.clone(), name)));
            }
            let (module, passed_on) = (self.module.clone(), self.passes_on);
            self.found.push(Named { module, segments, imported: true, passed_on, local: false });
            return;
        }
        if self.is(&["{"]) {
            self.at += 1;
            while !self.is(&["}"]) && self.at < self.words.len() {
                self.tree(&segments);
                if !self.is(&["}"]) {
                    self.at += 1;
                }
            }
            self.at += 1;
        }
    }
}

/// A name, a keyword or a number; or the nothing that stands before a leading `::`.
fn is_name(word: &str) -> bool {
    word.chars().all(|c| c.is_alphanumeric() || c == '_')
}

/// Names, `::` and single signs; before a leading `::`, an empty name. Comments and the insides of strings are no code.
pub(crate) fn words(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let (mut rest, mut joined) = (text, false);
    while let Some(first) = rest.chars().next() {
        let (length, code) = next(rest, first);
        let piece = &rest[..length];
        if piece == "::" && !joined {
            found.push(String::new());
        }
        if code && !first.is_whitespace() {
            found.push(piece.to_owned());
        }
        joined = code && piece.ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == '>');
        rest = &rest[length..];
    }
    found
}

/// How many bytes the next piece of `text` takes, and whether it is code.
fn next(text: &str, first: char) -> (usize, bool) {
    let up_to = |end: &str, from: usize| text[from..].find(end).map_or(text.len(), |at| from + at + end.len());
    let name = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
    match first {
        '/' if text.starts_with("//") => (text.find('\n').unwrap_or(text.len()), false),
        '/' if text.starts_with("/*") => (up_to("*/", 2), false),
        '"' => (quoted(text), false),
        '\'' if text.starts_with("'\\") => (up_to("'", 3), false),
        '\'' if text.chars().nth(2) == Some('\'') => (up_to("'", 1), false),
        'r' | 'b' | 'c' if ["r", "br", "cr"].contains(&&text[..name]) => {
            let marks = text[name..].chars().take_while(|c| *c == '#').count();
            if text[name + marks..].starts_with('"') {
                (up_to(&format!("\"{}", "#".repeat(marks)), name + marks + 1), false)
            } else {
                (name, true)
            }
        }
        _ if name > 0 => (name, true),
        ':' if text.starts_with("::") => (2, true),
        _ => (first.len_utf8(), true),
    }
}

/// The length of a string with its quotes.
fn quoted(text: &str) -> usize {
    let mut escaped = true; // the first quote
    for (at, c) in text.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    text.len()
}

#[test]
fn the_reader_sees_single_and_braced_names_and_those_reached_through_parents() {
    let ours = |module: &[&str], text: &str| -> Vec<String> {
        let module: Vec<_> = module.iter().map(|&name| name.to_owned()).collect();
        named(text, &module).iter().filter_map(Named::ours).cloned().collect()
    };
    let text = "use crate::io::{self, Scan};\nuse crate::{job::Monitor, volume};\nlet x = crate::nn::conv();";
    assert_eq!(ours(&["ui", "app"], text), ["io", "io", "job", "volume", "nn"]);
    assert_eq!(ours(&["ui"], "use crate::*; use crate::{self as us};"), ["*", "self"], "which are no modules");
    let text = "use super::super::super::ui::App; use super::super::Card; pub(super) fn f(_: super::config::Sizes) {}";
    assert_eq!(ours(&["models", "vqgan", "blocks"], text), ["ui"]);
    let text = "mod tests { use super::*; fn f() { super::super::gpu::f() } } use super::{frame, super::x};";
    assert_eq!(ours(&["job"], text), ["gpu", "frame", "x"]);
    let text =
        "/* crate::ui */ f(\"crate::ui // \\\"\", '\"', r#\"\"crate::ui\"#); crate::io::f::<'a, u8>() // crate::ui";
    assert_eq!(ours(&["export"], text), ["io"]);
}

#[test]
fn the_reader_tells_a_crate_from_a_module_of_its_name() {
    let crates = |text: &str| -> Vec<String> {
        let found = named(text, &["io".to_owned()]);
        found.iter().filter_map(Named::krate).filter(|name| *name != "Vec").map(str::to_owned).collect()
    };
    assert_eq!(
        crates("use a; use b::{self, c::D}; e::f(); extern crate g; -> ::h::I; #[j::k]"),
        ["a", "b", "b", "e", "g", "h", "j"]
    );
    assert_eq!(crates("let image = image.zip(zip); image: Self::image, Vec::<u8>::new()"), [""; 0]);
    // Only the name that was declared, only where it was, and not behind a leading `::`.
    let text = "mod nifti; nifti::open(); ::nifti::read(); zip::open(); mod tests { use nifti::Volume; }";
    assert_eq!(crates(text), ["nifti", "zip", "nifti"]);
    assert_eq!(crates("use crate::export::{nifti, png as image}; nifti::f(); image::f(); png::f();"), ["png"]);
}
