//! Passwords and tokens on the command line: from the environment or the keyring, else asked for on the terminal.

use std::io::IsTerminal;

use anyhow::{Result, anyhow};
use console::Term;

use super::{Usage, say};
use crate::pacs::{self, PASSWORD_VARIABLE, Secret, Source, Stored};

/// How a password that is not known gets here.
pub(super) const WAYS: &str =
    "put it into the system's keyring (parallax pacs password), or into the environment (PARALLAX_PACS_PASSWORD)";

/// The password of a source that has one.
pub(super) fn of(source: &Source) -> Result<Option<Secret>> {
    let Some(what) = source.secret_kind() else { return Ok(None) };
    let why = match pacs::stored(source) {
        Stored::Found(secret) => return Ok(Some(secret)),
        Stored::Unknown => "none is kept in this system's keyring".to_owned(),
        Stored::NoKeyring(why) => why,
    };
    if !std::io::stdin().is_terminal() {
        return Err(Usage(format!("the {what} of {} is not known ({why}); {WAYS}", source.name)).into());
    }
    ask(source, what).map(Some)
}

/// Asks for the password of a source and puts it into the keyring.
pub(super) fn put(source: &Source) -> Result<()> {
    let Some(what) = source.secret_kind() else {
        return Err(Usage(format!("{} has no password and no token", source.name)).into());
    };
    if !std::io::stdin().is_terminal() {
        return Err(
            Usage(format!("a {what} is asked for on a terminal; set {PASSWORD_VARIABLE} where there is none")).into()
        );
    }
    let secret = ask(source, what)?;
    match pacs::remember(source, &secret) {
        Ok(()) => say(&format!("the {what} is in this system's keyring")),
        Err(why) => say(&format!("{why}: the {what} is kept nowhere, and is asked for each time")),
    }
    Ok(())
}

fn ask(source: &Source, what: &str) -> Result<Secret> {
    let terminal = Term::stderr();
    let asked = terminal.write_str(&format!("{what} of {source}: ")).and_then(|()| terminal.read_secure_line());
    let said = asked.map_err(|_unread| anyhow!("the {what} cannot be read from the terminal"))?;
    if said.is_empty() {
        return Err(Usage(format!("no {what} was given")).into());
    }
    Ok(Secret::new(said))
}
