//! The project's pages, as tests read them: which there are, and their fenced blocks.

use std::path::{Path, PathBuf};

/// A fenced block of a page.
#[derive(Debug)]
pub(crate) struct Block {
    /// The page, from the project's root.
    pub(crate) page: String,
    /// "sh", "python", "toml", or nothing.
    pub(crate) language: String,
    pub(crate) text: String,
    /// The line before it: a comment may say why it is not run.
    pub(crate) before: String,
}

impl Block {
    /// What its first line calls the file: `# train.py`.
    pub(crate) fn file(&self) -> Option<&str> {
        let name = self.text.lines().next()?.strip_prefix("# ")?;
        Path::new(name).extension().is_some_and(|ext| ext == "py" || ext == "toml").then_some(name)
    }

    /// What a comment such as `<!-- not run: it builds -->` says behind its beginning.
    pub(crate) fn said(&self, beginning: &str) -> Option<&str> {
        let comment = self.before.strip_prefix("<!-- ")?.strip_suffix(" -->")?;
        comment.strip_prefix(beginning)?.strip_prefix(": ")
    }
}

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every page in Markdown of the project, from its root, in the order of their names.
pub(crate) fn pages() -> Vec<String> {
    let pages = ["", "docs"].into_iter().flat_map(|folder| {
        let entries = std::fs::read_dir(root().join(folder)).expect("the folder is there");
        entries.map(move |entry| PathBuf::from(folder).join(entry.expect("readable").file_name()))
    });
    let pages = pages.filter(|path| path.extension().is_some_and(|ext| ext == "md"));
    let mut pages: Vec<String> = pages.map(|path| path.to_str().expect("plain names").to_owned()).collect();
    pages.sort();
    pages
}

pub(crate) fn text(page: &str) -> String {
    std::fs::read_to_string(root().join(page)).unwrap_or_else(|error| panic!("{page}: {error}"))
}

pub(crate) fn blocks(page: &str) -> Vec<Block> {
    let (mut found, mut before) = (Vec::new(), String::new());
    let text = text(page);
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let body: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            let text = body.iter().flat_map(|line| [*line, "\n"]).collect();
            found.push(Block { page: page.to_owned(), language: language.to_owned(), text, before: before.clone() });
        }
        line.clone_into(&mut before);
    }
    found
}

/// The page without its fenced blocks.
pub(crate) fn prose(page: &str) -> String {
    let text = text(page);
    let mut inside = false;
    let outside = text.lines().filter(|line| {
        let fence = line.starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    outside.flat_map(|line| [line, "\n"]).collect()
}

/// A folder as the pages have it: the assets lie there, and `parallax` and what `programs` holds are on the path that is returned.
#[cfg(unix)]
pub(crate) fn place(folder: &Path, programs: Option<&Path>) -> std::ffi::OsString {
    std::os::unix::fs::symlink(root().join("assets"), folder.join("assets")).expect("a link");
    let binary = Path::new(env!("CARGO_BIN_EXE_parallax")).parent().expect("a folder").to_owned();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let first = programs.map(Path::to_owned).into_iter().chain([binary]);
    std::env::join_paths(first.chain(std::env::split_paths(&path))).expect("plain names")
}

/// Runs a block of commands there, and fails with what they said where one of them fails.
#[cfg(unix)]
pub(crate) fn run(block: &Block, folder: &Path, path: &std::ffi::OsStr) {
    let mut shell = std::process::Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &block.text]).current_dir(folder).env("PATH", path);
    let output = shell.output().expect("a shell");
    let said = [&output.stdout, &output.stderr].map(|said| String::from_utf8_lossy(said).into_owned());
    assert!(output.status.success(), "{}\n{}\n{}", block.page, block.text, said.join("\n"));
}
