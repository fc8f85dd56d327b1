//! TLS under DIMSE: whose certificates are believed, and what this program shows.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_platform_verifier::BuilderVerifierExt;

use crate::files;
use crate::pacs::error::Error;
use crate::pacs::setting::Setting;
use crate::pacs::source::{Certificates, Source};
use crate::reach;

const MOST_PEM_BYTES: u64 = 1 << 20;

/// Makes the configuration for associations that this program asks for.
pub(super) fn client(source: &Source, of: &Certificates) -> Result<Arc<ClientConfig>, Error> {
    reach::provide_cryptography();
    let builder = ClientConfig::builder();
    let unfit = |error: rustls::Error| unusable(&error, source);
    let builder = match &of.authority {
        Some(path) => builder.with_root_certificates(roots(path)?),
        None => builder.with_platform_verifier().map_err(unfit)?,
    };
    let config = match shown(of)? {
        Some((chain, key)) => builder.with_client_auth_cert(chain, key).map_err(unfit)?,
        None => builder.with_no_client_auth(),
    };
    Ok(Arc::new(config))
}

/// For associations that an archive asks for, to deliver. Where an authority is named, the archive must be vouched for by it.
pub(super) fn server(source: &Source, of: &Certificates) -> Result<Arc<ServerConfig>, Error> {
    reach::provide_cryptography();
    let unfit = |what: &str| Error::refused(what, source);
    let Some((chain, key)) = shown(of)? else {
        return Err(
            unfit("a receiver shows a certificate, and none is named").about(&[Setting::Certificate, Setting::Key])
        );
    };
    let builder = match &of.authority {
        Some(path) => {
            let verifier = WebPkiClientVerifier::builder(Arc::new(roots(path)?)).build();
            let no_authority = |_unfit| {
                unfit("the certificates of the authority cannot be used; check their file").about(&[Setting::Authority])
            };
            ServerConfig::builder().with_client_cert_verifier(verifier.map_err(no_authority)?)
        }
        None => ServerConfig::builder().with_no_client_auth(),
    };
    let config = builder.with_single_cert(chain, key).map_err(|error| unusable(&error, source))?;
    Ok(Arc::new(config))
}

/// Why a certificate with its key is of no use.
fn unusable(error: &rustls::Error, source: &Source) -> Error {
    let (what, settings): (_, &[Setting]) = match error {
        rustls::Error::InconsistentKeys(_) => (
            "the key is not that of the certificate; name those that belong together",
            &[Setting::Certificate, Setting::Key],
        ),
        rustls::Error::InvalidCertificate(_) => {
            ("the certificate cannot be used; check its file", &[Setting::Certificate])
        }
        _ => (
            "certificate or key cannot be used; check their files",
            &[Setting::Certificate, Setting::Key, Setting::Authority],
        ),
    };
    Error::refused(what, source).about(settings)
}

type Shown = (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>);

fn shown(of: &Certificates) -> Result<Option<Shown>, Error> {
    let (Some(certificate), Some(key)) = (&of.certificate, &of.key) else { return Ok(None) };
    let chain = certificates(certificate)?;
    let text = files::read_text(key, MOST_PEM_BYTES).map_err(Error::io("cannot read", key))?;
    let key = PrivateKeyDer::from_pem_slice(text.as_bytes()).map_err(|_none| Error::File {
        what: "no private key is in this file; it must be PEM, without a password".to_owned(),
        path: key.clone(),
    })?;
    Ok(Some((chain, key)))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let text = files::read_text(path, MOST_PEM_BYTES).map_err(Error::io("cannot read", path))?;
    let found: Vec<_> = CertificateDer::pem_slice_iter(text.as_bytes()).filter_map(Result::ok).collect();
    if found.is_empty() {
        let what = "no certificate is in this file; it must be PEM".to_owned();
        return Err(Error::File { what, path: path.to_owned() });
    }
    Ok(found)
}

fn roots(path: &Path) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    let (taken, _) = roots.add_parsable_certificates(certificates(path)?);
    if taken == 0 {
        let what = "no certificate of an authority is in this file".to_owned();
        return Err(Error::File { what, path: path.to_owned() });
    }
    Ok(roots)
}
