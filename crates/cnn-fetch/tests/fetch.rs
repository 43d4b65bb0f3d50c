//! Downloads from a server that does what servers and networks do.

use cnn_data::DataError;
use cnn_fetch::{Content, Downloader, Event, PublishedFile, PublishedSet};
use flate2::{Compression, write::GzEncoder};
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// What the server does with a request: the first byte asked for, and the connection.
type Answer = Box<dyn FnOnce(u64, &mut TcpStream) + Send>;

/// A server that answers each connection as it was told, in order, and then is gone.
struct Server {
    url: String,
    /// The paths asked for, with the first byte if it was not 0.
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(answers: Vec<Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/set/", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let log = requests.clone();
        thread::spawn(move || {
            for answer in answers {
                let (mut connection, _) = listener.accept().unwrap();
                let head = head(&mut connection);
                let range = head.to_lowercase().split("range: bytes=").nth(1).map(|rest| {
                    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
                    digits.parse::<u64>().unwrap()
                });
                let path = head.split(' ').nth(1).unwrap_or_default();
                log.lock()
                    .unwrap()
                    .push(format!("{path}{}", range.map_or(String::new(), |r| format!(" from {r}"))));
                answer(range.unwrap_or(0), &mut connection);
            }
        });
        Self { url, requests }
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

/// The request to its empty line.
fn head(connection: &mut TcpStream) -> String {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") && connection.read(&mut byte).is_ok_and(|read| read == 1) {
        head.push(byte[0]);
    }
    String::from_utf8(head).unwrap()
}

/// Writes; whoever hung up has what they wanted.
fn send(connection: &mut TcpStream, head: &str, body: &[u8]) {
    let _ = write!(connection, "HTTP/1.1 {head}\r\nConnection: close\r\n\r\n");
    let _ = connection.write_all(body);
    let _ = connection.flush();
}

/// A file served properly, with ranges.
fn whole(content: &[u8]) -> Answer {
    cut(content, content.len())
}

/// A file of which only the first `end` bytes arrive.
fn cut(content: &[u8], end: usize) -> Answer {
    let content = content.to_vec();
    Box::new(move |from, connection| {
        let rest = &content[from as usize..];
        let range = format!("Content-Range: bytes {from}-{}/{}", content.len() - 1, content.len());
        let status = if from > 0 { format!("206 Partial Content\r\n{range}") } else { "200 OK".into() };
        let head = format!("{status}\r\nContent-Length: {}", rest.len());
        send(connection, &head, &content[from as usize..end.max(from as usize)]);
    })
}

/// The same head and body whatever is asked for.
fn fixed(head: impl Into<String>, body: &[u8]) -> Answer {
    let (head, body) = (head.into(), body.to_vec());
    Box::new(move |_, connection| send(connection, &head, &body))
}

fn nothing_found() -> Answer {
    fixed("404 Not Found\r\nContent-Length: 3", b"no\n")
}

/// 100 kB that repeat nowhere.
fn content() -> Vec<u8> {
    (0..25_000u32).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn file(name: &str, bytes: &[u8]) -> PublishedFile {
    let (length, sha256) = (bytes.len() as u64, sha256(bytes));
    PublishedFile { name: name.into(), bytes: length, tolerance: 0, sha256, content: vec![] }
}

fn set(servers: &[&Server]) -> PublishedSet {
    let mirrors = servers.iter().map(|server| server.url.clone()).collect();
    PublishedSet { name: "test".into(), mirrors, files: vec![file("data.bin", &content())] }
}

/// The same file where only a rounded length and the first digits of the checksum are published.
fn roughly(servers: &[&Server]) -> PublishedSet {
    let mut set = set(servers);
    let PublishedFile { bytes, tolerance, sha256, .. } = &mut set.files[0];
    (*bytes, *tolerance) = (100_300, 500);
    sha256.truncate(8);
    set
}

/// Patient enough for a busy machine.
const QUICK: Downloader =
    Downloader { timeout: Duration::from_secs(20), attempts: 3, pause: Duration::from_millis(1) };

/// For servers that would try one's patience.
const IMPATIENT: Downloader = Downloader { timeout: Duration::from_millis(300), ..QUICK };

/// Fetches; what came of it, and what was reported besides progress.
fn fetch(set: &PublishedSet, folder: &Path) -> (Result<usize, DataError>, Vec<String>) {
    fetch_as(QUICK, set, folder)
}

fn fetch_as(
    settings: Downloader,
    set: &PublishedSet,
    folder: &Path,
) -> (Result<usize, DataError>, Vec<String>) {
    let mut events = Vec::new();
    let result = settings.fetch(set, folder, |event| match event {
        Event::Progress { done, bytes, rate, .. } => assert!(done <= bytes && rate >= 0.0),
        Event::Present { name } => events.push(format!("present {name}")),
        Event::Wrong { .. } => events.push("wrong".into()),
        Event::Start { from, .. } => events.push(format!("start {from}")),
        Event::Fault { message, .. } => events.push(message.into()),
        Event::Done { .. } => events.push("done".into()),
        _ => unreachable!(),
    });
    (result, events)
}

/// The names in a folder, sorted.
fn names(folder: &TempDir) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// The file is there, right, and alone.
fn assert_complete(folder: &TempDir) {
    assert_eq!(names(folder), ["data.bin"]);
    assert!(fs::read(folder.path().join("data.bin")).unwrap() == content());
}

/// Fetches from one server that gives the file in the end; the requests and the events.
fn recovers(answers: Vec<Answer>) -> (Vec<String>, Vec<String>) {
    recovers_as(set, b"", answers)
}

/// The same for a file of which an earlier download left `part`.
fn recovers_as(
    set: fn(&[&Server]) -> PublishedSet,
    part: &[u8],
    answers: Vec<Answer>,
) -> (Vec<String>, Vec<String>) {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("data.bin.part"), part).unwrap();
    let server = Server::new(answers);
    let (result, events) = fetch(&set(&[&server]), folder.path());
    assert_eq!(result.unwrap(), 1);
    assert_complete(&folder);
    (server.requests(), events)
}

/// Fetches from a server that does not give the file and then from one that does; what was wrong with the first is in
/// `fault`, which is also what the error says where there is no second.
fn next_mirror(answers: impl Fn() -> Vec<Answer>, fault: &str) {
    next_mirror_as(set, answers, fault);
}

fn next_mirror_as(set: fn(&[&Server]) -> PublishedSet, answers: impl Fn() -> Vec<Answer>, fault: &str) {
    let folder = TempDir::new().unwrap();
    let (first, second) = (Server::new(answers()), Server::new(vec![whole(&content())]));
    assert_eq!(fetch(&set(&[&first, &second]), folder.path()).0.unwrap(), 1);
    assert_eq!(second.requests(), ["/set/data.bin"], "the second mirror is asked for everything");
    assert_complete(&folder);

    let folder = TempDir::new().unwrap();
    let only = Server::new(answers());
    let error = fetch(&set(&[&only]), folder.path()).0.unwrap_err().to_string();
    let url = format!("{}data.bin", only.url);
    let path = folder.path().join("data.bin");
    let expected = format!(
        "{}: cannot be downloaded: {url}: {fault}; by hand: put {url} into {}",
        path.display(),
        folder.path().display()
    );
    assert_eq!(error, expected);
    assert_eq!(names(&folder), [""; 0], "nothing is left");
}

#[test]
fn a_file_arrives_and_is_not_fetched_again() {
    let folder = TempDir::new().unwrap();
    let server = Server::new(vec![whole(&content())]);
    let set = set(&[&server]);
    // The folder and those above it are made.
    let inner = folder.path().join("a/b");
    assert_eq!(fetch(&set, &inner).1, ["start 0", "done"]);
    assert!(fs::read(inner.join("data.bin")).unwrap() == content());
    let (result, events) = fetch(&set, &inner);
    assert_eq!((result.unwrap(), &events[..]), (0, &["present data.bin".to_string()][..]));
    assert_eq!(server.requests(), ["/set/data.bin"]);
}

#[test]
fn a_broken_connection_is_resumed_where_it_broke() {
    let (requests, events) =
        recovers(vec![cut(&content(), 60_000), cut(&content(), 80_000), whole(&content())]);
    assert_eq!(requests, ["/set/data.bin", "/set/data.bin from 60000", "/set/data.bin from 80000"]);
    assert_eq!(events.iter().filter(|event| event.starts_with("start")).count(), 3);
    assert!(events[1].starts_with("after 60000 of 100000 bytes: "), "{events:?}");
}

#[test]
fn an_earlier_downloads_part_is_resumed() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("data.bin.part"), &content()[..70_000]).unwrap();
    let server = Server::new(vec![whole(&content())]);
    assert_eq!(fetch(&set(&[&server]), folder.path()).1, ["start 70000", "done"]);
    assert_eq!(server.requests(), ["/set/data.bin from 70000"]);
    assert_complete(&folder);
    // One that was complete and lacked its name only is not fetched at all.
    fs::rename(folder.path().join("data.bin"), folder.path().join("data.bin.part")).unwrap();
    assert_eq!(fetch(&set(&[&server]), folder.path()).1, ["done"]);
    assert_complete(&folder);
}

#[test]
fn a_part_of_something_else_poisons_nothing() {
    for (part, requests) in [
        // Found wrong when the rest has come.
        (vec![7; 70_000], vec!["/set/data.bin from 70000", "/set/data.bin"]),
        // Found wrong without a request.
        (vec![7; 100_000], vec!["/set/data.bin"]),
        (vec![7; 100_001], vec!["/set/data.bin"]),
    ] {
        let folder = TempDir::new().unwrap();
        fs::write(folder.path().join("data.bin.part"), part).unwrap();
        let server = Server::new(vec![whole(&content()), whole(&content())]);
        assert_eq!(fetch(&set(&[&server]), folder.path()).0.unwrap(), 1);
        assert_eq!(server.requests(), requests);
        assert_complete(&folder);
    }
}

#[test]
fn a_server_without_ranges_starts_over() {
    let all = || fixed("200 OK\r\nContent-Length: 100000", &content());
    let (requests, events) = recovers(vec![cut(&content(), 60_000), all()]);
    assert_eq!(requests, ["/set/data.bin", "/set/data.bin from 60000"]);
    assert_eq!((&*events[0], &*events[2], &*events[3]), ("start 0", "start 0", "done"));
    // Nor are answers believed that begin elsewhere, or that speak of another file.
    for range in ["bytes 0-99999/100000", "bytes 60000-99999/100001", "bytes */100000", "nonsense"] {
        let elsewhere = fixed(
            format!("206 Partial Content\r\nContent-Length: 40000\r\nContent-Range: {range}"),
            &content()[..40_000],
        );
        let (requests, events) = recovers(vec![cut(&content(), 60_000), elsewhere, whole(&content())]);
        assert_eq!(requests[1..], ["/set/data.bin from 60000", "/set/data.bin"]);
        assert_eq!(events[2], "the server cannot resume; starting over");
    }
    let (requests, _) = recovers(vec![
        cut(&content(), 60_000),
        fixed("416 Range Not Satisfiable\r\nContent-Length: 0", b""),
        whole(&content()),
    ]);
    assert_eq!(requests[1..], ["/set/data.bin from 60000", "/set/data.bin"]);
}

#[test]
fn a_busy_server_is_asked_again() {
    let busy = |status: &str| fixed(format!("{status}\r\nContent-Length: 0"), b"");
    let (requests, events) =
        recovers(vec![busy("503 Service Unavailable"), busy("429 Too Many Requests"), whole(&content())]);
    assert_eq!(requests.len(), 3);
    assert_eq!(
        events,
        [
            "the server answers 503 Service Unavailable",
            "the server answers 429 Too Many Requests",
            "start 0",
            "done"
        ]
    );
    let always = || -> Vec<Answer> {
        (0..3).map(|_| fixed("503 Service Unavailable\r\nContent-Length: 0", b"")).collect()
    };
    next_mirror(always, "the server answers 503 Service Unavailable");
}

#[test]
fn a_mirror_without_the_file_is_left_for_the_next() {
    next_mirror(|| vec![nothing_found()], "the server answers 404 Not Found");
    next_mirror(
        || vec![fixed("302 Found\r\nContent-Length: 0\r\nLocation: /elsewhere", b""), nothing_found()],
        "the server answers 404 Not Found",
    );
}

#[test]
fn redirects_are_followed() {
    let (requests, _) = recovers(vec![
        fixed("302 Found\r\nContent-Length: 0\r\nLocation: /elsewhere?token=1", b""),
        cut(&content(), 60_000),
        fixed("302 Found\r\nContent-Length: 0\r\nLocation: /elsewhere?token=2", b""),
        whole(&content()),
    ]);
    assert_eq!(
        requests,
        ["/set/data.bin", "/elsewhere?token=1", "/set/data.bin from 60000", "/elsewhere?token=2 from 60000"]
    );
    let circle = || -> Vec<Answer> {
        let again = || fixed("302 Found\r\nContent-Length: 0\r\nLocation: /set/data.bin", b"");
        (0..11).map(|_| again()).collect()
    };
    next_mirror(circle, "too many redirects");
}

#[test]
fn wrong_bytes_are_removed() {
    let mut wrong = content();
    wrong[50_000] ^= 1;
    let fault = format!("expected SHA-256 {}, got {}", sha256(&content()), sha256(&wrong));
    next_mirror(|| vec![whole(&wrong)], &fault);
    // Not even without a word about their length, or if only the end is wrong.
    next_mirror(|| vec![fixed("200 OK", &wrong)], &fault);
}

#[test]
fn a_length_that_is_not_the_published_one_is_refused_before_a_byte_is_read() {
    for length in [99_999, 100_001, 1u64 << 60] {
        let lie = || vec![fixed(format!("200 OK\r\nContent-Length: {length}"), &content())];
        next_mirror(lie, &format!("expected 100000 bytes, the server announces {length}"));
    }
    // Bytes beyond the announced length are not the file's.
    let (_, events) =
        recovers(vec![fixed("200 OK\r\nContent-Length: 100000", &[&content()[..], b"more"].concat())]);
    assert_eq!(events, ["start 0", "done"]);
}

#[test]
fn a_server_that_says_no_length_is_no_problem() {
    recovers(vec![fixed("200 OK", &content())]);
    let chunked = format!("{:x}\r\n", content().len()).into_bytes();
    let chunked = [&chunked, &content()[..], b"\r\n0\r\n\r\n"].concat();
    recovers(vec![fixed("200 OK\r\nTransfer-Encoding: chunked", &chunked)]);
    // If it breaks off, nothing says so but the published length.
    let (requests, events) = recovers(vec![fixed("200 OK", &content()[..60_000]), whole(&content())]);
    assert_eq!(requests[1], "/set/data.bin from 60000");
    assert_eq!(events[1], "the connection ended after 60000 of 100000 bytes");
}

#[test]
fn endless_data_is_cut_off_at_the_published_length() {
    let endless = || -> Vec<Answer> {
        vec![Box::new(|_, connection| {
            let _ = write!(connection, "HTTP/1.1 200 OK\r\n\r\n");
            while connection.write_all(&[0; 4096]).is_ok() {}
        })]
    };
    let zeros = |length| sha256(&vec![0; length]);
    next_mirror(endless, &format!("expected SHA-256 {}, got {}", sha256(&content()), zeros(100_000)));
    let begins = &sha256(&content())[..8];
    let fault = format!("expected a SHA-256 that begins with {begins}, got {}", zeros(100_800));
    next_mirror_as(roughly, endless, &fault);
}

#[test]
fn a_length_that_is_published_roughly_is_learnt_from_the_server() {
    let (requests, events) = recovers_as(roughly, b"", vec![cut(&content(), 60_000), whole(&content())]);
    assert_eq!(requests, ["/set/data.bin", "/set/data.bin from 60000"]);
    assert!(events[1].starts_with("after 60000 of 100000 bytes: "), "{events:?}");
    // One that says no length, and breaks off far from the end.
    let (requests, events) =
        recovers_as(roughly, b"", vec![fixed("200 OK", &content()[..60_000]), fixed("200 OK", &content())]);
    assert_eq!(requests[1], "/set/data.bin from 60000");
    assert_eq!(events[1], "the connection ended after 60000 of 100800 bytes");
    // It may say the total in one place only, and that may be nonsense: before the byte where the rest begins.
    let range = |from: usize, total: &str| {
        let head = format!("206 Partial Content\r\nContent-Range: bytes {from}-99999/{total}");
        fixed(head, &content()[from..])
    };
    for total in ["100000", "*"] {
        let (requests, _) = recovers_as(roughly, &content()[..99_900], vec![range(99_900, total)]);
        assert_eq!(
            requests,
            ["/set/data.bin from 99900"],
            "a part of a possible length is not taken for whole"
        );
    }
    for total in ["99850", "100801"] {
        let answers = vec![range(99_900, total), whole(&content())];
        let (_, events) = recovers_as(roughly, &content()[..99_900], answers);
        assert_eq!(events[0], "the server cannot resume; starting over");
    }
    // One that is whole is not fetched, and one that is wrong or too long poisons nothing.
    assert_eq!(recovers_as(roughly, &content(), vec![]).1, ["done"]);
    for part in [vec![7; 100_000], vec![7; 100_800], vec![7; 100_801]] {
        recovers_as(roughly, &part, vec![whole(&content()), whole(&content())]);
    }
}

#[test]
fn a_file_that_is_published_roughly_is_checked_all_the_same() {
    let mut wrong = content();
    wrong[50_000] ^= 1;
    let fault =
        format!("expected a SHA-256 that begins with {}, got {}", &sha256(&content())[..8], sha256(&wrong));
    next_mirror_as(roughly, || vec![whole(&wrong)], &fault);
    for length in [99_799, 100_801, u64::MAX] {
        let lie = || vec![fixed(format!("200 OK\r\nContent-Length: {length}"), &content())];
        let fault = format!("expected about 100300 bytes, the server announces {length}");
        next_mirror_as(roughly, lie, &fault);
    }
    // There already: right, or wrong.
    let folder = TempDir::new().unwrap();
    for (there, events) in [(content(), vec!["present data.bin"]), (wrong, vec!["wrong", "start 0", "done"])]
    {
        fs::write(folder.path().join("data.bin"), there).unwrap();
        let server = Server::new(vec![whole(&content())]);
        assert_eq!(fetch(&roughly(&[&server]), folder.path()).1, events);
        assert_complete(&folder);
    }
    // A beginning that says too little is no checksum.
    for digits in ["", "f37072f", "resnet18", &"0".repeat(65)] {
        let mut set = roughly(&[]);
        set.files[0].sha256 = digits.into();
        let error = fetch(&set, folder.path()).0.unwrap_err().to_string();
        let rule = "the SHA-256 of a published file must be 8 to 64 hexadecimal digits, got";
        assert_eq!(error.trim_end(), format!("{rule} {digits}").trim_end());
    }
}

#[test]
fn a_stalled_transfer_is_broken_off_and_resumed() {
    let stall: Answer = Box::new(|_, connection| {
        send(connection, "200 OK\r\nContent-Length: 100000", &content()[..60_000]);
        thread::sleep(Duration::from_secs(60));
    });
    // The server sleeps: another one has to go on.
    let folder = TempDir::new().unwrap();
    let (first, second) = (Server::new(vec![stall]), Server::new(vec![whole(&content())]));
    let begin = Instant::now();
    let settings = Downloader { attempts: 1, ..IMPATIENT };
    assert_eq!(fetch_as(settings, &set(&[&first, &second]), folder.path()).0.unwrap(), 1);
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(second.requests(), ["/set/data.bin from 60000"]);
    assert_complete(&folder);
}

#[test]
fn a_byte_now_and_then_is_as_good_as_none() {
    let trickle: Answer = Box::new(|_, connection| {
        send(connection, "200 OK\r\nContent-Length: 100000", &content()[..60_000]);
        let mut rest = content()[60_000..].to_vec().into_iter();
        while rest.next().is_some_and(|byte| connection.write_all(&[byte]).is_ok()) {
            thread::sleep(Duration::from_millis(50));
        }
    });
    let folder = TempDir::new().unwrap();
    let (first, second) = (Server::new(vec![trickle]), Server::new(vec![whole(&content())]));
    let settings = Downloader { attempts: 1, ..IMPATIENT };
    let none = set(&[&first]);
    let error = fetch_as(settings, &none, folder.path()).0.unwrap_err().to_string();
    assert!(error.contains(" s: as good as none; by hand"), "{error}");
    assert_eq!(fetch(&set(&[&second]), folder.path()).0.unwrap(), 1);
    assert_complete(&folder);
}

#[test]
fn a_server_that_gives_a_byte_at_a_time_is_not_asked_for_ever() {
    let answers: Vec<Answer> = (1..=50).map(|end| cut(&content(), end)).collect();
    let folder = TempDir::new().unwrap();
    let server = Server::new(answers);
    fetch(&set(&[&server]), folder.path()).0.unwrap_err();
    assert_eq!(server.requests().len(), QUICK.attempts as usize);
    // What has come stays for the next time.
    assert_eq!(fs::read(folder.path().join("data.bin.part")).unwrap(), &content()[..3]);
}

#[test]
fn without_a_network_the_error_says_what_to_put_where() {
    let folder = TempDir::new().unwrap();
    // Nobody listens any more.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let mirrors = [format!("http://127.0.0.1:{port}/a/"), format!("http://127.0.0.1:{port}/b/")];
    let files = vec![file("one.gz", b"1"), file("two.gz", b"2"), file("three.gz", b"3")];
    fs::write(folder.path().join("one.gz"), b"1").unwrap();
    let set = PublishedSet { name: "test".into(), mirrors: mirrors.to_vec(), files };
    let error = fetch(&set, folder.path()).0.unwrap_err().to_string();
    let [a, b] = mirrors;
    let start = format!("{}: cannot be downloaded: {a}two.gz: ", folder.path().join("two.gz").display());
    let end = format!("; by hand: put {a}two.gz and {a}three.gz into {}", folder.path().display());
    assert!(error.starts_with(&start) && error.contains(&format!("; {b}two.gz: ")), "{error}");
    assert!(error.ends_with(&end) && !error.contains('\n'), "{error}");
    assert_eq!(names(&folder), ["one.gz"]);
}

#[test]
fn a_wrong_file_of_that_name_is_replaced_only_by_the_right_one() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("data.bin");
    fs::write(&path, b"something else").unwrap();
    let gone = Server::new(vec![nothing_found()]);
    let (result, events) = fetch(&set(&[&gone]), folder.path());
    assert!(result.is_err());
    assert_eq!(events, ["wrong"]);
    assert_eq!(fs::read(&path).unwrap(), b"something else");
    let server = Server::new(vec![whole(&content())]);
    assert_eq!(fetch(&set(&[&server]), folder.path()).0.unwrap(), 1);
    assert_complete(&folder);
}

#[test]
fn files_unpacked_or_packed_otherwise_are_as_good() {
    let gzip = |level| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::new(level));
        encoder.write_all(&content()).unwrap();
        encoder.finish().unwrap()
    };
    let content_of = |path: &str, bytes: &[u8]| Content {
        path: path.into(),
        bytes: bytes.len() as u64,
        sha256: sha256(bytes).to_uppercase(),
    };
    let mut published = file("data.gz", &gzip(9));
    published.content = vec![content_of("data", &content())];
    // Nobody to ask.
    let mut set = PublishedSet { name: "test".into(), mirrors: vec![], files: vec![published] };
    let there = |set: &PublishedSet, name: &str, bytes: &[u8]| {
        let folder = TempDir::new().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        fs::write(folder.path().join(name), bytes).unwrap();
        fetch(set, folder.path()).0.is_ok()
    };
    assert!(there(&set, "data.gz", &gzip(0)) && there(&set, "data", &content()));
    assert!(there(&set, "data.gz", &content()), "browsers unpack and keep the name");
    let mut wrong = content();
    wrong[9] ^= 1;
    assert!(!there(&set, "data", &wrong) && !there(&set, "data.gz", &wrong));
    assert!(!there(&set, "data.gz", &gzip(0)[..1000]));
    // Of an archive, all files have to be there, each where the archive has it or beside it.
    set.files[0].content = vec![content_of("sub/data", &content())];
    assert!(there(&set, "sub/data", &content()) && there(&set, "data", &content()));
    set.files[0].content.push(content_of("sub/more", b"more"));
    assert!(!there(&set, "sub/data", &content()));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_named() {
    let folder = TempDir::new().unwrap();
    let in_the_way = folder.path().join("file");
    fs::write(&in_the_way, b"").unwrap();
    let server = Server::new(vec![]);
    let error = fetch(&set(&[&server]), &in_the_way).0.unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: cannot make this folder: ", in_the_way.display())), "{error}");
    // The same name as a folder: nothing can be renamed to it.
    fs::create_dir(folder.path().join("data.bin")).unwrap();
    let server = Server::new(vec![whole(&content())]);
    let error = fetch(&set(&[&server]), folder.path()).0.unwrap_err().to_string();
    assert!(error.contains("data.bin: cannot write: "), "{error}");
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_named() {
    let folder = TempDir::new().unwrap();
    let part = folder.path().join("data.bin.part");
    std::os::unix::fs::symlink("/dev/full", &part).unwrap();
    let server = Server::new(vec![whole(&content())]);
    let error = fetch(&set(&[&server]), folder.path()).0.unwrap_err().to_string();
    let expected = format!("{}: cannot write: No space left on device (os error 28)", part.display());
    assert_eq!(error, expected);
}

#[test]
fn two_processes_do_not_write_one_file() {
    let folder = TempDir::new().unwrap();
    let part = folder.path().join("data.bin.part");
    let other = fs::File::create(&part).unwrap();
    other.lock().unwrap();
    let server = Server::new(vec![]);
    let error = fetch(&set(&[&server]), folder.path()).0.unwrap_err().to_string();
    assert_eq!(error, format!("{}: cannot write: another process is downloading it", part.display()));
    assert_eq!(names(&folder), ["data.bin.part"]);
}

#[test]
fn names_stay_in_the_folder() {
    for name in ["../data.bin", "/data.bin", "", ".", "a/b", "a\\b"] {
        let set = PublishedSet { name: "test".into(), mirrors: vec![], files: vec![file(name, b"")] };
        let error = fetch(&set, "nowhere".as_ref()).0.unwrap_err();
        assert!(matches!(error, DataError::Setting { .. }), "{name}: {error}");
    }
}

#[test]
fn the_published_sets_are_well_formed_and_those_here_are_recognised() {
    for name in PublishedSet::NAMES {
        let set = PublishedSet::named(name).unwrap();
        assert_eq!(set.name, name);
        assert!(set.mirrors.iter().all(|mirror| mirror.starts_with("http") && mirror.ends_with('/')));
        let sums = set.files.iter().flat_map(|file| {
            [&file.sha256].into_iter().chain(file.content.iter().map(|content| &content.sha256))
        });
        let hex = |sum: &&String| sum.len() == 64 && sum.bytes().all(|byte| byte.is_ascii_hexdigit());
        assert_eq!(sums.clone().count(), sums.filter(hex).count());
    }
    // The repository's MNIST is compressed otherwise than the published one.
    let (result, events) = fetch(&PublishedSet::named("mnist").unwrap(), "../../datasets/mnist".as_ref());
    assert_eq!((result.unwrap(), events.len()), (0, 4));
}
