//! The client of web servers, with the same time-outs for all who use one, and its failures in words.

use std::io::ErrorKind;
use std::time::Duration;

use ureq::config::RedirectAuthHeaders;
use ureq::tls::{ClientCert, RootCerts, TlsConfig};
use ureq::{Agent, Error, Timeout};

/// How long a name may take to be found, and a server to be reached.
pub const CONNECT: Duration = Duration::from_secs(15);
/// How often a monitor is asked while a server says nothing.
pub const GLANCE: Duration = Duration::from_millis(50);
const NAME: &str = concat!("parallax/", env!("CARGO_PKG_VERSION"));

/// A client that follows no redirect by itself and gives up on a server that says nothing for `silence`.
pub fn agent(roots: RootCerts, certificate: Option<ClientCert>, silence: Duration) -> Agent {
    provide_cryptography();
    let tls = TlsConfig::builder().root_certs(roots).client_cert(certificate).build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .redirect_auth_headers(RedirectAuthHeaders::Never)
        .timeout_resolve(Some(CONNECT))
        .timeout_connect(Some(CONNECT))
        .timeout_per_read(Some(silence))
        .timeout_per_write(Some(silence))
        .user_agent(NAME)
        .build();
    config.into()
}

/// Chooses the cryptography of connections, once.
pub fn provide_cryptography() {
    // It fails where one is there already, which serves as well.
    rustls::crypto::ring::default_provider().install_default().ok();
}

/// What went wrong with a connection, told apart by what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Failure {
    /// It was there and broke: asking again may help.
    Broken(String),
    /// No server has this name, or there is no network.
    NoServer,
    /// No authority that is believed vouches for the server.
    Unvouched,
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
            Error::ConnectProxyFailed(said) => Self::Other(format!("the proxy refuses: {said}")),
            Error::Io(error) => Self::of_io(&error),
            other => Self::said(&other.to_string()),
        }
    }

    /// Tells a failure from an error of the connection itself.
    pub fn of_io(error: &std::io::Error) -> Self {
        match error.kind() {
            ErrorKind::UnexpectedEof
            | ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe => Self::Broken("the connection breaks".to_owned()),
            _ => Self::said(&error.to_string()),
        }
    }

    /// A name that is not found, and a certificate that no one here vouches for, have remedies of their own.
    fn said(said: &str) -> Self {
        if said.contains("failed to lookup address") {
            Self::NoServer
        } else if said.contains("UnknownIssuer") {
            Self::Unvouched
        } else {
            Self::Other(format!("the connection fails: {said}"))
        }
    }
}
