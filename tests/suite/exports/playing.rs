//! Exported animations, played by other programs: FFmpeg's reader, and a browser.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support;
use crate::tiny_models::TinyModels;

const FILES: [&str; 5] = ["lambda.gif", "lambda.mp4", "lambda.png", "slices.mp4", "tour.mp4"];
/// Far more than a browser takes to start and to play a few seconds.
const PATIENCE: Duration = Duration::from_mins(2);
/// What a browser says of each animation: how long it played, seconds, or how many pictures it holds; and its size.
const PAGE: &str = r#"<!DOCTYPE html><title>Playing</title><script type="module">
const play = name => new Promise((done, failed) => {
  const video = document.createElement("video");
  video.muted = true;
  video.onended = () => done({seconds: video.currentTime, size: [video.videoWidth, video.videoHeight]});
  video.onerror = () => failed(`${name}: ${video.error.message}`);
  video.src = name;
  document.body.append(video);
  video.play();
});
const decode = async (name, type) => {
  const decoder = new ImageDecoder({type, data: (await fetch(name)).body});
  await decoder.completed;
  const {frameCount: pictures, repetitionCount: repeats} = decoder.tracks.selectedTrack;
  const {image} = await decoder.decode({frameIndex: pictures - 1});
  return {pictures, repeats, size: [image.displayWidth, image.displayHeight]};
};
const said = {};
try {
  for (const name of ["lambda.mp4", "slices.mp4", "tour.mp4"]) said[name] = await play(name);
  said["lambda.gif"] = await decode("lambda.gif", "image/gif");
  said["lambda.png"] = await decode("lambda.png", "image/png");
} catch (error) { said.error = String(error); }
await fetch("/said", {method: "POST", body: JSON.stringify(said)});
</script>"#;

/// Ends with the test, however that ends.
struct Ended(Child);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Answers one request: the page, a file of `folder`, or what the page says.
fn serve(stream: TcpStream, folder: &Path) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let (mut line, mut length) = (String::new(), 0);
    reader.read_line(&mut line).ok()?;
    let name = line.split(' ').nth(1)?.trim_start_matches('/').to_owned();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        if header.trim().is_empty() {
            break;
        }
    }
    let mut said = vec![0; length];
    reader.read_exact(&mut said).ok()?;
    let (status, kind, body) = match name.as_str() {
        "said" => ("200 OK", "text/plain", Vec::new()),
        "" => ("200 OK", "text/html; charset=utf-8", PAGE.as_bytes().to_vec()),
        name if FILES.contains(&name) => {
            let is_video = Path::new(name).extension().is_some_and(|extension| extension == "mp4");
            let kind = if is_video { "video/mp4" } else { "application/octet-stream" };
            ("200 OK", kind, std::fs::read(folder.join(name)).ok()?)
        }
        _ => ("404 Not Found", "text/plain", Vec::new()),
    };
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    let stream = reader.get_mut();
    // A player that has seen enough hangs up.
    stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body)).ok();
    serde_json::from_slice(&said).ok()
}

/// What the browser says of the animations in `folder`.
fn played(browser: &str, folder: &Path) -> Value {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    listener.set_nonblocking(true).expect("a port that is asked, not waited for");
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let _browser = Ended(
        Command::new(browser)
            .args(["--headless", "--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"])
            .args([&profile, &url])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("the browser starts"),
    );
    let began = Instant::now();
    while began.elapsed() < PATIENCE {
        let Ok((stream, _)) = listener.accept() else {
            std::thread::sleep(Duration::from_millis(5));
            continue;
        };
        // A browser opens connections ahead of what it will ask for, too.
        stream.set_nonblocking(false).expect("a plain connection");
        stream.set_read_timeout(Some(Duration::from_millis(500))).expect("a plain connection");
        if let Some(said) = serve(stream, folder) {
            return said;
        }
    }
    panic!("the page did not say what it played");
}

/// Streams of a film as `ffprobe` reads them, every picture decoded.
fn probed(ffprobe: &str, film: &Path) -> Value {
    let fields = "stream=codec_name,profile,pix_fmt,width,height,duration,nb_read_frames";
    let output = Command::new(ffprobe)
        .args(["-v", "error", "-count_frames", "-of", "json", "-show_entries", fields])
        .arg(film)
        .output()
        .expect("ffprobe runs");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && complaints.is_empty(), "{}: {complaints}", film.display());
    serde_json::from_slice::<Value>(&output.stdout).expect("JSON")["streams"].take()
}

#[test]
fn animations_play_in_other_programs() {
    let (browser, ffprobe) = (support::browser(), support::ffprobe());
    let models = TinyModels::new();
    let out = models.folder.path().join("out");
    let run = models
        .explain(&support::data("nifti/syn_lps.nii.gz"))
        .args(["--target", "Fracture", "--slab", "9:14", "--range", "-50:0", "--steps", "3", "--size", "240"])
        .args(["--export", "gif,apng,mp4", "--fps", "10", "--loops", "2", "--out"])
        .arg(&out)
        .output()
        .expect("the binary runs");
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));

    // Three steps there and back, the ends for 0.9 s and the middle twice for 0.1 s; five slices of 3 mm
    // in the stack are four of 4 mm in the scan.
    let lengths = [("lambda.mp4", 2.0), ("slices.mp4", 0.4)];
    if let Some(ffprobe) = ffprobe {
        for (name, seconds) in lengths {
            let streams = probed(ffprobe, &out.join(name));
            let video = &streams[0];
            assert_eq!(streams.as_array().map(Vec::len), Some(1), "{name}: {streams}");
            assert_eq!(
                [&video["codec_name"], &video["profile"], &video["pix_fmt"]],
                ["h264", "Constrained Baseline", "yuv420p"]
            );
            let length: f64 = video["duration"].as_str().and_then(|s| s.parse().ok()).expect("a length");
            assert!((length - seconds).abs() < TIME_TOLERANCE, "{name}: {length} s");
        }
        for (name, codec) in [("lambda.gif", "gif"), ("lambda.png", "apng")] {
            let streams = probed(ffprobe, &out.join(name));
            assert_eq!(streams[0]["codec_name"], codec);
            assert_eq!(streams[0]["width"], 724);
        }
    }
    let Some(browser) = browser else { return };
    let said = played(browser, &out);
    assert_eq!(said["error"], Value::Null);
    for (name, seconds) in lengths {
        let length = said[name]["seconds"].as_f64().expect("played to its end");
        assert!((length - seconds).abs() < TIME_TOLERANCE, "{name}: {length} s");
        assert_eq!(said[name]["size"][0], 724, "{name}");
    }
    for name in ["lambda.gif", "lambda.png"] {
        assert_eq!([&said[name]["pictures"], &said[name]["repeats"]], [&json!(4), &json!(1)], "{name}: {said}");
        assert_eq!(said[name]["size"][0], 724, "{name}");
    }
}

/// Films are of 25 pictures a second.
const TIME_TOLERANCE: f64 = 0.041;
