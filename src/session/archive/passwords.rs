//! Passwords and tokens of sources while the window is open: asked for once, kept in the system's keyring only where a person says so.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, anyhow};

use super::act::Act;
use crate::pacs::{self, Secret, Source, Stored};
use crate::session::stage::Stage;
use crate::session::worker::Worker;

/// A question cannot be asked, as the password of its source is not known.
#[derive(Debug, thiserror::Error)]
#[error("the {what} of {name} is not known: {why}")]
pub struct Lacking {
    what: &'static str,
    name: String,
    why: String,
}

/// A password that a person is asked for.
pub struct Asked {
    pub source: Source,
    /// "password" or "token".
    pub what: &'static str,
    /// Why it is asked for, in words; empty where a person wants to change it.
    pub why: String,
    /// What is done once it is there.
    again: Act,
}

/// A password that was typed.
struct Known {
    secret: Secret,
    /// Whether the source has taken it. One that has not is forgotten when the source refuses.
    proved: bool,
    /// Whether it goes into the keyring once the source has taken it.
    keep: bool,
}

/// What was typed since the window was opened.
#[derive(Default)]
pub struct Passwords {
    /// By name and address: a source that is led elsewhere has none.
    known: BTreeMap<String, Known>,
    pub asked: Option<Asked>,
    kept: Stage<()>,
}

impl Passwords {
    /// What was typed for a source.
    pub fn of(&self, source: &Source) -> Option<Secret> {
        self.known.get(&key(source)).map(|known| known.secret.clone())
    }

    /// Asks for the password of a source that has one.
    pub fn ask(&mut self, source: &Source, why: String, again: Act) {
        if let Some(what) = source.secret_kind() {
            self.asked = Some(Asked { source: source.clone(), what, why, again });
        }
    }

    /// Takes what was typed; gives what was to be done with it, which tells whether the source takes it.
    pub fn give(&mut self, secret: Secret, keep: bool) -> Option<Act> {
        let Asked { source, again, .. } = self.asked.take()?;
        self.known.insert(key(&source), Known { secret, proved: false, keep });
        Some(again)
    }

    /// Heard how a question to a source ended: the password is good, or it is lacking, or the source refuses it.
    pub fn hear<T: Send + Sync + 'static>(
        &mut self,
        source: &Source,
        stage: &mut Stage<T>,
        again: &Act,
        worker: &Worker,
    ) {
        let Some(error) = stage.error() else {
            if let Some(known) = self.known.get_mut(&key(source)).filter(|_| stage.ready().is_some()) {
                known.proved = true;
                self.keep(source, worker);
            }
            return;
        };
        if let Some(lacking) = error.downcast_ref::<Lacking>() {
            let why = lacking.why.clone();
            stage.dismiss();
            self.ask(source, why, again.clone());
            return;
        }
        // A connection that broke says nothing of the password.
        let broken = error.downcast_ref::<pacs::Error>().is_some_and(pacs::Error::is_broken);
        if !broken && self.known.get(&key(source)).is_some_and(|known| !known.proved) {
            self.known.remove(&key(source));
        }
    }

    fn keep(&mut self, source: &Source, worker: &Worker) {
        let Some(known) = self.known.get_mut(&key(source)).filter(|known| known.keep) else { return };
        known.keep = false;
        let (source, secret) = (source.clone(), known.secret.clone());
        self.kept.follow(worker.spawn("keyring", move |_| {
            let what = source.secret_kind().unwrap_or_default();
            pacs::remember(&source, &secret).map_err(|why| {
                anyhow!("{why}: the {what} of {} is kept only while this window is open", source.name)
            })?;
            Ok(Arc::new(()))
        }));
    }

    /// What the keyring said, where it keeps nothing; once.
    pub fn poll(&mut self) -> Option<String> {
        self.kept.poll();
        let said = self.kept.error().map(ToString::to_string);
        self.kept.dismiss();
        said
    }

    /// Forgets what was typed for a source.
    pub fn forget(&mut self, source: &Source) {
        self.known.remove(&key(source));
    }
}

fn key(source: &Source) -> String {
    format!("{} {}", source.name, source.address())
}

/// The password of a source that has one: what was typed, else what the system knows. Called on a worker, as the keyring may wait.
pub fn known(source: &Source, typed: Option<Secret>) -> Result<Option<Secret>> {
    let Some(what) = source.secret_kind() else { return Ok(None) };
    if let Some(typed) = typed {
        return Ok(Some(typed));
    }
    let why = match pacs::stored(source) {
        Stored::Found(secret) => return Ok(Some(secret)),
        Stored::Unknown => "this system's keyring holds none for it".to_owned(),
        Stored::NoKeyring(why) => why,
    };
    Err(Lacking { what, name: source.name.clone(), why }.into())
}
