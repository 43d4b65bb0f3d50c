//! One transfer from one URL. The published length is the rule; the length that the server gives is only a claim, which is
//! believed as far as the published one leaves it open.

use super::part::Part;
use super::{Downloader, Event, PublishedFile, verify};
use cnn_data::DataError;
use cnn_tensor::text::one_line;
use std::io::Read;
use std::ops::RangeInclusive;
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

/// A transfer of a file of a published length, even if the server says otherwise.
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
        let lengths = self.file.lengths();
        if part.len()? > *lengths.end() {
            part.clear()?;
        }
        let from = part.len()?;
        if from == *lengths.end() || (lengths.contains(&from) && verify::fault(part, self.file)?.is_none()) {
            return Ok(());
        }
        let response = self.ask(from)?;
        let extent = self.begin(part, from, response.status(), response.headers())?;
        observe(Event::Start { url: self.url, from: extent.from, bytes: extent.limit });
        self.receive(part, extent, response.into_body(), observe)
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

    /// The bytes that the body has, by the head of the answer.
    fn begin(
        &self,
        part: &mut Part,
        from: u64,
        status: StatusCode,
        headers: &HeaderMap,
    ) -> Result<Extent, Failure> {
        let lengths = self.file.lengths();
        let resumed = if from > 0 { resumes_at(headers, from, &lengths) } else { None };
        let (from, stated) = match (status, resumed) {
            (StatusCode::OK, _) => (0, None),
            (StatusCode::PARTIAL_CONTENT, Some(total)) => (from, total),
            (StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE, _) if from > 0 => {
                part.clear()?;
                return Err(broken("the server cannot resume; starting over"));
            }
            (StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS, _) => {
                return Err(busy(status, headers));
            }
            _ if status.is_server_error() => return Err(busy(status, headers)),
            _ => return Err(Failure::Mirror(format!("the server answers {}", named(status)))),
        };
        let announced = number(headers, header::CONTENT_LENGTH);
        let total = announced.map(|bytes| bytes.saturating_add(from));
        if let (Some(announced), Some(total)) = (announced, total)
            && !lengths.contains(&total)
        {
            let about = if self.file.tolerance > 0 { "about " } else { "" };
            let expected = self.file.bytes.saturating_sub(from);
            let message = format!("expected {about}{expected} bytes, the server announces {announced}");
            return Err(Failure::Mirror(message));
        }
        if from == 0 {
            part.clear()?;
        }
        let total = total.or(stated);
        Ok(Extent { from, limit: total.unwrap_or(*lengths.end()), is_exact: total.is_some() })
    }

    /// Reads the body; never more than the limit. Whether it ought to end there, the checksum tells.
    fn receive(
        &self,
        part: &mut Part,
        Extent { from, limit, is_exact }: Extent,
        body: Body,
        observe: &mut impl FnMut(Event<'_>),
    ) -> Result<(), Failure> {
        let mut body = body.into_reader().take(limit - from);
        let mut buffer = vec![0; 1 << 16];
        let mut done = from;
        let begin = Instant::now();
        let (mut window, mut window_from) = (begin, done);
        while done < limit {
            let fault = |fault| broken(format!("after {done} of {limit} bytes: {fault}"));
            let read = body.read(&mut buffer).map_err(fault)?;
            if read == 0 {
                if !is_exact && self.file.lengths().contains(&done) {
                    break;
                }
                return Err(broken(format!("the connection ended after {done} of {limit} bytes")));
            }
            done += read as u64;
            part.append(&buffer[..read])?;
            let rate = (done - from) as f64 / begin.elapsed().as_secs_f64().max(1e-9);
            observe(Event::Progress { name: &self.file.name, done, bytes: limit, rate });
            if window.elapsed() > self.settings.timeout {
                if done - window_from < TRICKLE && done < limit {
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

/// The bytes of a body.
struct Extent {
    /// The first.
    from: u64,
    /// The end, or the longest that it can be; not before `from`.
    limit: u64,
    /// Whether the body ends there, as the server says.
    is_exact: bool,
}

/// The total of `Content-Range: bytes FROM-LAST/TOTAL`, which servers may leave out; `None` if that does not continue where the file
/// here ends, or is not the length of this file.
fn resumes_at(headers: &HeaderMap, from: u64, lengths: &RangeInclusive<u64>) -> Option<Option<u64>> {
    let range = headers.get(header::CONTENT_RANGE).and_then(|value| value.to_str().ok());
    let (range, size) = range?.strip_prefix("bytes ")?.split_once('/')?;
    if range.split_once('-')?.0.trim().parse() != Ok(from) {
        return None;
    }
    match size.trim() {
        "*" => Some(None),
        size => size.parse().ok().filter(|total| *total >= from && lengths.contains(total)).map(Some),
    }
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
