//! A source as it is typed.

use std::path::PathBuf;

use anyhow::{Result, anyhow};

use super::told::told;
use crate::pacs::{Access, Certificates, Dimse, Login, Retrieve, Source, Web};

/// The AE title of this program where nothing else is said, as on the command line.
const CALLING: &str = "PARALLAX";

/// By what an archive is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Protocol {
    #[default]
    Web,
    Dimse,
}

/// How a web server is told who asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Knows {
    #[default]
    No,
    Password,
    Token,
}

/// The fields of a source, those of the other protocol too: who looks at both loses nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub name: String,
    pub protocol: Protocol,
    pub url: String,
    pub knows: Knows,
    pub user: String,
    pub unencrypted: bool,
    pub host: String,
    pub port: String,
    pub called: String,
    pub calling: String,
    pub tls: bool,
    pub retrieve: Retrieve,
    pub receive_port: String,
    /// Paths of certificates; empty where none is named.
    pub authority: String,
    pub certificate: String,
    pub key: String,
}

impl Default for Draft {
    fn default() -> Self {
        Self {
            name: String::new(),
            protocol: Protocol::Web,
            url: String::new(),
            knows: Knows::No,
            user: String::new(),
            unencrypted: false,
            host: String::new(),
            port: String::new(),
            called: String::new(),
            calling: CALLING.to_owned(),
            tls: false,
            retrieve: Retrieve::Any,
            receive_port: String::new(),
            authority: String::new(),
            certificate: String::new(),
            key: String::new(),
        }
    }
}

impl Draft {
    /// A source that is there, to be changed.
    pub fn of(source: &Source) -> Self {
        let draft = Self { name: source.name.clone(), ..Self::default() };
        let shown = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string()).unwrap_or_default();
        let (draft, certificates) = match &source.kind {
            Access::DicomWeb(web) => {
                let (knows, user) = match &web.login {
                    Login::None => (Knows::No, String::new()),
                    Login::Basic { user } => (Knows::Password, user.clone()),
                    Login::Bearer => (Knows::Token, String::new()),
                };
                let url = web.url.clone();
                (Self { url, knows, user, unencrypted: web.unencrypted, ..draft }, &web.certificates)
            }
            Access::Dimse(peer) => {
                let draft = Self {
                    protocol: Protocol::Dimse,
                    host: peer.host.clone(),
                    port: peer.port.to_string(),
                    called: peer.called.clone(),
                    calling: peer.calling.clone(),
                    tls: peer.tls,
                    retrieve: peer.retrieve,
                    receive_port: peer.receive_port.map(|port| port.to_string()).unwrap_or_default(),
                    ..draft
                };
                (draft, &peer.certificates)
            }
        };
        Self {
            authority: shown(&certificates.authority),
            certificate: shown(&certificates.certificate),
            key: shown(&certificates.key),
            ..draft
        }
    }

    /// What was typed as a source; an error says in words why it is none.
    pub fn source(&self) -> Result<Source> {
        let file = |path: &str| {
            let path = path.trim();
            (!path.is_empty()).then(|| PathBuf::from(path))
        };
        let certificates = Certificates {
            authority: file(&self.authority),
            certificate: file(&self.certificate),
            key: file(&self.key),
        };
        let kind = match self.protocol {
            Protocol::Web => Access::DicomWeb(Web {
                url: self.url.trim().trim_end_matches('/').to_owned(),
                login: match self.knows {
                    Knows::No => Login::None,
                    Knows::Password => Login::Basic { user: self.user.trim().to_owned() },
                    Knows::Token => Login::Bearer,
                },
                certificates,
                unencrypted: self.unencrypted,
            }),
            Protocol::Dimse => Access::Dimse(Dimse {
                host: self.host.trim().to_owned(),
                port: port("the port", &self.port)?,
                called: self.called.trim().to_owned(),
                calling: self.calling.trim().to_owned(),
                tls: self.tls,
                certificates,
                retrieve: self.retrieve,
                receive_port: match self.receive_port.trim() {
                    "" => None,
                    said => Some(port("the port to receive at", said)?),
                },
            }),
        };
        let source = Source { name: self.name.trim().to_owned(), kind };
        source.check().map_err(told)?;
        Ok(source)
    }
}

fn port(what: &str, said: &str) -> Result<u16> {
    let said = said.trim();
    said.parse().map_err(|_none| anyhow!("{what} is {said:?}; a port is a number from 1 to 65535"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_comes_back_from_its_draft() {
        let web = Draft {
            name: "ward".to_owned(),
            url: "https://pacs.example/rs/".to_owned(),
            knows: Knows::Password,
            user: "me".to_owned(),
            authority: "/etc/ca.crt".to_owned(),
            ..Draft::default()
        };
        let dimse = Draft {
            name: "ct".to_owned(),
            protocol: Protocol::Dimse,
            host: "10.0.0.5".to_owned(),
            port: " 104".to_owned(),
            called: "CTARCHIVE".to_owned(),
            receive_port: "11112".to_owned(),
            ..Draft::default()
        };
        for draft in [web, dimse] {
            let source = draft.source().unwrap();
            assert_eq!(Draft::of(&source).source().unwrap(), source);
        }
    }

    #[test]
    fn what_is_no_source_is_refused_in_words() {
        let dimse = |port: &str| Draft {
            name: "ct".to_owned(),
            protocol: Protocol::Dimse,
            host: "h".to_owned(),
            port: port.to_owned(),
            called: "A".to_owned(),
            ..Draft::default()
        };
        for (draft, said) in [
            (Draft::default(), "the name of a source"),
            (dimse("high"), "the port is \"high\""),
            (dimse("70000"), "a number from 1 to 65535"),
            (Draft { called: String::new(), ..dimse("104") }, "AE title"),
        ] {
            let why = draft.source().unwrap_err().to_string();
            assert!(why.contains(said), "{why}");
        }
    }
}
