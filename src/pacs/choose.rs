//! The archive of a source, by what it speaks.

use super::archive::Archive;
use super::error::Error;
use super::secret::Secret;
use super::source::Source;

/// The archive of a source, which is not asked for anything yet.
#[cfg(feature = "network")]
pub(super) fn archive<'s>(source: &'s Source, secret: Option<&Secret>) -> Result<Box<dyn Archive + 's>, Error> {
    use super::source::Access;
    use super::{dimse, web};

    Ok(match &source.kind {
        Access::DicomWeb(web) => Box::new(web::Client::new(source, web, secret)?),
        Access::Dimse(peer) => Box::new(dimse::Peer::of(source, peer)),
    })
}

/// A build without network reaches no archive.
#[cfg(not(feature = "network"))]
pub(super) fn archive<'s>(source: &'s Source, _: Option<&Secret>) -> Result<Box<dyn Archive + 's>, Error> {
    Err(Error::no_network(source))
}
