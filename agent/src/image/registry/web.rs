//! Asks hosts: with patience, within limits, and in turn; follows redirects without the login. Knows nothing of what is
//! asked. A proxy is taken from the environment. I/O: HTTP.

use std::collections::HashMap;
use std::error::Error;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use holdfast_diff::digest::Digest;
use http::{HeaderName, HeaderValue, Method, StatusCode, header};
use jiff::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Client, Response, Url};

use super::answer::Answer;
use super::error::cleaned;
use super::pace::{Hosts, backoff, retry_after};
use super::{Certificates, Options, Trouble};

/// How long a connection may take, and how long a server may be silent.
const CONNECT: Duration = Duration::from_secs(10);
const SILENCE: Duration = Duration::from_secs(30);
const REDIRECTS: usize = 5;
/// How many clients are kept: certificates change over time.
const CLIENTS: usize = 50;
/// How long a host is left alone that cannot be reached, and one that has enough and does not say for how long.
const DOWN: Duration = Duration::from_secs(5);
const ENOUGH: Duration = Duration::from_secs(30);

/// The HTTP clients, and what is known of hosts.
pub struct Web {
    pub options: Options,
    pub hosts: Hosts,
    clients: Mutex<HashMap<Option<Digest>, Client>>,
}

/// A request. Has no `Debug`: it may have a login.
#[derive(Clone)]
pub struct Ask<'a> {
    pub method: Method,
    pub url: Url,
    pub headers: Vec<(HeaderName, String)>,
    /// For the host of `url` alone.
    pub authorization: Option<String>,
    pub form: Option<Vec<(&'a str, &'a str)>>,
    pub certificates: Option<&'a Certificates>,
    /// A redirect may lead away from TLS.
    pub insecure: bool,
    /// How much is read.
    pub limit: usize,
    pub tries: u32,
    /// What no message may show.
    pub secrets: Vec<String>,
}

/// A try that failed.
struct Failed {
    host: String,
    trouble: Trouble,
    /// False if nothing was sent.
    asked: bool,
}

impl Web {
    pub fn new(options: Options) -> Self {
        let hosts = Hosts::new(options.concurrency, options.rate);
        Self { options, hosts, clients: Mutex::default() }
    }

    /// Asks, and again where that may help.
    ///
    /// # Errors
    /// An answer is one of these only if it may pass: too many requests, or a server that has trouble.
    pub async fn ask(&self, ask: &Ask<'_>) -> Result<Answer, Trouble> {
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
            let trouble = if asked { self.leave_alone(&host, trouble, again) } else { trouble };
            if !again {
                return Err(trouble);
            }
            tokio::time::sleep(wait).await;
        }
    }

    /// Leaves a host alone that asks for it; one that does not say so, or cannot be reached, only when it is given up.
    fn leave_alone(&self, host: &str, trouble: Trouble, again: bool) -> Trouble {
        let (trouble, wait) = match trouble {
            Trouble::RateLimited { host, after } if after.is_some() || !again => {
                let wait = after.unwrap_or(ENOUGH);
                (Trouble::RateLimited { host, after: Some(wait) }, wait)
            }
            Trouble::Unreachable { .. } if !again => (trouble, DOWN),
            _ => return trouble,
        };
        self.hosts.block(host, wait, trouble.clone());
        trouble
    }

    /// Asks once, wherever that leads.
    async fn follow(&self, ask: &Ask<'_>) -> Result<Answer, Failed> {
        let mut url = ask.url.clone();
        for _ in 0..=REDIRECTS {
            let host = authority(&url);
            let failed = |asked| {
                let host = host.clone();
                move |trouble| Failed { host, trouble, asked }
            };
            let turn = self.hosts.turn(&host, self.options.patience).await.map_err(failed(false))?;
            let asked = self.once(ask, &url, &host).await;
            drop(turn);
            let result = match &asked {
                Ok(answer) => outcome(answer.status),
                Err(trouble) => trouble.name(),
            };
            (self.options.on_request)(&host, result);
            let answer = asked.map_err(failed(true))?;
            let location = answer.header(header::LOCATION);
            let Some(target) = location.filter(|_| redirects(answer.status)) else { return Ok(answer) };
            url = target_of(ask, &url, target)
                .map_err(|why| failed(true)(Trouble::BadRedirect { host: host.clone(), why }))?;
        }
        let (host, why) = (authority(&url), "too often");
        Err(Failed { trouble: Trouble::BadRedirect { host: host.clone(), why }, host, asked: true })
    }

    async fn once(&self, ask: &Ask<'_>, url: &Url, host: &str) -> Result<Answer, Trouble> {
        let Ask { method, url: first, headers, authorization, form, certificates, limit, .. } = ask;
        let mut request = self.client(*certificates)?.request(method.clone(), url.clone());
        if let Some(value) = authorization.as_ref().filter(|_| url.origin() == first.origin()) {
            let mut value = HeaderValue::from_str(value)
                .map_err(|_| Trouble::BadLogin("it has letters that HTTP cannot send".to_owned()))?;
            value.set_sensitive(true);
            request = request.header(header::AUTHORIZATION, value);
        }
        for (name, value) in headers {
            request = request.header(name, value);
        }
        if let Some(form) = form {
            let mut body = Url::parse("form:").map_err(|error| Trouble::Client(error.to_string()))?;
            body.query_pairs_mut().extend_pairs(form);
            let body = body.query().unwrap_or_default().to_owned();
            request = request.header(header::CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        }
        let response = request.send().await.map_err(|error| unsent(host, &error))?;
        let (status, headers) = (response.status(), response.headers().clone());
        self.hosts.heard(host, &headers);
        let after = retry_after(&headers, Timestamp::now());
        if status == StatusCode::TOO_MANY_REQUESTS {
            return Err(Trouble::RateLimited { host: host.to_owned(), after });
        }
        let body = read(response, host, *limit).await?;
        let mut secrets = ask.secrets.clone();
        // Behind the word Basic or Bearer.
        secrets.extend(authorization.iter().filter_map(|value| Some(value.split_once(' ')?.1.to_owned())));
        let answer = Answer { host: host.to_owned(), status, headers, body, secrets };
        let broken = status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED;
        if broken || status == StatusCode::REQUEST_TIMEOUT {
            let (host, said) = (answer.host.clone(), answer.said());
            return Err(Trouble::Unavailable { host, status: status.as_u16(), said, after });
        }
        Ok(answer)
    }

    fn client(&self, certificates: Option<&Certificates>) -> Result<Client, Trouble> {
        let id = certificates.map(Certificates::id);
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&id) {
            return Ok(client.clone());
        }
        let builder = Client::builder()
            .connect_timeout(CONNECT)
            .read_timeout(SILENCE)
            .redirect(Policy::none())
            .pool_max_idle_per_host(self.options.concurrency)
            .user_agent(&self.options.user_agent);
        let builder = match certificates {
            Some(certificates) => certificates.build(builder)?,
            None => builder,
        };
        let client = builder.build().map_err(|error| Trouble::Client(root(&error).to_string()))?;
        if clients.len() == CLIENTS {
            clients.clear();
        }
        clients.insert(id, client.clone());
        Ok(client)
    }
}

/// `host`, or `host:port` if the port is not the one of the scheme.
pub fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or_default();
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// The label of an answer.
fn outcome(status: StatusCode) -> &'static str {
    match status {
        StatusCode::UNAUTHORIZED => "Challenged",
        StatusCode::NOT_FOUND => "NotFound",
        _ if status.is_client_error() || status.is_server_error() => "Refused",
        _ => "ok",
    }
}

fn redirects(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

/// Where a redirect leads, or why it is not followed.
fn target_of(ask: &Ask<'_>, from: &Url, location: &str) -> Result<Url, &'static str> {
    let mut url = from.join(location).map_err(|_| "and not to a URL")?;
    if ask.form.is_some() {
        return Err("with a login that goes to nobody else");
    }
    // A login in it would be sent.
    let bare = url.set_username("").and_then(|()| url.set_password(None));
    match url.scheme() {
        _ if bare.is_err() || !url.has_host() => Err("and not to a host"),
        "https" => Ok(url),
        "http" if from.scheme() == "http" || ask.insecure => Ok(url),
        _ => Err("away from TLS"),
    }
}

async fn read(mut response: Response, host: &str, limit: usize) -> Result<Vec<u8>, Trouble> {
    let too_large = || Trouble::TooLarge { host: host.to_owned(), limit };
    let length = response.content_length().unwrap_or(0);
    if length > limit as u64 {
        return Err(too_large());
    }
    let mut body = Vec::with_capacity(usize::try_from(length).unwrap_or(0).min(1024 * 1024));
    while let Some(chunk) = response.chunk().await.map_err(|error| unsent(host, &error))? {
        if body.len() + chunk.len() > limit {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn unsent(host: &str, error: &reqwest::Error) -> Trouble {
    let host = host.to_owned();
    if let Some(tls) = causes(error).find_map(|cause| cause.downcast_ref::<rustls::Error>()) {
        return Trouble::Untrusted { host, said: broken_tls(tls) };
    }
    let said = if error.is_timeout() && error.is_connect() {
        format!("no connection within {} s", CONNECT.as_secs())
    } else if error.is_timeout() {
        format!("it was silent for {} s", SILENCE.as_secs())
    } else if error.is_connect() {
        cleaned(&root(error).to_string(), &[])
    } else {
        format!("the connection broke: {}", cleaned(&root(error).to_string(), &[]))
    };
    Trouble::Unreachable { host, said }
}

/// What is wrong with TLS, in words where the library has none.
fn broken_tls(error: &rustls::Error) -> String {
    use rustls::CertificateError as Bad;
    match error {
        rustls::Error::InvalidCertificate(Bad::UnknownIssuer) => {
            "its certificate is signed by nobody who is trusted here; name a Secret with its ca.crt"
                .to_owned()
        }
        rustls::Error::InvalidMessage(_) => {
            "it does not speak TLS at this port; set insecure if that is meant".to_owned()
        }
        other => cleaned(&other.to_string(), &[]),
    }
}

/// An error and what is below it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| below(*error))
}

fn below<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a (dyn Error + 'static)> {
    // What an io::Error wraps is not its source, but the error itself.
    match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
        Some(wrapped) => Some(wrapped),
        None => error.source(),
    }
}

/// The cause of it all. What is above says less, and may have the URL.
fn root<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    causes(error).last().unwrap_or(error)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::target::Target;
    use super::super::{Place, Repository};
    use super::*;

    #[test]
    fn a_redirect_does_not_lead_away_from_tls_nor_take_a_login_along() {
        let leads = |insecure: bool, form: bool, from: &str, location: &str| {
            let place = Place { insecure, ..Place::of(Repository::parse("a.example.com/b").unwrap()) };
            let from = Url::parse(from).unwrap();
            let mut ask = Target::all(&place, 1).unwrap().remove(0).ask(Method::GET, from.clone(), 1);
            ask.form = form.then(Vec::new);
            target_of(&ask, &from, location).map_or_else(ToOwned::to_owned, |url| url.to_string())
        };
        let (tls, plain) = ("https://a.example.com/v2/b", "http://a.example.com/v2/b");
        for (insecure, form, from, location, expected) in [
            (false, false, tls, "/c", "https://a.example.com/c"),
            (false, false, tls, "https://s3.example.com/c?d=e", "https://s3.example.com/c?d=e"),
            (false, false, tls, "https://u:p@s3.example.com/c", "https://s3.example.com/c"),
            (false, false, tls, "http://s3.example.com/c", "away from TLS"),
            (true, false, tls, "http://s3.example.com/c", "http://s3.example.com/c"),
            (true, false, plain, "http://s3.example.com/c", "http://s3.example.com/c"),
            (true, false, plain, "ftp://s3.example.com/c", "away from TLS"),
            (true, false, plain, "data:text/plain,a", "and not to a host"),
            (true, false, plain, "http://[", "and not to a URL"),
            (false, true, tls, "/c", "with a login that goes to nobody else"),
        ] {
            assert_eq!(leads(insecure, form, from, location), expected);
        }
    }
}
