//! Hugging Face's cache on this machine, read: a file that its own client fetched need not be fetched again.
//!
//! Layout: `models--OWNER--NAME/{blobs,refs,snapshots}`; `refs/main` holds a revision, `snapshots/REVISION/FILE` is a link into `blobs`,
//! whose names are the SHA-256 of large files. Source: `huggingface_hub`, "Understand caching".
//!
//! A card may name such a file by `hf://OWNER/NAME[@REVISION]/FILE`, as `huggingface_hub`'s own file system spells it.

use std::path::{Component, Path, PathBuf};

use crate::files;

const SCHEME: &str = "hf://";
/// The branch that a repository has without further words.
const MAIN: &str = "main";
/// A revision has 40 digits; a name of a branch is seldom longer.
const MAX_REVISION_BYTES: u64 = 256;

/// A file of a repository of the hub.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address<'a> {
    owner: &'a str,
    name: &'a str,
    revision: &'a str,
    file: &'a str,
}

/// A file that lies in the cache.
pub(super) struct Cached {
    pub(super) path: PathBuf,
    /// As the cache's own name says it.
    pub(super) sha256: Option<String>,
}

impl<'a> Address<'a> {
    /// Reads an address `https://huggingface.co/OWNER/NAME/resolve/REVISION/FILE`; none where it is another.
    pub(super) fn of(url: &'a str) -> Option<Self> {
        let mut parts = url.strip_prefix("https://huggingface.co/")?.splitn(5, '/');
        let (owner, name, resolve) = (parts.next()?, parts.next()?, parts.next()?);
        let (revision, file) = (parts.next()?, parts.next()?);
        (resolve == "resolve").then_some(Self { owner, name, revision, file })
    }

    /// Reads what follows `hf://`; none where it is no `OWNER/NAME[@REVISION]/FILE` of plain letters.
    fn named(text: &'a str) -> Option<Self> {
        let mut parts = text.splitn(3, '/');
        let (owner, name, file) = (parts.next()?, parts.next()?, parts.next()?);
        let (name, revision) = name.split_once('@').unwrap_or((name, MAIN));
        let plain = |text: &str| {
            let letters = text.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
            letters && !text.is_empty() && !text.starts_with(['.', '-'])
        };
        let all_plain = [owner, name, revision].into_iter().chain(file.split('/')).all(plain);
        all_plain.then_some(Self { owner, name, revision, file })
    }

    /// The command of Hugging Face's own client that brings the file into its cache.
    fn command(&self) -> String {
        let Self { owner, name, revision, file } = self;
        let revision = if *revision == MAIN { String::new() } else { format!(" --revision {revision}") };
        format!("huggingface-cli download {owner}/{name} {file}{revision}")
    }

    /// Where it lies in a cache, if it does.
    pub(super) fn within(&self, cache: &Path) -> Option<Cached> {
        let repository = cache.join(format!("models--{}--{}", self.owner, self.name));
        let reference = repository.join("refs").join(self.revision);
        // Without the reference the address may name a revision itself.
        let revision = files::read_text(&reference, MAX_REVISION_BYTES).unwrap_or_else(|_| self.revision.to_owned());
        let revision = revision.trim();
        // What a file says never leads out of the cache.
        if revision.is_empty() || !revision.chars().all(|c| c.is_ascii_alphanumeric()) {
            return None;
        }
        let path = repository.join("snapshots").join(revision).join(self.file);
        let stays = Path::new(self.file).components().all(|part| matches!(part, Component::Normal(_)));
        if !stays || !path.is_file() {
            return None;
        }
        let blob = path.canonicalize().ok()?; // a file that cannot be followed is as good as not there
        let sha256 = blob.file_name()?.to_str().filter(|name| is_sha256(name)).map(str::to_owned);
        Some(Cached { path, sha256 })
    }
}

/// The file that a text names by `hf://OWNER/NAME[@REVISION]/FILE`, where it lies in one of these caches. None where the text begins
/// otherwise; an error in words, with the command that fetches it, where no cache holds the file. Nothing is fetched.
pub fn named_file(text: &str, caches: &[PathBuf]) -> Option<Result<PathBuf, String>> {
    let rest = text.strip_prefix(SCHEME)?;
    let Some(address) = Address::named(rest) else {
        let shown = files::printable(text);
        return Some(Err(format!(
            "\"{shown}\" names no file; write hf://OWNER/NAME/FILE or hf://OWNER/NAME@REVISION/FILE"
        )));
    };
    let found = caches.iter().find_map(|cache| address.within(cache));
    Some(found.map(|cached| cached.path).ok_or_else(|| {
        let looked: Vec<_> = caches.iter().map(|cache| cache.display().to_string()).collect();
        format!(
            "{text} is not in Hugging Face's cache, {}; fetch it with its own client: {} (`hf download` in newer ones)",
            looked.join(", "),
            address.command()
        )
    }))
}

/// Whether a text is a SHA-256 in hex.
pub(super) fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_hub_is_taken_apart() {
        let found =
            Address::of("https://huggingface.co/stanfordmimi/MedVAE/resolve/main/model_weights/v.ckpt").unwrap();
        let (owner, name, revision, file) = ("stanfordmimi", "MedVAE", "main", "model_weights/v.ckpt");
        assert_eq!(found, Address { owner, name, revision, file });
        assert_eq!(Address::of("https://github.com/a/b/releases/download/c/d"), None);
        assert_eq!(Address::of("https://huggingface.co/a/b/blob/main/c"), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_reference_that_leads_out_of_the_cache_is_not_followed() {
        let cache = tempfile::tempdir().unwrap();
        let repository = cache.path().join("models--a--b");
        std::fs::create_dir_all(repository.join("refs")).unwrap();
        std::fs::create_dir_all(repository.join("snapshots/0af1")).unwrap();
        std::fs::create_dir_all(repository.join("blobs")).unwrap();
        let hash = "0".repeat(64);
        std::fs::write(repository.join("blobs").join(&hash), "x").unwrap();
        std::os::unix::fs::symlink(format!("../../blobs/{hash}"), repository.join("snapshots/0af1/f.pt")).unwrap();
        let address = Address::of("https://huggingface.co/a/b/resolve/main/f.pt").unwrap();
        assert!(address.within(cache.path()).is_none(), "no reference");
        std::fs::write(repository.join("refs/main"), "0af1\n").unwrap();
        let found = address.within(cache.path()).unwrap();
        assert_eq!(found.sha256, Some(hash));
        assert!(found.path.ends_with("snapshots/0af1/f.pt"));
        let caches = [cache.path().to_owned()];
        let named = |text: &str| named_file(text, &caches).unwrap();
        for text in ["hf://a/b/f.pt", "hf://a/b@main/f.pt", "hf://a/b@0af1/f.pt"] {
            assert_eq!(named(text), Ok(found.path.clone()), "{text}");
        }
        let gone = named("hf://a/b@v2/g/f.pt").unwrap_err();
        assert!(gone.contains("huggingface-cli download a/b g/f.pt --revision v2"), "{gone}");
        std::fs::write(repository.join("refs/main"), "../snapshots/0af1").unwrap();
        assert!(address.within(cache.path()).is_none());
    }

    #[test]
    fn a_name_that_could_lead_out_of_the_cache_or_into_a_command_is_no_name() {
        assert_eq!(named_file("net.pt", &[]), None);
        for bad in [
            "a/b", "a//f", "a/b/", "../b/f", "a/b/../f", "a/b@../f", "a/b@/f", "a/b/f;g", "a/b/f g", "a/-b/f", "a/b/.f",
        ] {
            let said = named_file(&format!("hf://{bad}"), &[]).unwrap().unwrap_err();
            assert!(said.contains("names no file; write hf://OWNER/NAME/FILE"), "{bad}: {said}");
        }
    }
}
