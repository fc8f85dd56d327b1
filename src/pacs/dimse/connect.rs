//! Associations asked for, and why there is none, in words.

use std::net::TcpStream;

use dicom_ul::association::client::TlsStream;
use dicom_ul::association::{self, ClientAssociationOptions};
use dicom_ul::pdu::{AssociationRJServiceUserReason, AssociationRJSource};

use super::line::Line;
use super::{Peer, tls};
use crate::pacs::apart::Out;
use crate::pacs::error::Error;
use crate::pacs::pace::silence;
use crate::pacs::setting::Setting;
use crate::reach::{CONNECT, Failure};

/// PDUs that come have so many bytes at most.
pub(super) const MOST_PDU_BYTES: u32 = (1 << 18) - 6;

/// What is asked of a peer.
#[derive(Debug, Clone)]
pub(super) struct Proposed {
    pub(super) class_uid: String,
    pub(super) syntaxes: Vec<String>,
    /// Whether this program takes objects of this class, in place of giving them.
    pub(super) takes: bool,
}

impl Proposed {
    pub(super) fn new<'s>(class_uid: &str, syntaxes: impl IntoIterator<Item = &'s str>) -> Self {
        let syntaxes = syntaxes.into_iter().map(str::to_owned).collect();
        Self { class_uid: class_uid.to_owned(), syntaxes, takes: false }
    }

    pub(super) fn taken(self) -> Self {
        Self { takes: true, ..self }
    }
}

/// An association, or that the peer takes nothing of what was proposed.
pub(super) enum Associated<'a> {
    With(Line<'a>),
    NothingTaken,
}

impl Peer {
    /// Asks for an association. Whoever waits can cut it from then on.
    pub(super) fn associate<E, T>(&self, proposed: &[Proposed], out: &Out<E, T>) -> Result<Associated<'_>, Error> {
        let dimse = &self.dimse;
        let mut options = ClientAssociationOptions::new()
            .calling_ae_title(dimse.calling.as_str())
            .called_ae_title(dimse.called.as_str())
            .max_pdu_length(MOST_PDU_BYTES)
            .read_timeout(silence())
            .write_timeout(silence())
            .connection_timeout(CONNECT);
        let mut with_role = Vec::new();
        for context in proposed {
            options = options.with_presentation_context(
                context.class_uid.as_str(),
                context.syntaxes.iter().map(String::as_str).collect(),
            );
            if context.takes && !with_role.contains(&&context.class_uid) {
                with_role.push(&context.class_uid);
                options = options.with_role_selection(context.class_uid.as_str(), false, true);
            }
        }
        let address = (dimse.host.as_str(), dimse.port);
        let cut = |stream: &TcpStream| {
            // Without it each answer waits for the system to gather more: a factor of ten.
            stream.set_nodelay(true).ok();
            if let Ok(stream) = stream.try_clone() {
                out.cutter().cuts(move || drop(stream.shutdown(std::net::Shutdown::Both)));
            }
        };
        let line = if dimse.tls {
            let config = tls::client(&self.source, &dimse.certificates)?;
            match options.tls_config(config).server_name(&dimse.host).establish_tls(address) {
                Ok(mut association) => {
                    cut(&association.inner_stream().sock);
                    Line::new::<TlsStream, _>(self, association)?
                }
                Err(error) => return self.not_associated(error),
            }
        } else {
            match options.establish(address) {
                Ok(mut association) => {
                    cut(association.inner_stream());
                    Line::new::<TcpStream, _>(self, association)?
                }
                Err(error) => return self.not_associated(error),
            }
        };
        Ok(Associated::With(line))
    }

    fn not_associated(&self, error: association::Error) -> Result<Associated<'_>, Error> {
        match error {
            association::Error::NoAcceptedPresentationContexts { .. } => Ok(Associated::NothingTaken),
            error => Err(self.failed(&error)),
        }
    }

    /// What went wrong with an association.
    pub(super) fn failed(&self, error: &association::Error) -> Error {
        use association::Error as E;
        match error {
            E::Rejected { association_rj, .. } => {
                let (called, calling) = (&self.dimse.called, &self.dimse.calling);
                let what = match &association_rj.source {
                    AssociationRJSource::ServiceUser(AssociationRJServiceUserReason::CalledAETitleNotRecognized) => {
                        format!("the archive is not called {called}; check its AE title")
                    }
                    AssociationRJSource::ServiceUser(AssociationRJServiceUserReason::CallingAETitleNotRecognized) => {
                        format!(
                            "the archive does not know {calling}; its administrator enters this AE title, or check yours"
                        )
                    }
                    AssociationRJSource::ServiceProviderPresentation(_) => {
                        "the archive has no room for another association now; try again later".to_owned()
                    }
                    _ => format!(
                        "the archive rejects the association; check the AE titles: it is called {called} here, and knows this program as {calling}"
                    ),
                };
                self.refused(what).about(match &association_rj.source {
                    AssociationRJSource::ServiceUser(AssociationRJServiceUserReason::CalledAETitleNotRecognized) => {
                        &[Setting::Called]
                    }
                    AssociationRJSource::ServiceUser(AssociationRJServiceUserReason::CallingAETitleNotRecognized) => {
                        &[Setting::Calling]
                    }
                    AssociationRJSource::ServiceProviderPresentation(_) => &[],
                    _ => &[Setting::Called, Setting::Calling],
                })
            }
            E::Aborted { .. } => self.broken("the archive breaks the association off"),
            E::ConnectionClosed { .. } => self.broken("the archive closes the connection"),
            E::UnexpectedPdu { .. } | E::UnknownPdu { .. } | E::ProtocolVersionMismatch { .. } => self.refused(
                "what answers there is no DICOM archive, or breaks off at once; check host, port and AE titles",
            ),
            // Said of every peer that closes without a word.
            E::TlsNotSupported => self
                .refused("the archive closes the connection without an answer; it may speak TLS there")
                .about(&[Setting::Tls]),
            E::InvalidServerName { .. } => self
                .refused("the host is no name that a certificate could be made for; check it")
                .about(&[Setting::Host]),
            E::TlsConnection { source, .. } => self.failed_by(Failure::of_tls(source)),
            E::ToAddress { .. } => self.refused("there is no machine of this name, or no network"),
            _ => self.failed_below(error),
        }
    }

    /// What went wrong with the connection under an association.
    fn failed_below(&self, error: &association::Error) -> Error {
        use std::io::ErrorKind;
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
        while let Some(at) = cause {
            if let Some(io) = at.downcast_ref::<std::io::Error>() {
                return match io.kind() {
                    ErrorKind::WouldBlock | ErrorKind::TimedOut
                        if matches!(error, association::Error::Connect { .. }) =>
                    {
                        self.refused(format!("the archive is not reached within {} s", CONNECT.as_secs()))
                    }
                    ErrorKind::WouldBlock | ErrorKind::TimedOut => {
                        self.broken(format!("the archive says nothing for {} s", silence().as_secs()))
                    }
                    ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset
                        if matches!(error, association::Error::TlsHandshake { .. }) =>
                    {
                        self.refused(
                            "the archive closes the connection instead of agreeing on TLS; it may speak none there",
                        )
                        .about(&[Setting::Tls])
                    }
                    _ => self.failed_io(io),
                };
            }
            cause = at.source();
        }
        self.broken("the archive says what cannot be read; check that host and port are those of DIMSE")
    }

    fn failed_io(&self, io: &std::io::Error) -> Error {
        self.failed_by(Failure::of_io(io))
    }

    fn failed_by(&self, failure: Failure) -> Error {
        match failure {
            Failure::Broken(_) => self.broken("the archive closes the connection"),
            Failure::NothingListens => self.refused("nothing listens there; check host and port"),
            Failure::Unvouched => self.refused(
                "no authority that is trusted here vouches for the archive; where it is your hospital's own, name its file",
            )
            .about(&[Setting::Authority]),
            Failure::WantsCertificate => {
                self.refused("the archive wants a client certificate, or speaks other TLS").about(&[Setting::Certificate, Setting::Key])
            }
            Failure::NoTls => self.refused("the archive does not speak TLS there; ask it without").about(&[Setting::Tls]),
            other => self.refused(other.words("the archive")),
        }
    }
}
