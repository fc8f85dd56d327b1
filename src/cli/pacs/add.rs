//! `parallax pacs add`: a source in words of the command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{Usage, password, put, say, tables};
use crate::pacs::{Certificates, Dimse, Kind, Login, Retrieve, Source, Web};
use crate::settings::absolute;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum By {
    /// By C-GET where the archive offers it, else by C-MOVE where --receive-port is named
    Any,
    Get,
    Move,
}

#[derive(Debug, Args)]
pub(super) struct AddArgs {
    /// What the source is called here: letters, digits, - and _
    name: String,
    /// DICOMweb: the address that /studies is appended to
    #[arg(long, value_name = "URL", required_unless_present = "host", conflicts_with = "host")]
    url: Option<String>,
    /// User of the web server, whose password is asked for
    #[arg(long, value_name = "USER", requires = "url", conflicts_with = "bearer")]
    user: Option<String>,
    /// The web server wants a token, which is asked for
    #[arg(long, requires = "url")]
    bearer: bool,
    /// Password or token may travel over plain http, where anyone on the way can read it
    #[arg(long, requires = "url")]
    unencrypted: bool,
    /// DIMSE: name or address of the archive's machine
    #[arg(long, value_name = "HOST", requires_all = ["port", "called"])]
    host: Option<String>,
    /// DIMSE: the archive's port
    #[arg(long, value_name = "PORT", requires = "host")]
    port: Option<u16>,
    /// DIMSE: the archive's AE title
    #[arg(long, value_name = "AE", requires = "host")]
    called: Option<String>,
    /// DIMSE: the AE title of this program, which the archive must know
    #[arg(long, value_name = "AE", requires = "host", default_value = "PARALLAX")]
    calling: String,
    /// DIMSE over TLS
    #[arg(long, requires = "host")]
    tls: bool,
    /// DIMSE: how series are fetched
    #[arg(long, value_enum, requires = "host", default_value = "any")]
    retrieve: By,
    /// DIMSE: port of this machine where the archive delivers what C-MOVE asks for
    #[arg(long, value_name = "PORT", requires = "host")]
    receive_port: Option<u16>,
    /// Certificates of the authorities that alone vouch for the source, PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate that this program shows, PEM
    #[arg(long, value_name = "FILE", requires = "key")]
    certificate: Option<PathBuf>,
    /// Private key of --certificate, PEM
    #[arg(long, value_name = "FILE", requires = "certificate")]
    key: Option<PathBuf>,
}

pub(super) fn run(args: &AddArgs) -> Result<()> {
    let source = source(args)?;
    put(source.clone())?;
    say(&format!("{}: {}", source.name, tables::how(&source)));
    if source.secret_kind().is_some() {
        if std::io::stdin().is_terminal() {
            return password::put(&source);
        }
        say(&format!("its {} is not known; {}", source.secret_kind().unwrap_or_default(), password::WAYS));
    }
    Ok(())
}

fn source(args: &AddArgs) -> Result<Source> {
    let file = |path: &Option<PathBuf>| path.as_deref().map(absolute);
    let certificates =
        Certificates { authority: file(&args.ca), certificate: file(&args.certificate), key: file(&args.key) };
    for path in [&certificates.authority, &certificates.certificate, &certificates.key].into_iter().flatten() {
        if !path.is_file() {
            bail!(Usage(format!("there is no such file: {}", path.display())));
        }
    }
    let kind = match (&args.url, &args.host) {
        (Some(url), _) => Kind::DicomWeb(Web {
            url: url.trim_end_matches('/').to_owned(),
            login: match &args.user {
                Some(user) => Login::Basic { user: user.clone() },
                None if args.bearer => Login::Bearer,
                None => Login::None,
            },
            certificates,
            unencrypted: args.unencrypted,
        }),
        (None, host) => Kind::Dimse(Dimse {
            host: host.clone().unwrap_or_default(),
            port: args.port.unwrap_or_default(),
            called: args.called.clone().unwrap_or_default(),
            calling: args.calling.clone(),
            tls: args.tls,
            certificates,
            retrieve: match args.retrieve {
                By::Any => Retrieve::Any,
                By::Get => Retrieve::Get,
                By::Move => Retrieve::Move,
            },
            receive_port: args.receive_port,
        }),
    };
    Ok(Source { name: args.name.clone(), kind })
}
