//! How an archive is reached: its address, who asks, and whose certificates count.

use std::fmt;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::error::Error;
use super::setting::Setting;
use crate::files;
use crate::reach::url;

/// An archive under the name that the user chose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// Letters, digits, `-` and `_`.
    pub name: String,
    #[serde(flatten)]
    pub kind: Access,
}

/// The protocol that an archive is asked by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Access {
    DicomWeb(Web),
    Dimse(Dimse),
}

/// DICOMweb: QIDO-RS, WADO-RS and STOW-RS under one address (PS3.18).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Web {
    /// What `/studies` is appended to: `https://pacs.hospital.org/dicom-web`.
    pub url: String,
    #[serde(default)]
    pub login: Login,
    #[serde(default)]
    pub certificates: Certificates,
    /// Whether a password or a token may travel over plain http to another machine, where anyone on the way can read it.
    #[serde(default)]
    pub unencrypted: bool,
}

/// How a web server is told who asks.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Login {
    /// Not at all, or by a client certificate.
    #[default]
    None,
    /// A user and a password (RFC 7617).
    Basic { user: String },
    /// A token (RFC 6750).
    Bearer,
}

/// Files of certificates, PEM.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificates {
    /// Authorities that alone vouch for this source; none means the system's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authority: Option<PathBuf>,
    /// What this program shows of itself, with those that vouch for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<PathBuf>,
}

/// DIMSE: associations of application entities (AE) over TCP (PS3.7, PS3.8).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dimse {
    pub host: String,
    pub port: u16,
    /// The AE title of the archive.
    pub called: String,
    /// The AE title of this program, which the archive must know.
    pub calling: String,
    #[serde(default)]
    pub tls: bool,
    #[serde(default)]
    pub certificates: Certificates,
    /// How series are fetched.
    #[serde(default)]
    pub retrieve: Retrieve,
    /// The port of this machine where the archive delivers what C-MOVE asks it to send; it must know it under `calling`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receive_port: Option<u16>,
}

/// How a DIMSE source gives series.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Retrieve {
    /// By C-GET where the archive offers it, else by C-MOVE where a port is named.
    #[default]
    Any,
    Get,
    Move,
}

/// What stands for it in messages and in the log: name and address, no user.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "source {} ({})", self.name, self.address())
    }
}

impl Source {
    /// The address for people.
    pub fn address(&self) -> String {
        match &self.kind {
            Access::DicomWeb(web) => web.url.clone(),
            Access::Dimse(peer) => format!("{}@{}:{}", peer.called, peer.host, peer.port),
        }
    }

    /// How the archive is reached, in words: protocol, address, and who asks.
    pub fn how(&self) -> String {
        match &self.kind {
            Access::DicomWeb(web) => {
                let login = match &web.login {
                    Login::None => String::new(),
                    Login::Basic { user } => format!(", as {user}"),
                    Login::Bearer => ", by a token".to_owned(),
                };
                format!("DICOMweb at {}{login}", self.address())
            }
            Access::Dimse(peer) => {
                let tls = if peer.tls { ", over TLS" } else { "" };
                let receiver = peer.receive_port.map_or_else(String::new, |port| format!(", receives at port {port}"));
                format!("DIMSE with {} as {}{tls}{receiver}", self.address(), peer.calling)
            }
        }
    }

    /// Whether a password or a token belongs to it, and what that is called.
    pub fn secret_kind(&self) -> Option<&'static str> {
        match &self.kind {
            Access::DicomWeb(Web { login: Login::Basic { .. }, .. }) => Some("password"),
            Access::DicomWeb(Web { login: Login::Bearer, .. }) => Some("token"),
            _ => None,
        }
    }

    /// Refuses, in words, what cannot be a source.
    pub fn check(&self) -> Result<(), Error> {
        let asked = |what: String| Err(Error::asked(what));
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if self.name.is_empty() || self.name.len() > 40 || !self.name.chars().all(plain) {
            let name = files::printable(&self.name);
            return asked(format!(
                "the name of a source is \"{name}\"; it has 1 to 40 letters, digits, - and _ (it stands in pacs:NAME/STUDY/SERIES)"
            ));
        }
        match &self.kind {
            Access::DicomWeb(web) => web.check(),
            Access::Dimse(peer) => peer.check(),
        }
    }
}

impl Web {
    fn check(&self) -> Result<(), Error> {
        url::check(&self.url).map_err(|what| Error::asked(format!("{what}: {}", url::shown(&self.url))))?;
        if self.url.contains(['?', '#']) {
            return Err(Error::asked(format!("the address of a source has no ? and no #: {}", url::shown(&self.url))));
        }
        if let Login::Basic { user } = &self.login
            && (user.is_empty() || user.contains(':') || !user.chars().all(files::is_plain))
        {
            return Err(Error::asked("a user's name has at least one letter, and no colon"));
        }
        let is_secret = self.login != Login::None;
        if is_secret && self.url.starts_with("http://") && !url::is_loopback(&self.url) && !self.unencrypted {
            return Err(Error::asked(format!(
                "a password or a token would travel to {} over plain http, where anyone on the way can read it; use https, or say that it may",
                self.url
            ))
            .about(&[Setting::Unencrypted]));
        }
        self.certificates.check()
    }
}

impl Certificates {
    fn check(&self) -> Result<(), Error> {
        if self.certificate.is_some() != self.key.is_some() {
            return Err(Error::asked("a client certificate and its key belong together; name both"));
        }
        Ok(())
    }
}

impl Dimse {
    fn check(&self) -> Result<(), Error> {
        let in_host = |c: char| c.is_ascii_alphanumeric() || ".-_".contains(c);
        let is_v6 = self.host.parse::<Ipv6Addr>().is_ok();
        if self.host.is_empty() || !is_v6 && !self.host.chars().all(in_host) {
            let host = url::shown(&self.host);
            return Err(Error::asked(format!(
                "the host is \"{host}\"; give the name or the address of a machine, and its port beside it"
            ))
            .about(&[Setting::Host, Setting::Port]));
        }
        if self.port == 0 || self.receive_port == Some(0) {
            return Err(Error::asked("a port is a number from 1 to 65535"));
        }
        for (whose, title) in [("called", &self.called), ("calling", &self.calling)] {
            // PS3.5, 6.2: the AE representation.
            let is_title = (1..=16).contains(&title.len())
                && title.chars().all(|c| (' '..='~').contains(&c) && c != '\\')
                && title.trim() == title.as_str();
            if !is_title {
                let title = files::printable(title);
                return Err(Error::asked(format!(
                    "the {whose} AE title is \"{title}\"; it has 1 to 16 plain letters and no backslash"
                )));
            }
        }
        if self.retrieve == Retrieve::Move && self.receive_port.is_none() {
            return Err(
                Error::asked("C-MOVE delivers to a port of this machine; name it").about(&[Setting::ReceivePort])
            );
        }
        if self.tls && self.receive_port.is_some() && self.certificates.certificate.is_none() {
            return Err(Error::asked("a receiver with TLS shows a certificate; name one with its key")
                .about(&[Setting::Certificate, Setting::Key]));
        }
        self.certificates.check()
    }
}
