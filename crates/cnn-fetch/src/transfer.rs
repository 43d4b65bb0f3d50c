//! One transfer from one URL. The published length is the rule; the length that the server gives is only a claim.

use super::part::Part;
use super::{Downloader, Event, PublishedFile};
use cnn_data::DataError;
use cnn_tensor::text::one_line;
use std::io::Read;
use std::time::{Duration, Instant};
use ureq::http::{HeaderMap, StatusCode, header};
use ureq::{Agent, Body, Proxy};

/// Fewer bytes than this in the time of a timeout are as good as none.
const TRICKLE: u64 = 1024;

/// Why a transfer failed.
#[derive(Debug)]
pub(super) enum Failure {
    /// This mirror does not have the file: another try would give the same.
    Mirror(String),
    /// The connection broke, or the server is busy: another try may do.
    Connection {
        /// The fault.
        message: String,
        /// How long the server asks to be left alone.
        wait: Option<Duration>,
    },
    /// The files here cannot be read or written.
    Disk(DataError),
}

impl From<DataError> for Failure {
    fn from(fault: DataError) -> Self {
        Self::Disk(fault)
    }
}

fn broken(message: impl std::fmt::Display) -> Failure {
    Failure::Connection { message: one_line(message), wait: None }
}

/// A transfer of a file that has `file.bytes` bytes, even if the server says otherwise.
pub(super) struct Transfer<'a> {
    settings: &'a Downloader,
    file: &'a PublishedFile,
    url: &'a str,
}

impl<'a> Transfer<'a> {
    pub(super) fn new(settings: &'a Downloader, file: &'a PublishedFile, url: &'a str) -> Self {
        Self { settings, file, url }
    }

    /// Appends to `part` until it has all bytes.
    pub(super) fn run(self, part: &mut Part, observe: &mut impl FnMut(Event<'_>)) -> Result<(), Failure> {
        let total = self.file.bytes;
        if part.len()? > total {
            part.clear()?;
        }
        let from = part.len()?;
        if from == total {
            return Ok(());
        }
        let response = self.ask(from)?;
        let from = self.begin(part, from, response.status(), response.headers())?;
        observe(Event::Start { url: self.url, from, bytes: total });
        self.receive(part, from, response.into_body(), observe)
    }

    fn ask(&self, from: u64) -> Result<ureq::http::Response<Body>, Failure> {
        let patience = Some(self.settings.timeout);
        let mut agent = Agent::config_builder()
            .http_status_as_error(false)
            .user_agent(concat!("cnn-data/", env!("CARGO_PKG_VERSION")))
            // The file itself is meant, not another encoding of it.
            .accept_encoding("identity")
            .timeout_resolve(patience)
            .timeout_connect(patience)
            .timeout_recv_response(patience)
            .timeout_per_read(patience);
        // A server on this machine is not behind the proxy.
        agent = agent.proxy(if is_here(self.url) { None } else { Proxy::try_from_env() });
        let mut request = Agent::from(agent.build()).get(self.url);
        if from > 0 {
            request = request.header(header::RANGE, format!("bytes={from}-"));
        }
        request.call().map_err(|fault| match fault {
            ureq::Error::BadUri(_)
            | ureq::Error::Http(_)
            | ureq::Error::TooManyRedirects
            | ureq::Error::RedirectFailed => Failure::Mirror(one_line(fault)),
            _ => broken(fault),
        })
    }

    /// The byte from which on the body continues, by the head of the answer.
    fn begin(
        &self,
        part: &mut Part,
        from: u64,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<u64, Failure> {
        let start = match status {
            StatusCode::OK => 0,
            StatusCode::PARTIAL_CONTENT if from > 0 && resumes_at(headers, from, self.file.bytes) => from,
            StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE if from > 0 => {
                part.clear()?;
                return Err(broken("the server cannot resume; starting over"));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => return Err(busy(status, headers)),
            _ if status.is_server_error() => return Err(busy(status, headers)),
            _ => return Err(Failure::Mirror(format!("the server answers {}", named(status)))),
        };
        let expected = self.file.bytes - start;
        match number(headers, header::CONTENT_LENGTH) {
            Some(announced) if announced != expected => {
                Err(Failure::Mirror(format!("expected {expected} bytes, the server announces {announced}")))
            }
            _ => {
                if start == 0 {
                    part.clear()?;
                }
                Ok(start)
            }
        }
    }

    /// Reads the body; never more than the published length. Whether it ought to end there, the checksum tells.
    fn receive(
        &self,
        part: &mut Part,
        from: u64,
        body: Body,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        let total = self.file.bytes;
        let mut body = body.into_reader().take(total - from);
        let mut buffer = vec![0; 1 << 16];
        let mut done = from;
        let begin = Instant::now();
        let (mut window, mut window_from) = (begin, done);
        while done < total {
            let fault = |fault| broken(format!("after {done} of {total} bytes: {fault}"));
            let read = body.read(&mut buffer).map_err(fault)?;
            if read == 0 {
                return Err(broken(format!("the connection ended after {done} of {total} bytes")));
            }
            done += read as u64;
            part.append(&buffer[..read])?;
            let rate = (done - from) as f64 / begin.elapsed().as_secs_f64().max(1e-9);
            observe(Event::Progress { name: &self.file.name, done, bytes: total, rate });
            if window.elapsed() > self.settings.timeout {
                if done - window_from < TRICKLE && done < total {
                    let seconds = window.elapsed().as_secs_f64();
                    let arrived = done - window_from;
                    return Err(broken(format!("{arrived} bytes in {seconds:.1} s: as good as none")));
                }
                (window, window_from) = (Instant::now(), done);
            }
        }
        Ok(())
    }
}

/// Whether `Content-Range: bytes FROM-LAST/TOTAL` continues where the file here ends. Servers may leave out the total.
fn resumes_at(headers: &HeaderMap, from: u64, total: u64) -> bool {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let parts = range
        .and_then(|range| range.strip_prefix("bytes "))
        .and_then(|range| range.split_once('/'))
        .and_then(|(range, size)| Some((range.split_once('-')?.0, size)));
    parts.is_some_and(|(first, size)| {
        first.trim().parse() == Ok(from) && (size.trim() == "*" || size.trim().parse() == Ok(total))
    })
}

fn busy(status: StatusCode, headers: &HeaderMap) -> Failure {
    let wait = number(headers, header::RETRY_AFTER).map(Duration::from_secs);
    Failure::Connection { message: format!("the server answers {}", named(status)), wait }
}

fn named(status: StatusCode) -> String {
    format!("{} {}", status.as_u16(), status.canonical_reason().unwrap_or("(unknown)"))
}

fn number(headers: &HeaderMap, name: header::HeaderName) -> Option<u64> {
    headers.get(name)?.to_str().ok()?.trim().parse().ok()
}

/// Whether a URL names this machine.
fn is_here(url: &str) -> bool {
    let host = url.split_once("://").map_or(url, |(_, rest)| rest);
    ["127.", "localhost", "[::1]"].iter().any(|here| host.starts_with(here))
}
