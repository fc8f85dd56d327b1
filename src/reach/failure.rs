//! What goes wrong with connections, told apart by what helps, in words of our own: those of libraries mean nothing to who reads them.

use std::io::ErrorKind;
use std::time::Duration;

use rustls::{AlertDescription, CertificateError};
use ureq::{Error, Timeout};

use super::agent::CONNECT;

/// What went wrong with a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was there and broke: asking again may help.
    Broken(String),
    /// No server has this name, or there is no network.
    NoServer,
    /// There is such a machine, and nothing listens at the port.
    NothingListens,
    /// No authority that is believed vouches for the server.
    Unvouched,
    /// The server's certificate is of another name.
    OtherName,
    /// The server wants a client certificate.
    WantsCertificate,
    /// What answers speaks no TLS.
    NoTls,
    /// What answers is no web server, or breaks the rules of one.
    NoHttp,
    /// In words, with what helps.
    Other(String),
}

impl Failure {
    /// Tells a failure from the client's error; `silence` is how long it waited for a server that said nothing.
    pub fn of(error: Error, silence: Duration) -> Self {
        match error {
            Error::Timeout(Timeout::PerRead | Timeout::PerWrite) => {
                Self::Broken(format!("the server says nothing for {} s", silence.as_secs()))
            }
            Error::Timeout(_) => Self::Other(format!("the server is not reached within {} s", CONNECT.as_secs())),
            Error::HostNotFound => Self::NoServer,
            Error::Protocol(_) | Error::LargeResponseHeader(..) | Error::BodyStalled => Self::NoHttp,
            Error::Io(error) => Self::of_io(&error),
            Error::Rustls(error) => Self::of_tls(&error),
            Error::ConnectProxyFailed(said) => {
                let code = said.split(|c: char| !c.is_ascii_digit()).find(|digits| digits.len() == 3);
                let code = code.map_or_else(String::new, |code| format!(" (HTTP {code})"));
                Self::Other(format!("the proxy refuses the connection{code}; check HTTPS_PROXY and NO_PROXY"))
            }
            Error::InvalidProxyUrl => Self::Other("HTTPS_PROXY, HTTP_PROXY or ALL_PROXY names no proxy".to_owned()),
            Error::BadUri(_) | Error::Http(_) => Self::Other("no request can be made of this address".to_owned()),
            Error::Tls(_) | Error::TlsRequired | Error::Pem(_) => {
                Self::Other("no secure connection can be made; check the certificates".to_owned())
            }
            _ => Self::Other("the connection fails; check the address and the network".to_owned()),
        }
    }

    /// Tells a failure from an error of the connection itself.
    pub fn of_io(error: &std::io::Error) -> Self {
        if let Some(tls) = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
            return Self::of_tls(tls);
        }
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::NotConnected
            | ErrorKind::BrokenPipe => Self::Broken("the connection breaks".to_owned()),
            ErrorKind::ConnectionRefused => Self::NothingListens,
            ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::NetworkDown => {
                Self::Other("no way leads to this machine; check the network, and the hospital's VPN".to_owned())
            }
            ErrorKind::TimedOut | ErrorKind::WouldBlock => {
                Self::Other(format!("the server is not reached within {} s", CONNECT.as_secs()))
            }
            ErrorKind::PermissionDenied => {
                Self::Other("this system forbids the connection; a firewall may do so".to_owned())
            }
            // The system's resolver gives its errors no kind.
            _ if error.to_string().contains("failed to lookup address") => Self::NoServer,
            _ => Self::Other("the connection fails; check the address and the network".to_owned()),
        }
    }

    /// Tells a failure from an error of TLS.
    pub fn of_tls(error: &rustls::Error) -> Self {
        use rustls::Error as E;
        match error {
            E::InvalidCertificate(CertificateError::UnknownIssuer) => Self::Unvouched,
            E::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            ) => Self::OtherName,
            E::InvalidCertificate(
                CertificateError::Expired
                | CertificateError::ExpiredContext { .. }
                | CertificateError::NotValidYet
                | CertificateError::NotValidYetContext { .. },
            ) => Self::Other(
                "the server's certificate is out of date, or not valid yet; check the clock of this machine, or tell the server's administrator"
                    .to_owned(),
            ),
            E::InvalidCertificate(CertificateError::Revoked) => {
                Self::Other("the server's certificate was revoked; tell its administrator".to_owned())
            }
            E::InvalidCertificate(_) => Self::Other(
                "the server's certificate is not one that may be believed; tell its administrator".to_owned(),
            ),
            E::AlertReceived(AlertDescription::CertificateRequired) | E::NoCertificatesPresented => {
                Self::WantsCertificate
            }
            E::AlertReceived(
                AlertDescription::BadCertificate
                | AlertDescription::UnknownCA
                | AlertDescription::CertificateUnknown
                | AlertDescription::CertificateExpired
                | AlertDescription::CertificateRevoked
                | AlertDescription::UnsupportedCertificate
                | AlertDescription::AccessDenied,
            ) => Self::Other(
                "the server does not accept the client certificate that it is shown (--certificate, --key)".to_owned(),
            ),
            E::InvalidMessage(_) => Self::NoTls,
            E::PeerIncompatible(_)
            | E::AlertReceived(AlertDescription::HandshakeFailure | AlertDescription::ProtocolVersion) => Self::Other(
                "the server and this program know no TLS in common; it needs TLS 1.2 or 1.3, or a client certificate"
                    .to_owned(),
            ),
            _ => Self::Other("the secure connection fails; check the address and the certificates".to_owned()),
        }
    }

    /// What went wrong, for people who can do nothing special about it; `who` is what answers, "the server".
    pub fn words(self, who: &str) -> String {
        match self {
            Self::Broken(what) | Self::Other(what) => what.replace("the server", who),
            Self::NoServer => "there is no machine of this name, or no network".to_owned(),
            Self::NothingListens => "nothing listens there; check the address and its port".to_owned(),
            Self::Unvouched => format!("no authority that is trusted here vouches for {who}"),
            Self::OtherName => {
                format!("{who}'s certificate is of another name; use the name that it is made for")
            }
            Self::WantsCertificate => format!("{who} wants a client certificate"),
            Self::NoTls => format!("{who} does not speak TLS there; check the address and its port"),
            Self::NoHttp => {
                "what answers there is no web server, or says what no web server says; check the address".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_word_of_a_library_is_in_a_message() {
        let silence = Duration::from_secs(9);
        let io = |kind: ErrorKind| Error::Io(std::io::Error::new(kind, "raw words"));
        let tls = |error: rustls::Error| Error::Io(std::io::Error::other(error));
        let certificate = |error| rustls::Error::InvalidCertificate(error);
        for (error, said) in [
            (io(ErrorKind::ConnectionRefused), "nothing listens there"),
            (io(ErrorKind::ConnectionReset), "the connection breaks"),
            (io(ErrorKind::HostUnreachable), "no way leads to this machine"),
            (io(ErrorKind::InvalidData), "the connection fails"),
            (Error::LargeResponseHeader(9, 8), "no web server"),
            (Error::Timeout(Timeout::PerRead), "says nothing for 9 s"),
            (Error::BadUri("raw words".to_owned()), "no request can be made"),
            (Error::ConnectProxyFailed("raw words 403/403".to_owned()), "the proxy refuses the connection (HTTP 403)"),
            (tls(certificate(CertificateError::UnknownIssuer)), "no authority that is trusted here"),
            (tls(certificate(CertificateError::NotValidForName)), "of another name"),
            (tls(certificate(CertificateError::Expired)), "out of date"),
            (tls(certificate(CertificateError::BadEncoding)), "may be believed"),
            (tls(rustls::Error::AlertReceived(AlertDescription::CertificateRequired)), "wants a client certificate"),
            (tls(rustls::Error::AlertReceived(AlertDescription::UnknownCA)), "does not accept the client certificate"),
            (tls(rustls::Error::InvalidMessage(rustls::InvalidMessage::InvalidContentType)), "does not speak TLS"),
            (tls(rustls::Error::DecryptError), "the secure connection fails"),
        ] {
            let told = Failure::of(error, silence).words("the archive");
            assert!(told.contains(said) && !told.contains("raw words") && !told.contains("the server"), "{told}");
        }
    }
}
