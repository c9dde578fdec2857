//! A client of the web UI that does what a browser does, and shows what came back. I/O: network.

use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use holdfast_tests::agent::Agent;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::redirect::Policy;

/// A visitor of the pages.
pub struct Visitor {
    base: String,
    client: reqwest::Client,
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub text: String,
    headers: HeaderMap,
}

/// A stream of events.
pub struct Events {
    answer: reqwest::Response,
    seen: String,
}

/// Where an agent serves its UI.
pub fn address(agent: &Agent) -> anyhow::Result<String> {
    let lines = agent.lines()?;
    let line =
        lines.iter().find(|line| line["message"] == "Serving the web UI").context("no UI is served")?;
    Ok(format!("http://{}", line["address"].as_str().context("no address")?))
}

/// The proof in a form of a page.
pub fn proof(page: &str) -> anyhow::Result<String> {
    let (_, rest) = page.split_once("name=\"proof\" value=\"").context("the page has no form")?;
    Ok(rest.split('"').next().unwrap_or_default().to_owned())
}

impl Visitor {
    fn new(base: &str, headers: &[(&'static str, &str)]) -> anyhow::Result<Self> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(HeaderName::from_static(name), HeaderValue::from_str(value)?);
        }
        let client = reqwest::Client::builder().redirect(Policy::none()).default_headers(map).build()?;
        Ok(Self { base: base.to_owned(), client })
    }

    pub fn anonymous(base: &str) -> anyhow::Result<Self> {
        Self::new(base, &[])
    }

    pub fn bearer(base: &str, token: &str) -> anyhow::Result<Self> {
        Self::new(base, &[("authorization", &format!("Bearer {token}"))])
    }

    pub fn proxied(base: &str, user: &str, groups: &str) -> anyhow::Result<Self> {
        Self::new(base, &[("x-forwarded-user", user), ("x-forwarded-groups", groups)])
    }

    /// With what `Set-Cookie` said.
    pub fn with_cookie(base: &str, cookie: &str) -> anyhow::Result<Self> {
        let pair = cookie.split(';').next().unwrap_or_default();
        ensure!(
            cookie.contains("HttpOnly") && cookie.contains("SameSite=") && !cookie.contains("Domain"),
            "{cookie}"
        );
        Self::new(base, &[("cookie", pair)])
    }

    pub async fn sign_in(base: &str, token: &str) -> anyhow::Result<Self> {
        let answer = Self::anonymous(base)?.post("/login", &[("token", token)]).await?;
        ensure!(answer.status == 303, "{answer:?}");
        let cookie = answer.header("set-cookie");
        ensure!(cookie.starts_with("__Host-") && cookie.contains("Secure"), "{cookie}");
        Self::with_cookie(base, &cookie)
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> anyhow::Result<Answer> {
        let answer = request.send().await?;
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Ok(Answer { status, headers, text: answer.text().await? })
    }

    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.client.get(format!("{}{path}", self.base)).header("accept", "text/html")).await
    }

    pub async fn json(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(self.client.get(format!("{}{path}", self.base)).header("accept", "application/json")).await
    }

    pub async fn as_host(&self, path: &str, host: &str) -> anyhow::Result<Answer> {
        self.send(self.client.get(format!("{}{path}", self.base)).header("host", host)).await
    }

    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> anyhow::Result<Answer> {
        self.of_site(path, fields, "same-origin").await
    }

    pub async fn of_site(&self, path: &str, fields: &[(&str, &str)], site: &str) -> anyhow::Result<Answer> {
        let body = reqwest::Url::parse_with_params("http://form", fields)?;
        let request = self
            .client
            .post(format!("{}{path}", self.base))
            .header("sec-fetch-site", site)
            .header("content-type", "application/x-www-form-urlencoded")
            .body(body.query().unwrap_or_default().to_owned());
        self.send(request).await
    }

    pub async fn stream(&self, path: &str, last: Option<&str>) -> anyhow::Result<Events> {
        let mut request = self.client.get(format!("{}{path}", self.base));
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let answer = request.send().await?.error_for_status()?;
        Ok(Events { answer, seen: String::new() })
    }
}

impl Answer {
    pub fn header(&self, name: &str) -> String {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    }

    /// Fails if a header is missing that forbids what no page needs.
    pub fn is_guarded(&self) -> anyhow::Result<()> {
        let policy = self.header("content-security-policy");
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            ensure!(policy.contains(part), "{policy}");
        }
        ensure!(!policy.contains("unsafe") && self.header("x-content-type-options") == "nosniff");
        ensure!(self.header("cache-control") == "no-store");
        ensure!(!self.text.contains(" style=") && !self.text.contains(" onclick="));
        Ok(())
    }
}

impl Events {
    /// Waits for a line.
    pub async fn until(&mut self, line: &str, limit: Duration) -> anyhow::Result<()> {
        let waiting = async {
            loop {
                if let Some((_, rest)) = self.seen.split_once(&format!("{line}\n")) {
                    self.seen = String::from(rest);
                    return Ok(());
                }
                let Some(piece) = self.answer.chunk().await? else {
                    bail!("the stream ended: {}", self.seen)
                };
                self.seen.push_str(&String::from_utf8_lossy(&piece));
            }
        };
        match tokio::time::timeout(limit, waiting).await {
            Ok(found) => found,
            Err(_) => bail!("no line {line} within {limit:?}"),
        }
    }

    /// What came so far, and in a moment.
    pub async fn so_far(&mut self, moment: Duration) -> anyhow::Result<String> {
        while let Ok(Ok(Some(piece))) = tokio::time::timeout(moment, self.answer.chunk()).await {
            self.seen.push_str(&String::from_utf8_lossy(&piece));
        }
        Ok(self.seen.clone())
    }
}
