//! Real servers, each on free ports of loopback with a folder of its own, ended with the test.

use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support;

const ORTHANC: &str = r#"{
  "Name": "PXTEST", "StorageDirectory": "@DIR@/db", "IndexDirectory": "@DIR@/db", "Plugins": ["@PLUGIN@"],
  "HttpServerEnabled": true, "HttpPort": @HTTP@, "RemoteAccessAllowed": false, "AuthenticationEnabled": true,
  "RegisteredUsers": { "px": "secret" }, "DicomServerEnabled": true, "DicomAet": "PXTEST", "DicomPort": @DIMSE@,
  "DicomCheckCalledAet": true, "DicomAlwaysAllowEcho": false, "DicomAlwaysAllowStore": false, "DicomAlwaysAllowFind": false,
  "DicomAlwaysAllowGet": false, "DicomAlwaysAllowMove": false, "DicomCheckModalityHost": true,
  "DicomModalities": { "parallax": { "AET": "PARALLAX", "Host": "127.0.0.1", "Port": @RECEIVE@, "AllowEcho": true,
    "AllowFind": true, "AllowGet": true, "AllowMove": true, "AllowStore": true, "UseDicomTls": @IS_TLS@ } }, @TLS@
  "OverwriteInstances": true, "StableAge": 2, "ExecuteLuaEnabled": false,
  "DicomWeb": { "Enable": true, "Root": "/dicom-web/", "EnableWado": false, "Ssl": false, "StudiesMetadata": "Full",
    "SeriesMetadata": "Full" }
}"#;
const NGINX: &str = "worker_processes 1; daemon off; pid @DIR@/nginx.pid; error_log @DIR@/error.log;
events { worker_connections 64; }
http {
  access_log off; client_max_body_size 0; client_body_temp_path @DIR@/body; proxy_temp_path @DIR@/proxy;
  fastcgi_temp_path @DIR@/fastcgi; uwsgi_temp_path @DIR@/uwsgi; scgi_temp_path @DIR@/scgi;
  server {
    listen @PORT@ ssl; ssl_certificate @DIR@/server.crt; ssl_certificate_key @DIR@/server.key;
    ssl_client_certificate @DIR@/ca.crt; ssl_verify_client optional;
    location /basic/ { proxy_pass http://127.0.0.1:@HTTP@/; }
    location /bearer/ { if ($http_authorization != \"Bearer t0k3n\") { return 401; }
      proxy_set_header Authorization \"Basic cHg6c2VjcmV0\"; proxy_pass http://127.0.0.1:@HTTP@/; }
    location /mtls/ { if ($ssl_client_verify != SUCCESS) { return 403; }
      proxy_set_header Authorization \"Basic cHg6c2VjcmV0\"; proxy_pass http://127.0.0.1:@HTTP@/; }
  }
}
";
/// An authority of one's own, and certificates of it for a server at localhost and for a client.
const CERTIFICATES: &str = "set -e; cd \"$1\"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj '/CN=Hospital test CA' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
for n in server client; do
  openssl req -newkey rsa:2048 -nodes -keyout $n.key -out $n.csr -subj \"/CN=$n\"
  printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth,clientAuth\\n' >$n.ext
  openssl x509 -req -in $n.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out $n.crt -days 2 -extfile $n.ext
done";
const QRSCP: &str = "NetworkTCPPort = @PORT@
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
parallax = (PARALLAX, localhost, @RECEIVE@)
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
QRSCP @DIR@/db RW (200, 1024mb) ANY
AETable END
";
/// A profile of presentation contexts that knows CT and secondary capture alone.
const STORESCP: &str = "[[TransferSyntaxes]]
[Plain]
TransferSyntax1 = LocalEndianExplicit
TransferSyntax2 = LittleEndianImplicit
[[PresentationContexts]]
[Some]
PresentationContext1 = VerificationSOPClass\\Plain
PresentationContext2 = CTImageStorage\\Plain
PresentationContext3 = SecondaryCaptureImageStorage\\Plain
[[Profiles]]
[Default]
PresentationContexts = Some
";

pub(super) fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port()
}

/// A program that Debian keeps in one of these folders; in CI its absence is a failure.
pub(super) fn found(name: &str, package: &str) -> Option<std::path::PathBuf> {
    let places = ["/usr/sbin", "/usr/bin", "/usr/local/bin"];
    let there = places.iter().map(|folder| Path::new(folder).join(name)).find(|path| path.is_file());
    support::needed(there, &format!("{name} (package {package})"))
}

/// A process that is ended with what holds it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().ok(); // it may have ended by itself
        self.0.wait().ok();
    }
}

/// Starts a server, and waits until it listens.
fn start(command: &mut Command, port: u16) -> Running {
    let process = command.stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
    let mut running = Running(process.spawn().expect("it starts"));
    let began = Instant::now();
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        let ended = running.0.try_wait().expect("its state");
        assert!(ended.is_none(), "{command:?} ended: {ended:?}");
        assert!(began.elapsed() < Duration::from_mins(1), "{command:?} does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    running
}

/// A folder with an authority and its certificates.
pub(super) fn certificates() -> Option<TempDir> {
    found("openssl", "openssl")?;
    let folder = open_folder();
    let made = Command::new("sh").args(["-c", CERTIFICATES, "sh"]).arg(folder.path()).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Some(folder)
}

/// A folder that a server may read that runs as another user.
fn open_folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::Permissions::from_mode(0o755);
        std::fs::set_permissions(folder.path(), mode).expect("a folder of one's own");
    }
    folder
}

pub(super) struct Orthanc {
    _running: Running,
    _folder: TempDir,
    pub(super) http: u16,
    pub(super) dimse: u16,
}

impl Orthanc {
    /// Starts one that knows this program by its AE title, at a port that it receives at.
    pub(super) fn start(receive: Option<u16>) -> Option<Self> {
        Self::start_as(receive, None)
    }

    /// Starts the archive over TLS, both ways, with the certificates of a folder.
    pub(super) fn start_with_tls(receive: u16, certificates: &Path) -> Option<Self> {
        Self::start_as(Some(receive), Some(certificates))
    }

    fn start_as(receive: Option<u16>, certificates: Option<&Path>) -> Option<Self> {
        let program = found("Orthanc", "orthanc")?;
        let plugins = ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so", "/usr/lib/orthanc/libOrthancDicomWeb.so"];
        let plugin = plugins.into_iter().find(|path| Path::new(path).exists());
        let plugin = support::needed(plugin, "Orthanc's DICOMweb (package orthanc-dicomweb)")?;
        let (folder, http, dimse) = (tempfile::tempdir().expect("a folder"), free_port(), free_port());
        let text = ORTHANC
            .replace("@DIR@", folder.path().to_str().expect("plain"))
            .replace("@IS_TLS@", if certificates.is_some() { "true" } else { "false" })
            .replace("@TLS@", &certificates.map_or_else(String::new, of_tls))
            .replace("@PLUGIN@", plugin)
            .replace("@HTTP@", &http.to_string())
            .replace("@DIMSE@", &dimse.to_string())
            .replace("@RECEIVE@", &receive.unwrap_or(104).to_string());
        let config = folder.path().join("orthanc.json");
        std::fs::write(&config, text).expect("written");
        let running = start(Command::new(program).arg(config).env("TCP_NODELAY", "1"), dimse);
        drop(start_waits(http));
        Some(Self { _running: running, _folder: folder, http, dimse })
    }
}

/// What Orthanc's configuration says of TLS under DIMSE.
fn of_tls(certificates: &Path) -> String {
    let of = |name: &str| certificates.join(name).display().to_string();
    format!(
        "\"DicomTlsEnabled\": true, \"DicomTlsCertificate\": \"{}\", \"DicomTlsPrivateKey\": \"{}\", \"DicomTlsTrustedCertificates\": \"{}\",",
        of("server.crt"),
        of("server.key"),
        of("ca.crt")
    )
}

/// Waits until something listens at a port.
fn start_waits(port: u16) -> TcpStream {
    let began = Instant::now();
    loop {
        if let Ok(stream) = TcpStream::connect(("127.0.0.1", port)) {
            return stream;
        }
        assert!(began.elapsed() < Duration::from_mins(1), "nothing listens at {port}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

pub(super) struct Nginx {
    process: Running,
    pub(super) folder: TempDir,
    pub(super) port: u16,
}

impl Nginx {
    /// Starts one with TLS before a web server: by user and password, by a token, and by a client certificate.
    pub(super) fn start(http: u16) -> Option<Self> {
        let program = found("nginx", "nginx-light")?;
        let (folder, port) = (certificates()?, free_port());
        let text = NGINX
            .replace("@DIR@", folder.path().to_str().expect("plain"))
            .replace("@PORT@", &port.to_string())
            .replace("@HTTP@", &http.to_string());
        std::fs::write(folder.path().join("nginx.conf"), text).expect("written");
        let process = start(Command::new(program).arg("-c").arg(folder.path().join("nginx.conf")), port);
        Some(Self { process, folder, port })
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked to stop by its own word, so that its worker ends too.
        let config = self.folder.path().join("nginx.conf");
        Command::new("nginx").arg("-c").arg(config).args(["-s", "stop"]).stderr(Stdio::null()).status().ok();
        self.process.0.wait().ok();
    }
}

pub(super) struct Dcmqrscp {
    _running: Running,
    _folder: TempDir,
    pub(super) port: u16,
}

impl Dcmqrscp {
    pub(super) fn start(receive: u16) -> Option<Self> {
        let program = found("dcmqrscp", "dcmtk")?;
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        std::fs::create_dir(folder.path().join("db")).expect("a folder");
        let text = QRSCP
            .replace("@DIR@", folder.path().to_str().expect("plain"))
            .replace("@PORT@", &port.to_string())
            .replace("@RECEIVE@", &receive.to_string());
        std::fs::write(folder.path().join("dcmqrscp.cfg"), text).expect("written");
        let running = start(Command::new(program).arg("-c").arg(folder.path().join("dcmqrscp.cfg")), port);
        Some(Self { _running: running, _folder: folder, port })
    }
}

pub(super) struct Storescp {
    _running: Running,
    pub(super) folder: TempDir,
    pub(super) port: u16,
}

impl Storescp {
    /// Starts one that knows CT and secondary capture alone; with TLS where a folder of certificates is given.
    pub(super) fn start(certificates: Option<&Path>) -> Option<Self> {
        let program = found("storescp", "dcmtk")?;
        let (folder, port) = (tempfile::tempdir().expect("a folder"), free_port());
        std::fs::create_dir(folder.path().join("came")).expect("a folder");
        std::fs::write(folder.path().join("some.cfg"), STORESCP).expect("written");
        let mut command = Command::new(program);
        command.arg("-xf").arg(folder.path().join("some.cfg")).arg("Default");
        command.arg("-od").arg(folder.path().join("came"));
        if let Some(of) = certificates {
            command.arg("+tls").arg(of.join("server.key")).arg(of.join("server.crt"));
            command.arg("+cf").arg(of.join("ca.crt")).arg("-rc");
        }
        let running = start(command.arg(port.to_string()), port);
        Some(Self { _running: running, folder, port })
    }
}
