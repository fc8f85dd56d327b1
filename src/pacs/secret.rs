//! Passwords and tokens of sources: from the environment or from the system's keyring, never in a file, a log or a message.

use std::fmt;

use super::source::Source;

/// The environment variable that holds the password or the token of the source that is asked.
pub const PASSWORD_VARIABLE: &str = "PARALLAX_PACS_PASSWORD";

/// A password or a token. It has no way to be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    pub fn new(said: String) -> Self {
        Self(said)
    }

    #[cfg(feature = "network")]
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

/// What the system knows of a source's password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stored {
    Found(Secret),
    /// There is a keyring, and it holds none for this source.
    Unknown,
    /// There is no keyring, or it is locked; why, in words.
    NoKeyring(String),
}

/// The secret of a source: from the environment, else from the keyring. An empty variable counts as none.
pub fn stored(source: &Source) -> Stored {
    if let Ok(said) = std::env::var(PASSWORD_VARIABLE)
        && !said.is_empty()
    {
        return Stored::Found(Secret(said));
    }
    keyring::read(source)
}

/// Puts the secret of a source into the system's keyring; an error says in words why that cannot be.
pub fn remember(source: &Source, secret: &Secret) -> Result<(), String> {
    keyring::write(source, &secret.0)
}

/// Takes the secret of a source out of the system's keyring; whether one was there.
pub fn forget(source: &Source) -> Result<bool, String> {
    keyring::delete(source)
}

#[cfg(feature = "network")]
mod keyring {
    //! The system's keyring: Secret Service, Keychain or Credential Manager. Asked on a thread of its own, as it may wait for a person.

    use std::sync::mpsc::sync_channel;
    use std::time::Duration;

    use keyring::{Entry, Error};

    use super::{Secret, Source, Stored};
    use crate::job;

    const SERVICE: &str = "parallax-pacs";
    /// How long a locked keyring is waited for: a person types a password there.
    const PATIENCE: Duration = Duration::from_mins(1);

    pub(super) fn read(source: &Source) -> Stored {
        match ask(source, Entry::get_password) {
            Ok(said) => Stored::Found(Secret(said)),
            Err(None) => Stored::Unknown,
            Err(Some(why)) => Stored::NoKeyring(why),
        }
    }

    pub(super) fn write(source: &Source, said: &str) -> Result<(), String> {
        let said = said.to_owned();
        ask(source, move |entry| entry.set_password(&said)).map_err(Option::unwrap_or_default)
    }

    pub(super) fn delete(source: &Source) -> Result<bool, String> {
        match ask(source, Entry::delete_credential) {
            Ok(()) => Ok(true),
            Err(None) => Ok(false),
            Err(Some(why)) => Err(why),
        }
    }

    /// `Err(None)` means that the keyring has no such entry.
    fn ask<T: Send + 'static>(
        source: &Source,
        work: impl FnOnce(&Entry) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Option<String>> {
        // With the address: a source that is led elsewhere under the same name gets no password that was meant for another.
        let name = format!("{} {}", source.name, source.address());
        let (sender, receiver) = sync_channel(1);
        let asks = move || {
            let answer = job::quietly(|| Entry::new(SERVICE, &name).and_then(|entry| work(&entry)));
            sender.send(answer).ok(); // no one waits any more
        };
        job::apart("keyring", asks).map_err(|cause| Some(format!("cannot start a thread: {cause}")))?;
        match receiver.recv_timeout(PATIENCE) {
            Ok(Ok(Ok(answer))) => Ok(answer),
            Ok(Ok(Err(Error::NoEntry))) => Err(None),
            // The words of some errors hold what was stored: none of theirs are passed on.
            Ok(Ok(Err(_))) => Err(Some("this system's keyring is not reached, or locked".to_owned())),
            Ok(Err(_)) => Err(Some("this system's keyring fails".to_owned())),
            Err(_) => Err(Some("this system's keyring does not answer".to_owned())),
        }
    }
}

#[cfg(not(feature = "network"))]
mod keyring {
    //! A build without network needs no password.

    use super::{Source, Stored};

    const NONE: &str = "this build of Parallax reaches no network and no keyring";

    pub(super) fn read(_: &Source) -> Stored {
        Stored::NoKeyring(NONE.to_owned())
    }

    pub(super) fn write(_: &Source, _: &str) -> Result<(), String> {
        Err(NONE.to_owned())
    }

    #[expect(clippy::unnecessary_wraps, reason = "as it is where there is a keyring")]
    pub(super) fn delete(_: &Source) -> Result<bool, String> {
        Ok(false)
    }
}
