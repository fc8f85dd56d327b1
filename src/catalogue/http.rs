//! Files of web servers: asked for piece by piece on a thread of its own, so that a cancelled download waits for no server.

use std::fmt::Write as _;
use std::io::{ErrorKind, Read};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use ureq::Agent;
use ureq::http::{HeaderMap, Response};
use ureq::tls::RootCerts;

use super::body::{Answer, Body, Opened, PIECE_BYTES, Source};
use super::error::Error;
use super::hub;
use crate::job::{self, Monitor};
use crate::reach::{self, url};

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);
/// How often the monitor is asked while a server says nothing.
const GLANCE: Duration = Duration::from_millis(50);
/// Pieces that may wait for the disk.
const WAITING: usize = 4;
const MOST_REDIRECTS: usize = 10;
const NO_SERVER: &str =
    "there is no server of this name, or no network; a mirror or a folder serves in its place (--from)";
const UNVOUCHED: &str = "no authority that this system trusts vouches for the server; where your network looks into connections, add its certificate \
         to the system's, or name its file in SSL_CERT_FILE";

/// A file of a web server.
pub(super) struct Web {
    url: String,
}

impl Web {
    pub(super) fn new(address: &str) -> Result<Self, Error> {
        url::check(address).map_err(|what| Error::Refused { what, url: url::shown(address) })?;
        Ok(Self { url: address.to_owned() })
    }
}

impl Source for Web {
    fn open(&self, from: u64, validator: Option<&str>, monitor: &Monitor) -> Result<Answer, Error> {
        let mut headers = Vec::new();
        if from > 0 {
            headers.push(("range", format!("bytes={from}-")));
            headers.extend(validator.map(|validator| ("if-range", validator.to_owned())));
        }
        let (head, stream) = ask(&self.url, headers, monitor)?;
        let refused = |what: String| Error::Refused { what, url: self.url.clone() };
        let (start, total) = match head.status {
            200 => (0, head.length),
            206 => {
                let said = head.range.as_deref().unwrap_or_default();
                let Some((start, end, total)) = range(said) else {
                    return Err(refused(format!("the server sends a part and does not say which: \"{said}\"")));
                };
                let length = end.checked_sub(start).and_then(|less| less.checked_add(1));
                if head.length.is_some_and(|said| Some(said) != length) {
                    return Err(refused(format!("the server says bytes {said}, and sends another number of them")));
                }
                (start, total)
            }
            416 if from > 0 => {
                let total = head.range.as_deref().and_then(|said| said.strip_prefix("bytes */")?.parse().ok());
                return Ok(Answer::Beyond { total });
            }
            _ => return Err(head.unusable(&self.url)),
        };
        if let Some(packed) = head.packed.as_deref().filter(|packed| *packed != "identity") {
            return Err(refused(format!("the server packs the file ({packed}), which it was asked not to do")));
        }
        let validator = head.validator();
        Ok(Answer::Bytes(Opened { start, total, validator, sha256: head.sha256, body: Box::new(stream) }))
    }

    fn address(&self) -> &str {
        &self.url
    }
}

/// A whole text of a web server, and its kind.
pub(super) fn text(
    address: &str,
    accept: &str,
    most_bytes: usize,
    monitor: &Monitor,
) -> Result<(String, String), Error> {
    let refused = |what: String| Error::Refused { what, url: url::shown(address) };
    url::check(address).map_err(refused)?;
    let (head, mut stream) = ask(address, vec![("accept", accept.to_owned())], monitor)?;
    if head.status != 200 {
        return Err(head.unusable(address));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = stream.next(monitor)? {
        bytes.extend(piece);
        if bytes.len() > most_bytes {
            return Err(refused(format!("the server's list is longer than {most_bytes} bytes")));
        }
    }
    let text =
        String::from_utf8(bytes).map_err(|_no_text| refused("the server's list is no text in UTF-8".to_owned()))?;
    Ok((text, head.kind))
}

/// "bytes 5-9/10": the first, the last, and how many there are, where the server knows.
fn range(said: &str) -> Option<(u64, u64, Option<u64>)> {
    let (span, total) = said.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = span.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
    (first <= last && total.is_none_or(|total| last < total)).then_some((first, last, total))
}

/// What a server says before it sends.
struct Head {
    status: u16,
    length: Option<u64>,
    range: Option<String>,
    etag: Option<String>,
    modified: Option<String>,
    packed: Option<String>,
    wait: Option<String>,
    kind: String,
    sha256: Option<String>,
}

impl Head {
    fn of(response: &Response<ureq::Body>, sha256: Option<String>) -> Self {
        let of = |name: &str| header(response.headers(), name);
        Self {
            status: response.status().as_u16(),
            length: of("content-length").and_then(|text| text.parse().ok()),
            range: of("content-range"),
            etag: of("etag"),
            modified: of("last-modified"),
            packed: of("content-encoding"),
            wait: of("retry-after"),
            kind: of("content-type").unwrap_or_default(),
            sha256,
        }
    }

    /// What `If-Range` may be given: a strong tag, else a date. A weak tag is not of these very bytes (RFC 9110, 13.1.5).
    fn validator(&self) -> Option<String> {
        self.etag.clone().filter(|tag| tag.starts_with('"')).or_else(|| self.modified.clone())
    }

    fn unusable(&self, url: &str) -> Error {
        let mut what = match self.status {
            401 | 403 => {
                "the server gives this file to those alone whom it knows; log in on its page, download it there and \
                          give its folder (--from), or use Hugging Face's own client, whose cache Parallax reads"
                    .to_owned()
            }
            404 | 410 => "the server has no such file".to_owned(),
            429 => "the server wants no more requests for now".to_owned(),
            status @ 500.. => format!("the server is in trouble (HTTP {status})"),
            status => format!("the server answers HTTP {status}, where the file was asked for"),
        };
        if let Some(wait) = self.wait.as_deref().filter(|wait| wait.bytes().all(|c| c.is_ascii_digit())) {
            write!(what, "; it says to try again in {wait} s").expect("a text takes any text");
        }
        Error::Refused { what, url: url.to_owned() }
    }
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned) // what is no text is not there
}

/// What the thread that talks to a server hands over.
enum Said {
    Head(Box<Head>),
    Bytes(Vec<u8>),
    End,
    Failed(Error),
}

/// Asks a server, following its redirects.
fn ask(address: &str, headers: Vec<(&'static str, String)>, monitor: &Monitor) -> Result<(Head, Stream), Error> {
    let agent = reach::agent(RootCerts::PlatformVerifier, None, SILENCE);
    let (sender, receiver) = sync_channel(WAITING);
    let (talking, url) = (agent.clone(), address.to_owned());
    job::apart("network", move || talk(&talking, &url, &headers, &sender))
        .map_err(|cause| Error::Refused { what: format!("cannot start a thread: {cause}"), url: address.to_owned() })?;
    let stream = Stream { agent: Some(agent), receiver, url: address.to_owned() };
    match stream.wait(monitor)? {
        Said::Head(head) => Ok((*head, stream)),
        Said::Failed(error) => Err(error),
        Said::Bytes(_) | Said::End => Err(stream.lost()),
    }
}

/// On the thread of its own: asks, then reads until the end, or until no one listens.
fn talk(agent: &Agent, url: &str, headers: &[(&'static str, String)], out: &SyncSender<Said>) {
    let (head, mut response) = match follow(agent, url, headers) {
        Ok(answer) => answer,
        Err(error) => {
            out.send(Said::Failed(error)).ok(); // no one listens
            return;
        }
    };
    if out.send(Said::Head(Box::new(head))).is_err() {
        return;
    }
    let mut reader = response.body_mut().as_reader();
    loop {
        let mut piece = vec![0; PIECE_BYTES];
        let said = match reader.read(&mut piece) {
            Ok(0) => Said::End,
            Ok(read) => {
                piece.truncate(read);
                Said::Bytes(piece)
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => Said::Failed(failed(error.into(), url)),
        };
        let last = matches!(said, Said::End | Said::Failed(_));
        if out.send(said).is_err() || last {
            return;
        }
    }
}

fn follow(agent: &Agent, url: &str, headers: &[(&str, String)]) -> Result<(Head, Response<ureq::Body>), Error> {
    let mut at = url.to_owned();
    let mut sha256 = None;
    for _ in 0..=MOST_REDIRECTS {
        let mut request = agent.get(&at).header("accept-encoding", "identity");
        for (name, value) in headers {
            request = request.header(*name, value);
        }
        let response = if url::is_loopback(&at) {
            // No proxy stands between this machine and itself.
            request.config().proxy(None).build().call()
        } else {
            request.call()
        };
        let response = response.map_err(|error| failed(error, &at))?;
        // Hugging Face says the SHA-256 of a large file before it redirects to where that lies.
        let linked = header(response.headers(), "x-linked-etag");
        sha256 = linked.map(|tag| tag.trim_matches('"').to_lowercase()).filter(|tag| hub::is_sha256(tag)).or(sha256);
        let location = header(response.headers(), "location").filter(|_| response.status().is_redirection());
        let Some(location) = location else { return Ok((Head::of(&response, sha256), response)) };
        at = url::redirected(&at, &location).map_err(|what| Error::Refused { what, url: url.to_owned() })?;
    }
    let what = format!("the server redirects more than {MOST_REDIRECTS} times");
    Err(Error::Refused { what, url: url.to_owned() })
}

/// What went wrong, in words; told apart by whether asking again may help.
fn failed(error: ureq::Error, url: &str) -> Error {
    let url = url.to_owned();
    match reach::Failure::of(error, SILENCE) {
        reach::Failure::Broken(what) => Error::Broken { what, url },
        reach::Failure::NoServer => Error::Refused { what: NO_SERVER.to_owned(), url },
        reach::Failure::Unvouched => Error::Refused { what: UNVOUCHED.to_owned(), url },
        other => Error::Refused { what: other.words("the server"), url },
    }
}

/// What a server still sends. Dropped, it hangs up.
struct Stream {
    agent: Option<Agent>,
    receiver: Receiver<Said>,
    url: String,
}

impl Stream {
    fn wait(&self, monitor: &Monitor) -> Result<Said, Error> {
        loop {
            monitor.check()?;
            match self.receiver.recv_timeout(GLANCE) {
                Ok(said) => return Ok(said),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(self.lost()),
            }
        }
    }

    fn lost(&self) -> Error {
        Error::Broken { what: "the download stopped unexpectedly".to_owned(), url: self.url.clone() }
    }
}

impl Body for Stream {
    fn next(&mut self, monitor: &Monitor) -> Result<Option<Vec<u8>>, Error> {
        match self.wait(monitor)? {
            Said::Bytes(bytes) => Ok(Some(bytes)),
            Said::End => Ok(None),
            Said::Failed(error) => Err(error),
            Said::Head(_) => Err(self.lost()),
        }
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.shutdown();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_that_cannot_be_is_none() {
        assert_eq!(range("bytes 5-9/10"), Some((5, 9, Some(10))));
        assert_eq!(range("bytes 5-9/*"), Some((5, 9, None)));
        for bad in ["", "bytes */10", "bytes 9-5/10", "bytes 5-10/10", "bytes -5/10", "bytes 5-/10", "items 1-2/3"] {
            assert_eq!(range(bad), None, "{bad}");
        }
    }
}
