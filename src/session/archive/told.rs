//! What went wrong with an archive, as the window tells it: settings by the names of their fields.

use anyhow::{Error, anyhow};

use crate::job::Cancelled;
use crate::pacs::{self, Setting};

/// A question that was cancelled is no failure.
pub(super) fn told(error: pacs::Error) -> Error {
    match error {
        pacs::Error::Cancelled(Cancelled) => Cancelled.into(),
        error @ (pacs::Error::Asked { .. } | pacs::Error::Refused { .. }) => anyhow!(error.told(field)),
        error => error.into(),
    }
}

/// The field of a source's page that a setting is typed into; none where the page has no field of it.
fn field(setting: Setting) -> &'static str {
    match setting {
        Setting::Address => "Address",
        Setting::User => "user and password",
        Setting::Token => "a token",
        Setting::Unencrypted => "May be asked over plain http",
        Setting::Host => "Host",
        Setting::Port => "Port",
        Setting::Called => "Its AE title",
        Setting::Calling => "Your AE title",
        Setting::Tls => "Over TLS",
        Setting::ReceivePort => "Receive at port",
        Setting::Authority => "Authority",
        Setting::Certificate => "Certificate",
        Setting::Key => "Its key",
        Setting::Study | Setting::Folder => "",
    }
}
