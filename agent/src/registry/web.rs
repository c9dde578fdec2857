//! Sends requests to registries: with retries and within limits. Follows redirects without the credentials. I/O: HTTP.

use std::sync::Arc;
use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use reqwest::Url;

use super::answer::Answer;
use super::pace::{Hosts, Lane, backoff, retry_after};
use super::{Options, RequestError};
use crate::http::{Clients, Failure, Redirects, Request, Times, Trust, is_redirect, read, target};

/// Maximum time without data from a server.
const SILENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;
/// The pause for a host that cannot be reached, and for one that limits requests without a period.
const DOWN: Duration = Duration::from_secs(5);
const ENOUGH: Duration = Duration::from_secs(30);

/// The HTTP clients, and the limits of hosts.
pub struct Web {
    pub options: Options,
    pub hosts: Hosts,
    clients: Arc<Clients>,
}

/// A request. Has no `Debug`: it may contain credentials.
#[derive(Clone)]
pub struct RegistryRequest<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, String)>,
    /// Sent to the host of `url` only.
    pub authorization: Option<String>,
    pub form: Option<Vec<(&'a str, &'a str)>>,
    pub certificates: Option<&'a Trust>,
    /// A redirect may lead from https to http.
    pub insecure: bool,
    /// The limits that apply.
    pub lane: Lane,
    /// Maximum number of bytes that are read.
    pub limit: usize,
    pub tries: u32,
}

/// A failed attempt.
struct Failed {
    host: String,
    trouble: RequestError,
    /// False if nothing was sent.
    asked: bool,
}

impl Web {
    pub fn new(options: Options) -> Self {
        let hosts = Hosts::new(options.concurrency, options.rate);
        let times = Times { connect: Times::CONNECT, silence: Some(SILENCE), total: None };
        let clients = Clients::new(options.guard.clone(), times).with_user_agent(&options.user_agent);
        Self { options, hosts, clients: Arc::new(clients) }
    }

    /// Returns the same clients with separate limits and pauses.
    pub fn apart(&self) -> Self {
        let (options, clients) = (self.options.clone(), self.clients.clone());
        Self { hosts: Hosts::new(options.concurrency, options.rate), options, clients }
    }

    /// Sends a request, and repeats it if that may help.
    ///
    /// # Errors
    /// A response is an error only if it may be temporary: too many requests, or a failure of the server.
    pub async fn ask(&self, ask: &RegistryRequest<'_>) -> Result<Answer, RequestError> {
        let mut tries = 0;
        loop {
            let Failed { host, trouble, asked } = match self.follow(ask).await {
                Ok(answer) => return Ok(answer),
                Err(failed) => failed,
            };
            tries += 1;
            let Options { backoff: first, patience, chance, .. } = &self.options;
            let wait = trouble.retry_after().unwrap_or_else(|| backoff(*first, tries - 1, chance()));
            let again = asked && trouble.passes() && tries < ask.tries && wait <= *patience;
            let trouble = if asked { self.start_pause(&ask.lane, &host, trouble, again) } else { trouble };
            if !again {
                return Err(trouble);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Starts a pause for a host that requests one. Without a requested pause, or if the host cannot be reached, it
    /// starts after the last attempt.
    fn start_pause(&self, lane: &Lane, host: &str, trouble: RequestError, again: bool) -> RequestError {
        let wait = match &trouble {
            RequestError::RateLimited { after, .. } if after.is_some() || !again => after.unwrap_or(ENOUGH),
            RequestError::Unavailable { after: Some(after), .. } => *after,
            RequestError::Unreachable { .. } if !again => DOWN,
            _ => return trouble,
        };
        let trouble = trouble.within(wait);
        self.hosts.block(lane, host, wait, trouble.clone());
        trouble
    }

    /// Sends a request once, and follows redirects.
    async fn follow(&self, ask: &RegistryRequest<'_>) -> Result<Answer, Failed> {
        let mut url = ask.url.clone();
        let request = ask.request().map_err(|trouble| {
            let host = authority(&url);
            Failed { host, trouble, asked: false }
        })?;
        for _ in 0..=REDIRECTS {
            let host = authority(&url);
            let failed = |asked| {
                let host = host.clone();
                move |trouble| Failed { host, trouble, asked }
            };
            let turn =
                self.hosts.turn(&ask.lane, &host, self.options.patience).await.map_err(failed(false))?;
            let asked = self.once(ask, &request, &url, &host).await;
            drop(turn);
            let result = match &asked {
                Ok(answer) => outcome(answer.status),
                Err(trouble) => trouble.name(),
            };
            (self.options.on_request)(&host, result);
            let answer = asked.map_err(failed(true))?;
            let location = answer.header(header::LOCATION);
            let Some(location) = location.filter(|_| is_redirect(answer.status)) else { return Ok(answer) };
            url = target_of(ask, &url, location)
                .map_err(|why| failed(true)(RequestError::BadRedirect { host: host.clone(), why }))?;
        }
        let (host, why) = (authority(&url), "too often");
        Err(Failed { host: host.clone(), trouble: RequestError::BadRedirect { host, why }, asked: true })
    }

    async fn once(
        &self,
        ask: &RegistryRequest<'_>,
        request: &Request,
        url: &Url,
        host: &str,
    ) -> Result<Answer, RequestError> {
        let trust = ask.certificates.cloned().unwrap_or_default();
        let sent = self.clients.send(&trust, request, url).await;
        let response = sent.map_err(|failure| unsent(host, failure))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.hosts.record_limit(&ask.lane, host, &headers);
        let after = retry_after(&headers, Timestamp::now());
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(RequestError::RateLimited { host: host.to_owned(), after });
        }
        let body = read(response, ask.limit as u64).await.map_err(|failure| unsent(host, failure))?;
        let answer = Answer { host: host.to_owned(), status, headers, body };
        let broken = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
        if broken || status == StatusCode::REQUEST_TIMEOUT {
            let (host, said) = (answer.host.clone(), answer.said());
            return Err(RequestError::Unavailable { host, status: status.as_u16(), said, after });
        }
        Ok(answer)
    }
}

impl RegistryRequest<'_> {
    /// Returns the request for the HTTP client.
    fn request(&self) -> Result<Request, RequestError> {
        let mut request = Request::new(self.method.clone(), self.url.clone());
        if let Some(value) = &self.authorization {
            let mut value = HeaderValue::from_str(value).map_err(|_| {
                RequestError::BadLogin("it has characters that are not allowed in an HTTP header".to_owned())
            })?;
            value.set_sensitive(true);
            request.secret.insert(header::AUTHORIZATION, value);
        }
        for (name, value) in &self.headers {
            let value =
                HeaderValue::from_str(value).map_err(|error| RequestError::Client(error.to_string()))?;
            request.headers.insert(name, value);
        }
        if let Some(form) = &self.form {
            let mut body = Url::parse("form:").map_err(|error| RequestError::Client(error.to_string()))?;
            body.query_pairs_mut().extend_pairs(form);
            let kind = HeaderValue::from_static("application/x-www-form-urlencoded");
            request.headers.insert(header::CONTENT_TYPE, kind);
            request.body = Some(body.query().unwrap_or_default().as_bytes().to_vec());
        }
        Ok(request)
    }
}

/// Returns `host`, or `host:port` if the port is not the default of the scheme.
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// Returns the metric label of a response.
fn outcome(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Challenged",
        StatusCode::NOT_FOUND => "NotFound",
        _ if status.is_client_error() || status.is_server_error() => "Refused",
        _ => "ok",
    }
}

/// Returns the target of a redirect; the error says why it is not followed.
fn target_of(ask: &RegistryRequest<'_>, from: &Url, location: &str) -> Result<Url, &'static str> {
    if ask.form.is_some() {
        return Err("to another host, to which the login is not sent");
    }
    let redirects = if ask.insecure { Redirects::AnywherePlain } else { Redirects::Anywhere };
    target(from, Some(location), redirects)
}

fn unsent(host: &str, failure: Failure) -> RequestError {
    let host = host.to_owned();
    let said = match failure {
        Failure::Refused(source) => return RequestError::Destination { source },
        Failure::Tls { said, certificate } => {
            return RequestError::Untrusted { host, said, has_certificate: certificate.is_some() };
        }
        Failure::TooLarge { limit } => {
            return RequestError::TooLarge { host, limit: usize::try_from(limit).unwrap_or(usize::MAX) };
        }
        Failure::ConnectTimeout => format!("no connection within {} s", Times::CONNECT.as_secs()),
        Failure::Timeout => format!("no data within {} s", SILENCE.as_secs()),
        Failure::Connect { said } => said,
        other => other.to_string(),
    };
    RequestError::Unreachable { host, said }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::target::Target;
    use super::super::{Access, Repository};
    use super::*;

    #[test]
    fn a_redirect_does_not_lead_away_from_tls_nor_take_a_login_along() {
        let leads = |insecure: bool, form: bool, from: &str, location: &str| {
            let access = Access { insecure, ..Access::of(Repository::parse("a.example.com/b").unwrap()) };
            let from = Url::parse(from).unwrap();
            let mut ask = Target::all(&access, 1).unwrap().remove(0).ask(Method::GET, from.clone(), 1);
            ask.form = form.then(Vec::new);
            target_of(&ask, &from, location).map_or_else(ToOwned::to_owned, |url| url.to_string())
        };
        let (tls, plain) = ("https://a.example.com/v2/b", "http://a.example.com/v2/b");
        for (insecure, form, from, location, expected) in [
            (false, false, tls, "/c", "https://a.example.com/c"),
            (false, false, tls, "https://s3.example.com/c?d=e", "https://s3.example.com/c?d=e"),
            (false, false, tls, "https://u:p@s3.example.com/c", "https://s3.example.com/c"),
            (false, false, tls, "http://s3.example.com/c", "from https to http"),
            (true, false, tls, "http://s3.example.com/c", "http://s3.example.com/c"),
            (true, false, plain, "http://s3.example.com/c", "http://s3.example.com/c"),
            (true, false, plain, "ftp://s3.example.com/c", "from https to http"),
            (true, false, plain, "data:text/plain,a", "to a URL without a host"),
            (true, false, plain, "http://[", "to something that is not a URL"),
            (false, true, tls, "/c", "to another host, to which the login is not sent"),
        ] {
            assert_eq!(leads(insecure, form, from, location), expected);
        }
    }
}
