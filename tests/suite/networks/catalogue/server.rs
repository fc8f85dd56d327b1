//! A web server of a few lines, which tells the truth or lies as a test wants.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

/// What a client asked for.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    /// `GET`, or `CONNECT` to a proxy.
    pub(crate) method: String,
    /// `/a/b`, or `host:port`.
    pub(crate) path: String,
    /// The first byte that is wanted.
    pub(crate) from: Option<usize>,
    pub(crate) if_range: Option<String>,
    /// Who asks.
    pub(crate) authorization: Option<String>,
}

/// A server on loopback, until the test's process ends.
pub(crate) struct Server {
    pub(crate) address: String,
    requests: Arc<Mutex<Vec<Request>>>,
}

impl Server {
    /// Starts one whose every answer `answer` writes; it is told how many requests came before.
    pub(crate) fn start(answer: impl Fn(usize, &Request, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("an address"));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (requests.clone(), Arc::new(answer));
        let accept = move || {
            for stream in listener.incoming() {
                let (Ok(mut stream), seen, answer) = (stream, seen.clone(), answer.clone()) else { return };
                let talk = move || {
                    let Some(request) = read(&mut stream) else { return };
                    let number = {
                        let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                        seen.push(request.clone());
                        seen.len() - 1
                    };
                    answer(number, &request, &mut stream);
                };
                std::thread::Builder::new().name("answer".to_owned()).spawn(talk).expect("a thread");
            }
        };
        std::thread::Builder::new().name("server".to_owned()).spawn(accept).expect("a thread");
        Self { address, requests }
    }

    /// One that gives `bytes` under any name, by ranges, with a tag.
    pub(crate) fn honest(bytes: &[u8]) -> Self {
        let bytes = bytes.to_vec();
        Self::start(move |_, request, stream| honest(&bytes, request, stream))
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if stream.read(&mut byte).ok()? == 0 || head.len() > 1 << 16 {
            return None;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).ok()?;
    let field = |name: &str| {
        let mut fields = head.lines().filter_map(|line| line.split_once(": "));
        fields.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
    };
    let mut words = head.split(' ');
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let from = field("range").and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
    Some(Request { method, path, from, if_range: field("if-range"), authorization: field("authorization") })
}

/// Writes as much as the client takes: it may have hung up.
pub(crate) fn send(stream: &mut TcpStream, head: &str, body: &[u8]) {
    let head = format!("HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body)).ok();
}

pub(crate) fn honest(bytes: &[u8], request: &Request, stream: &mut TcpStream) {
    let total = bytes.len();
    match request.from {
        Some(from) if from < total => {
            let head = format!(
                "206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {from}-{}/{total}\r\nETag: \"one\"",
                total - from,
                total - 1
            );
            send(stream, &head, &bytes[from..]);
        }
        Some(_) => send(stream, &format!("416 No\r\nContent-Length: 0\r\nContent-Range: bytes */{total}"), b""),
        None => send(stream, &format!("200 OK\r\nContent-Length: {total}\r\nETag: \"one\""), bytes),
    }
}
