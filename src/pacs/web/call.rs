//! Requests to a DICOMweb server, and what is wrong where one is not answered, in words.

use std::io::Read;
use std::time::Instant;

use base64::Engine as _;
use ureq::http::{HeaderMap, Method, Request, Response};
use ureq::tls::{Certificate, ClientCert, PemItem, PrivateKey, RootCerts, parse_pem};
use ureq::{Agent, AsSendBody, Body, SendBody};

use super::multipart::{Multipart, boundary};
use crate::files;
use crate::job::Monitor;
use crate::pacs::apart::{self, Out};
use crate::pacs::error::Error;
use crate::pacs::pace::{Pace, silence};
use crate::pacs::secret::Secret;
use crate::pacs::setting::Setting;
use crate::pacs::shelf::Arrival;
use crate::pacs::source::{Certificates, Login, Source, Web};
use crate::reach::{self, Failure, url};

/// Ten thousand studies take a tenth of this.
const MOST_LIST_BYTES: usize = 128 << 20;
const PIECE_BYTES: usize = 1 << 17;
const MOST_PEM_BYTES: u64 = 1 << 20;
/// A message shows as many letters of a server's own words as this.
const MOST_WORDS: usize = 200;

/// What every request needs. Cheap to clone.
#[derive(Clone)]
pub(super) struct Asks {
    source: Source,
    base: String,
    authorization: Option<String>,
    agent: Agent,
}

impl Asks {
    pub(super) fn new(source: &Source, web: &Web, secret: Option<&Secret>) -> Result<Self, Error> {
        let no_secret = |what: &str| Error::refused(format!("it wants a {what}, and none was given"), source);
        let authorization = match (&web.login, secret) {
            (Login::None, _) => None,
            (Login::Basic { user }, Some(secret)) => {
                let both = format!("{user}:{}", secret.reveal());
                Some(format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both)))
            }
            (Login::Bearer, Some(secret)) => Some(format!("Bearer {}", secret.reveal())),
            (Login::Basic { .. }, None) => return Err(no_secret("password")),
            (Login::Bearer, None) => return Err(no_secret("token")),
        };
        if authorization.as_ref().is_some_and(|said| !said.bytes().all(|byte| (b' '..=b'~').contains(&byte))) {
            return Err(Error::refused("the token holds letters that no token has", source));
        }
        let (roots, certificate) = certificates(&web.certificates)?;
        let agent = reach::agent(roots, certificate, silence());
        let base = web.url.trim_end_matches('/').to_owned();
        Ok(Self { source: source.clone(), base, authorization, agent })
    }

    pub(super) fn source(&self) -> &Source {
        &self.source
    }

    /// The objects of a list, as JSON.
    pub(super) fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        monitor: &Monitor,
    ) -> Result<Vec<serde_json::Value>, Error> {
        let (asks, path, query) = (self.clone(), path.to_owned(), owned(query));
        let text = apart::talk(
            &self.source,
            monitor,
            move |out: &Out<(), Option<Vec<u8>>>| {
                let agent = asks.connected(out);
                let mut response =
                    asks.request(&agent, Method::GET, &path, &query, &[("accept", "application/dicom+json")], None)?;
                match response.status().as_u16() {
                    200 => {}
                    204 => return Ok(None),
                    status => return Err(asks.unusable(status, &format!("a list ({path})"))),
                }
                let kind = header(response.headers(), "content-type").unwrap_or_default();
                if kind.contains("html") || kind.contains("xml") {
                    return Err(asks.no_list(&kind));
                }
                let mut bytes = Vec::new();
                asks.read(&mut response, |piece| {
                    bytes.extend_from_slice(piece);
                    if bytes.len() > MOST_LIST_BYTES {
                        let what =
                            format!("the server's list is longer than {} MB; look for less", MOST_LIST_BYTES >> 20);
                        return Err(Error::refused(what, &asks.source));
                    }
                    out.alive()
                })?;
                Ok(Some(bytes))
            },
            |()| Ok(()),
        )?;
        let Some(text) = text.filter(|text| !text.iter().all(u8::is_ascii_whitespace)) else { return Ok(Vec::new()) };
        match serde_json::from_slice(&text) {
            Ok(serde_json::Value::Array(all)) => Ok(all),
            _ => Err(self.no_list("what is no JSON list")),
        }
    }

    /// Gives the parts of answers, one after the other, over one connection where the server keeps it.
    pub(super) fn parts(
        &self,
        paths: &[String],
        accept: &'static str,
        monitor: &Monitor,
        take: &mut dyn FnMut(Arrival) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let (asks, paths) = (self.clone(), paths.to_vec());
        let talk = move |out: &Out<Arrival, ()>| {
            let agent = asks.connected(out);
            for path in &paths {
                let mut response = asks.request(&agent, Method::GET, path, &[], &[("accept", accept)], None)?;
                match response.status().as_u16() {
                    200 | 206 => asks.pass_on(&mut response, out)?,
                    // One instance that is not there does not end the others: what is missing is counted in the end.
                    404 | 410 if paths.len() > 1 => {}
                    status => return Err(asks.unusable(status, "the series")),
                }
            }
            Ok(())
        };
        apart::talk(&self.source, monitor, talk, take)
    }

    fn pass_on(&self, response: &mut Response<Body>, out: &Out<Arrival, ()>) -> Result<(), Error> {
        let kind = header(response.headers(), "content-type").unwrap_or_default();
        let strange = |what: String| Error::refused(what, &self.source);
        if kind.trim_start().to_ascii_lowercase().starts_with("application/dicom") && !kind.contains("json") {
            // One instance, bare: some servers do so where one was asked for.
            out.say(Arrival::Begin)?;
            self.read(response, |piece| out.say(Arrival::Bytes(piece.to_vec())))?;
            return out.say(Arrival::End);
        }
        let boundary = boundary(&kind).ok_or_else(|| {
            let kind: String = files::printable(&kind).chars().take(MOST_WORDS).collect();
            strange(format!("the server sends \"{kind}\", where parts of DICOM were asked for"))
        })?;
        let mut multipart = Multipart::new(&boundary);
        let mut give = |arrival| out.say(arrival);
        self.read(response, |piece| match multipart.feed(piece, &mut give) {
            Ok(()) => out.alive(),
            Err(super::multipart::Fault::Out(error)) => Err(error),
            Err(super::multipart::Fault::Strange(what)) => Err(strange(what)),
        })?;
        if multipart.ended() {
            Ok(())
        } else {
            Err(Error::broken("the server's answer ends in the middle", &self.source))
        }
    }

    /// Posts a body of a known length; gives status and text of the answer.
    pub(super) fn post<E, T>(
        &self,
        out: &Out<E, T>,
        kind: &str,
        length: u64,
        body: &mut dyn Read,
    ) -> Result<(u16, Vec<u8>), Error> {
        let agent = self.connected(out);
        let length = length.to_string();
        let headers =
            [("content-type", kind), ("content-length", length.as_str()), ("accept", "application/dicom+json")];
        let mut response = self.request(&agent, Method::POST, "studies", &[], &headers, Some(body))?;
        let status = response.status().as_u16();
        // 409 tells of each object why it was not stored.
        if !matches!(status, 200 | 202 | 409) {
            return Err(self.unusable(status, "objects"));
        }
        let mut text = Vec::new();
        self.read(&mut response, |piece| {
            if text.len() < MOST_LIST_BYTES {
                text.extend_from_slice(piece);
            }
            out.alive()
        })?;
        Ok((status, text))
    }

    /// The client, whose connections are cut when no one waits any more.
    fn connected<E, T>(&self, out: &Out<E, T>) -> Agent {
        let agent = self.agent.clone();
        out.cutter().cuts(move || agent.shutdown());
        self.agent.clone()
    }

    fn request(
        &self,
        agent: &Agent,
        method: Method,
        path: &str,
        query: &[(String, String)],
        headers: &[(&str, &str)],
        body: Option<&mut dyn Read>,
    ) -> Result<Response<Body>, Error> {
        let mut address = format!("{}/{path}", self.base);
        for (at, (name, value)) in query.iter().enumerate() {
            address.push(if at == 0 { '?' } else { '&' });
            address.extend([name.as_str(), "=", &escaped(value)]);
        }
        let mut request = Request::builder().method(method).uri(&address);
        for (name, value) in headers.iter().chain(&[("accept-encoding", "identity")]) {
            request = request.header(*name, *value);
        }
        if let Some(said) = &self.authorization {
            request = request.header("authorization", said.as_str());
        }
        // The type of a body that is borrowed is not that of none.
        match body {
            Some(body) => self.run(agent, &address, request.body(SendBody::from_reader(body))),
            None => self.run(agent, &address, request.body(())),
        }
    }

    fn run(
        &self,
        agent: &Agent,
        address: &str,
        request: Result<Request<impl AsSendBody>, ureq::http::Error>,
    ) -> Result<Response<Body>, Error> {
        let request =
            request.map_err(|_unfit| Error::refused("no request can be made of this address", &self.source))?;
        let answer = if url::is_loopback(address) {
            // No proxy stands between this machine and itself.
            agent.run(agent.configure_request(request).proxy(None).build())
        } else {
            agent.run(request)
        };
        answer.map_err(|error| self.failed(error))
    }

    fn read(
        &self,
        response: &mut Response<Body>,
        mut piece: impl FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let mut reader = response.body_mut().as_reader();
        let mut buffer = vec![0; PIECE_BYTES];
        let mut pace = Pace::new();
        loop {
            let began = Instant::now();
            match reader.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(read) => {
                    pace.count(read, began.elapsed(), &self.source)?;
                    piece(&buffer[..read])?;
                }
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error.into())),
            }
        }
    }

    fn failed(&self, error: ureq::Error) -> Error {
        match Failure::of(error, silence()) {
            Failure::Broken(what) => Error::broken(what, &self.source),
            Failure::Unvouched => Error::refused(
                "no authority that is trusted here vouches for the server; where it is your hospital's own, name its file",
                &self.source,
            )
            .about(&[Setting::Authority]),
            Failure::WantsCertificate => Error::refused("the server wants a client certificate", &self.source)
                .about(&[Setting::Certificate, Setting::Key]),
            Failure::NoTls => Error::refused(
                "the server does not speak TLS there; check the address and its port",
                &self.source,
            )
            .about(&[Setting::Address]),
            other => Error::refused(other.words("the server"), &self.source),
        }
    }

    fn no_list(&self, kind: &str) -> Error {
        let kind: String = files::printable(kind).chars().take(MOST_WORDS).collect();
        let what = format!("the server sends {kind}, where a list of DICOM JSON was asked for; check the address");
        Error::refused(what, &self.source).about(&[Setting::Address])
    }

    /// A status that gives nothing, in words.
    pub(super) fn unusable(&self, status: u16, asked: &str) -> Error {
        let what = match status {
            300..=399 => format!("the server redirects (HTTP {status}); name the address that it redirects to"),
            400 => format!("the server does not understand what it is asked for, {asked} (HTTP 400)"),
            401 if self.authorization.is_none() => {
                "the server wants to know who asks (HTTP 401); give the source a user or a token".to_owned()
            }
            401 => "the server refuses the user, the password or the token (HTTP 401)".to_owned(),
            403 => {
                "the server does not allow this user to do that, or wants a client certificate (HTTP 403)".to_owned()
            }
            404 | 410 => format!("the server knows no such thing, {asked} (HTTP {status}); check the address"),
            406 | 415 => format!("the server does not speak DICOMweb as it is asked, {asked} (HTTP {status})"),
            413 => "the server takes no object of this size (HTTP 413)".to_owned(),
            429 => "the server wants no more requests for now (HTTP 429)".to_owned(),
            502..=504 => format!("what stands before the server does not reach it (HTTP {status})"),
            507 => "the server's disk is full (HTTP 507)".to_owned(),
            500.. => format!("the server is in trouble (HTTP {status})"),
            _ => format!("the server answers HTTP {status}, where {asked} was asked for"),
        };
        Error::refused(what, &self.source).about(match status {
            300..=399 | 404 | 410 => &[Setting::Address],
            401 if self.authorization.is_none() => &[Setting::User, Setting::Token],
            _ => &[],
        })
    }
}

fn owned(query: &[(&str, String)]) -> Vec<(String, String)> {
    query.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
}

fn header(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned) // what is no text is not there
}

/// A value as it stands in an address (RFC 3986, 2.3). `*`, `?` and `-` mean something to the server, which sees them unescaped.
fn escaped(value: &str) -> String {
    let kept = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte);
    value.bytes().map(|byte| if kept(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") }).collect()
}

/// Reads whose certificates are believed, and the certificate that this program shows.
fn certificates(of: &Certificates) -> Result<(RootCerts, Option<ClientCert>), Error> {
    let roots = match &of.authority {
        None => RootCerts::PlatformVerifier,
        Some(path) => RootCerts::from(pem(path, "certificate", |item| match item {
            PemItem::Certificate(certificate) => Some(certificate),
            _ => None,
        })?),
    };
    let (Some(certificate), Some(key)) = (&of.certificate, &of.key) else { return Ok((roots, None)) };
    let chain: Vec<Certificate> = pem(certificate, "certificate", |item| match item {
        PemItem::Certificate(certificate) => Some(certificate),
        _ => None,
    })?;
    let keys: Vec<PrivateKey> = pem(key, "private key", |item| match item {
        PemItem::PrivateKey(key) => Some(key),
        _ => None,
    })?;
    let key = keys.into_iter().next();
    Ok((roots, key.map(|key| ClientCert::new_with_certs(&chain, key))))
}

/// All items of one kind of a PEM file, at least one.
fn pem<T>(path: &std::path::Path, what: &str, pick: impl Fn(PemItem<'static>) -> Option<T>) -> Result<Vec<T>, Error> {
    let text = files::read_text(path, MOST_PEM_BYTES).map_err(Error::io("cannot read", path))?;
    let items: Vec<T> = parse_pem(text.as_bytes()).filter_map(Result::ok).filter_map(pick).collect();
    if items.is_empty() {
        return Err(Error::File { what: format!("no {what} is in this file; it must be PEM"), path: path.to_owned() });
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_escaped_for_an_address_and_wildcards_stay() {
        assert_eq!(escaped("Doe^J*"), "Doe%5EJ*");
        assert_eq!(escaped("a&b=c d/\u{e9}?"), "a%26b%3Dc%20d%2F%C3%A9%3F");
    }
}
