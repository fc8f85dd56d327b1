//! What of a source can be wrong in a way that another value mends.

/// A setting of a source, or of what is asked of it. Each front end has a name of its own for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setting {
    /// The address of a web server.
    Address,
    User,
    Token,
    /// Whether a password may travel over plain http.
    Unencrypted,
    Host,
    Port,
    /// The AE title of the archive.
    Called,
    /// The AE title of this program.
    Calling,
    Tls,
    /// The port of this machine that an archive delivers to.
    ReceivePort,
    /// The certificates of those that vouch for the source.
    Authority,
    /// The certificate that this program shows.
    Certificate,
    Key,
    /// The UID of a study.
    Study,
    /// The folder that series go into.
    Folder,
}

impl Setting {
    pub const ALL: [Self; 15] = [
        Self::Address,
        Self::User,
        Self::Token,
        Self::Unencrypted,
        Self::Host,
        Self::Port,
        Self::Called,
        Self::Calling,
        Self::Tls,
        Self::ReceivePort,
        Self::Authority,
        Self::Certificate,
        Self::Key,
        Self::Study,
        Self::Folder,
    ];
}
