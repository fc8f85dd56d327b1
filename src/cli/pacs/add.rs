//! `parallax pacs add`: a source in words of the command line.

use std::io::IsTerminal;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};

use super::{Usage, password, put, say};
use crate::cli::values;
use crate::pacs::{Access, Certificates, Dimse, Login, Retrieve, Source, Web};
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
    #[arg(long, value_name = "URL", conflicts_with = "host")]
    url: Option<String>,
    /// User of the web server, whose password is asked for
    #[arg(long, value_name = "USER", conflicts_with = "bearer")]
    user: Option<String>,
    /// The web server wants a token, which is asked for
    #[arg(long)]
    bearer: bool,
    /// Password or token may travel over plain http, where anyone on the way can read it
    #[arg(long)]
    unencrypted: bool,
    /// DIMSE: name or address of the archive's machine
    #[arg(long, value_name = "HOST")]
    host: Option<String>,
    /// DIMSE: the archive's port
    #[arg(long, value_name = "PORT", value_parser = values::port)]
    port: Option<u16>,
    /// DIMSE: the archive's AE title
    #[arg(long, value_name = "AE")]
    called: Option<String>,
    /// DIMSE: the AE title of this program, which the archive must know [default: PARALLAX]
    #[arg(long, value_name = "AE")]
    calling: Option<String>,
    /// DIMSE over TLS
    #[arg(long)]
    tls: bool,
    /// DIMSE: how series are fetched [default: any]
    #[arg(long, value_enum)]
    retrieve: Option<By>,
    /// DIMSE: port of this machine where the archive delivers what C-MOVE asks for
    #[arg(long, value_name = "PORT", value_parser = values::port)]
    receive_port: Option<u16>,
    /// Certificates of the authorities that alone vouch for the source, PEM [default: the system's]
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Certificate that this program shows, PEM
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Private key of --certificate, PEM
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
}

pub(super) fn run(args: &AddArgs) -> Result<()> {
    let source = source(args)?;
    put(source.clone())?;
    say(&format!("{}: {}", source.name, source.how()));
    if source.secret_kind().is_some() {
        if std::io::stdin().is_terminal() {
            return password::put(&source);
        }
        say(&format!("its {} is not known; {}", source.secret_kind().unwrap_or_default(), password::WAYS));
    }
    Ok(())
}

/// Refuses what names no archive, and says all that is missing at once.
fn refuse_half(args: &AddArgs) -> Result<()> {
    let of_web = [("--user", args.user.is_some()), ("--bearer", args.bearer), ("--unencrypted", args.unencrypted)];
    let of_dimse = [
        ("--port", args.port.is_some()),
        ("--called", args.called.is_some()),
        ("--calling", args.calling.is_some()),
        ("--tls", args.tls),
        ("--retrieve", args.retrieve.is_some()),
        ("--receive-port", args.receive_port.is_some()),
    ];
    let named = |all: &[(&'static str, bool)]| all.iter().find(|(_, is_named)| *is_named).map(|(name, _)| *name);
    let (of_web, of_dimse) = (named(&of_web), named(&of_dimse));
    let is_web = args.url.is_some() || args.host.is_none() && of_web.is_some();
    let stray = if is_web { of_dimse.zip(Some("DIMSE (--host)")) } else { of_web.zip(Some("DICOMweb (--url)")) };
    if let Some((option, way)) = stray {
        bail!(Usage(format!("{option} is for {way}, and a source has one way to be reached")));
    }
    let is_dimse = args.host.is_some() || of_dimse.is_some();
    if !is_web && !is_dimse {
        bail!(Usage(
            "where is the archive? For DICOMweb name --url URL; for DIMSE name --host HOST, --port PORT and --called AE"
                .to_owned()
        ));
    }
    let missing = [
        ("--url URL", is_web && args.url.is_none()),
        ("--host HOST", is_dimse && args.host.is_none()),
        ("--port PORT", is_dimse && args.port.is_none()),
        ("--called AE", is_dimse && args.called.is_none()),
        ("--key FILE", args.certificate.is_some() && args.key.is_none()),
        ("--certificate FILE", args.key.is_some() && args.certificate.is_none()),
    ];
    let missing: Vec<&str> = missing.iter().filter(|(_, is_missing)| *is_missing).map(|(name, _)| *name).collect();
    if missing.is_empty() { Ok(()) } else { Err(Usage(format!("missing: {}", missing.join(", "))).into()) }
}

fn source(args: &AddArgs) -> Result<Source> {
    refuse_half(args)?;
    let file = |path: &Option<PathBuf>| path.as_deref().map(absolute);
    let certificates =
        Certificates { authority: file(&args.ca), certificate: file(&args.certificate), key: file(&args.key) };
    for path in [&certificates.authority, &certificates.certificate, &certificates.key].into_iter().flatten() {
        if !path.is_file() {
            bail!(Usage(format!("there is no such file: {}", path.display())));
        }
    }
    let kind = match (&args.url, &args.host) {
        (Some(url), _) => Access::DicomWeb(Web {
            url: url.trim_end_matches('/').to_owned(),
            login: match &args.user {
                Some(user) => Login::Basic { user: user.clone() },
                None if args.bearer => Login::Bearer,
                None => Login::None,
            },
            certificates,
            unencrypted: args.unencrypted,
        }),
        (None, host) => Access::Dimse(Dimse {
            host: host.clone().unwrap_or_default(),
            port: args.port.unwrap_or_default(),
            called: args.called.clone().unwrap_or_default(),
            calling: args.calling.clone().unwrap_or_else(|| "PARALLAX".to_owned()),
            tls: args.tls,
            certificates,
            retrieve: match args.retrieve {
                None | Some(By::Any) => Retrieve::Any,
                Some(By::Get) => Retrieve::Get,
                Some(By::Move) => Retrieve::Move,
            },
            receive_port: args.receive_port,
        }),
    };
    Ok(Source { name: args.name.clone(), kind })
}
