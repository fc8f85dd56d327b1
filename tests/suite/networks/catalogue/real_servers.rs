//! nginx on loopback: ranges, none, a redirect, a slow one; and TLS with a certificate of a hospital's own.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use parallax::catalogue;
use parallax::job::Monitor;

use super::{asked, bytes, entry};
use crate::support;

const CONFIG: &str = "worker_processes 1; daemon off; pid @DIR@/nginx.pid; error_log @DIR@/error.log;
events { worker_connections 64; }
http {
  access_log @DIR@/access.log; client_body_temp_path @DIR@/body; proxy_temp_path @DIR@/proxy; fastcgi_temp_path @DIR@/fastcgi;
  uwsgi_temp_path @DIR@/uwsgi; scgi_temp_path @DIR@/scgi;
  server {
    listen 127.0.0.1:@PLAIN@; listen 127.0.0.1:@SECURE@ ssl;
    ssl_certificate @DIR@/server.crt; ssl_certificate_key @DIR@/server.key;
    location /files/ { alias @DIR@/www/; }
    location /slow/ { alias @DIR@/www/; limit_rate 1m; }
    location /norange/ { alias @DIR@/www/; max_ranges 0; }
    location /moved/ { rewrite ^/moved/(.*)$ /files/$1 redirect; }
    location /open/ { return 302 http://open.invalid/net.pt; }
    location /busy/ { return 429; }
  }
}
";
/// An authority of one's own, and a certificate of it for localhost.
const CERTIFICATES: &str = "set -e; cd \"$1\"
openssl req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.crt -days 2 -subj '/CN=Hospital test CA' \
  -addext basicConstraints=critical,CA:TRUE -addext keyUsage=critical,keyCertSign,cRLSign
openssl req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj '/CN=server'
printf 'subjectAltName=DNS:localhost,IP:127.0.0.1\\nbasicConstraints=CA:FALSE\\nextendedKeyUsage=serverAuth\\n' >server.ext
openssl x509 -req -in server.csr -CA ca.crt -CAkey ca.key -CAcreateserial -out server.crt -days 2 -extfile server.ext";

struct Nginx {
    process: std::process::Child,
    folder: tempfile::TempDir,
    plain: String,
    secure: String,
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Asked to stop by its own word, so that its worker ends too.
        let config = self.folder.path().join("nginx.conf");
        Command::new("nginx").arg("-c").arg(config).args(["-s", "stop"]).stderr(Stdio::null()).status().ok();
        self.process.wait().ok();
    }
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

fn start(file: &[u8]) -> Option<Nginx> {
    let runs =
        |program: &str, word: &str| Command::new(program).arg(word).output().is_ok_and(|out| out.status.success());
    support::needed(Some(()).filter(|()| runs("nginx", "-v") && runs("openssl", "version")), "nginx, or openssl,")?;
    let folder = tempfile::tempdir().expect("a folder");
    let dir = folder.path();
    std::fs::create_dir(dir.join("www")).expect("a folder");
    std::fs::write(dir.join("www/net.pt"), file).expect("written");
    // A server that began as the superuser reads as another user.
    #[cfg(unix)]
    for path in [dir.to_owned(), dir.join("www")] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).expect("a folder of one's own");
    }
    let made = Command::new("sh").args(["-c", CERTIFICATES, "sh"]).arg(dir).output().expect("a shell");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    let ports = [free_port(), free_port()];
    let config = CONFIG.replace("@DIR@", dir.to_str().expect("plain"));
    let config = config.replace("@PLAIN@", &ports[0].to_string()).replace("@SECURE@", &ports[1].to_string());
    std::fs::write(dir.join("nginx.conf"), config).expect("written");
    let process =
        Command::new("nginx").arg("-c").arg(dir.join("nginx.conf")).stderr(Stdio::null()).spawn().expect("nginx");
    let [plain, secure] = ports;
    let began = Instant::now();
    while std::net::TcpStream::connect(("127.0.0.1", plain)).is_err() {
        assert!(began.elapsed() < Duration::from_secs(20), "nginx does not listen");
        std::thread::sleep(Duration::from_millis(20));
    }
    let (plain, secure) = (format!("http://127.0.0.1:{plain}"), format!("https://localhost:{secure}"));
    Some(Nginx { process, folder, plain, secure })
}

/// A folder in which the first 1,200,001 bytes have come, from the same place.
fn begun(address: &str, whole: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let monitor = Monitor::new(|_| {});
    catalogue::get(&entry(""), &asked(address, folder.path()), &monitor).expect("fetched");
    let path = |end: &str| folder.path().join(format!("net.pt{end}"));
    // As a run leaves it that was killed; the SHA-256 tells that it is the beginning of the same file.
    std::fs::remove_file(path("")).expect("removed");
    std::fs::remove_file(path(".sha256")).expect("removed");
    std::fs::write(path(".part"), &whole[..1_200_001]).expect("written");
    folder
}

#[test]
fn nginx_is_read_by_ranges_without_them_slowly_and_behind_a_redirect() {
    let whole = bytes(2_000_000);
    let Some(nginx) = start(&whole) else { return };
    let known = format!("sha256 = \"{}\"", super::sha256(&whole));
    for place in ["files", "slow", "norange", "moved"] {
        let address = format!("{}/{place}", nginx.plain);
        let folder = begun(&address, &whole);
        catalogue::get(&entry(&known), &asked(&address, folder.path()), &Monitor::new(|_| {}))
            .unwrap_or_else(|error| panic!("{place}: {error}"));
        assert_eq!(std::fs::read(folder.path().join("net.pt")).expect("there"), whole, "{place}");
    }
    let log = std::fs::read_to_string(nginx.folder.path().join("access.log")).expect("a log");
    let ranged = |place: &str| log.lines().filter(|line| line.contains(place) && line.contains(" 206 799999 ")).count();
    assert_eq!([ranged("/files/net.pt"), ranged("/slow/"), ranged("/norange/")], [2, 1, 0], "{log}");
    let folder = tempfile::tempdir().expect("a folder");
    for (place, said) in [("busy", "no more requests"), ("none", "no such file")] {
        let from = asked(&format!("{}/{place}", nginx.plain), folder.path());
        let error = catalogue::get(&entry(""), &from, &Monitor::new(|_| {})).expect_err("refused").to_string();
        assert!(error.contains(said), "{place}: {error}");
    }
}

#[test]
fn a_hospitals_own_certificate_is_believed_where_the_system_is_told_of_it() {
    let whole = bytes(300_000);
    let Some(nginx) = start(&whole) else { return };
    let get = |place: &str, authority: Option<PathBuf>, into: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_parallax"));
        let from = format!("{}/{place}", nginx.secure);
        command.args(["models", "get", "merlin", "--from", &from, "--into"]).arg(into).env_remove("SSL_CERT_FILE");
        command.envs(authority.map(|file| ("SSL_CERT_FILE", file)));
        let output = command.output().expect("the binary runs");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let www = nginx.folder.path().join("www");
    std::fs::rename(www.join("net.pt"), www.join(super::binary::FILE)).expect("renamed");
    let into = nginx.folder.path().join("into");
    let (code, error) = get("files", None, &into);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("no authority that this system trusts"), "{error}");
    let authority = nginx.folder.path().join("ca.crt");
    let (code, error) = get("open", Some(authority.clone()), &into);
    assert_eq!(code, Some(1), "{error}");
    assert!(error.contains("from a secure address to an open one"), "{error}");
    let (code, error) = get("files", Some(authority), &into);
    assert_eq!(code, Some(0), "{error}");
    assert_eq!(std::fs::read(into.join(super::binary::FILE)).expect("there"), whole);
}
