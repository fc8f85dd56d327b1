//! The client of web servers, with the same time-outs for all who use one.

use std::time::Duration;

use ureq::Agent;
use ureq::config::RedirectAuthHeaders;
use ureq::tls::{ClientCert, RootCerts, TlsConfig};

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
