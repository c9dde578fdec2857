//! Requests to a repository: its tags, the digest of a tag, the creation time of an image, and the content of a layer. I/O: HTTP.

use std::collections::HashSet;
use std::sync::Arc;

use http::{HeaderName, Method, StatusCode, header};
use jiff::Timestamp;
use reqwest::Url;

use super::answer::Answer;
use super::artifact::{self, Layer};
use super::digest::ImageDigest;
use super::link::next_page;
use super::manifest::{ACCEPT, Manifest, Next, created_in_config};
use super::session::{Sessions, refused};
use super::tags::Unread;
use super::target::{Purpose, Target};
use super::web::Web;
use super::{RequestError, Tags};

/// Number of tags that are requested for each page. ECR and GitLab refuse more, and many registries return 50 or 100
/// by default.
const PAGE: &str = "tags/list?n=1000";
/// Maximum number of pages: some registries return 50 tags for each.
const PAGES: usize = 20_000;
/// Maximum size of a manifest, or of the configuration of an image.
const DOCUMENT: usize = 4 * 1024 * 1024;
/// Maximum depth of nested indexes.
const DEPTH: usize = 3;

/// The tags of an earlier request, for which the registry can confirm that they are unchanged.
#[derive(Clone)]
pub struct ListedTags {
    url: Url,
    etag: String,
    tags: Arc<Tags>,
}

/// Sends requests to one repository.
pub struct RepositoryClient<'a> {
    pub web: &'a Web,
    pub sessions: &'a Sessions,
    pub target: Target<'a>,
}

impl RepositoryClient<'_> {
    /// Returns all tags.
    pub async fn tags(
        &self,
        known: Option<&ListedTags>,
    ) -> Result<(Arc<Tags>, Option<ListedTags>), RequestError> {
        let first = self.target.below(PAGE)?;
        let (mut tags, mut left) = (Tags::default(), self.web.options.bytes);
        let (mut next, mut seen) = (Some(first.clone()), HashSet::new());
        let mut etag = None;
        while let Some(url) = next.take() {
            if seen.len() == PAGES || !seen.insert(url.clone()) {
                let why = "that was already read, or the list has no end";
                return Err(RequestError::BadLink { host: self.host(), why });
            }
            let known = known.filter(|known| known.url == url);
            let answer = self.page(&url, known, left).await?;
            if let Some(known) = known.filter(|_| answer.status == StatusCode::NOT_MODIFIED) {
                return Ok((known.tags.clone(), Some(known.clone())));
            }
            let bad = |why| RequestError::BadLink { host: self.host(), why };
            next = next_page(&url, &answer.headers).map_err(bad)?;
            self.read(&mut tags, &answer)?;
            left = left.saturating_sub(answer.body.len());
            etag = answer.header(header::ETAG).map(ToOwned::to_owned);
        }
        tags.shrink();
        let tags = Arc::new(tags);
        // If there are several pages, the first one says nothing about the last one.
        let etag = etag.filter(|_| seen.len() == 1);
        let known = etag.map(|etag| ListedTags { url: first, etag, tags: tags.clone() });
        Ok((tags, known))
    }

    /// Requests one page of tags.
    async fn page(
        &self,
        url: &Url,
        known: Option<&ListedTags>,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        let headers = known.map(|known| (header::IF_NONE_MATCH, known.etag.clone())).into_iter().collect();
        let whole = |trouble| match trouble {
            RequestError::TooLarge { host, .. } => {
                RequestError::TooLarge { host, limit: self.web.options.bytes }
            }
            other => other,
        };
        let mut answer = self.get(Method::GET, url, Purpose::Tags, headers, limit).await.map_err(whole)?;
        if answer.status == StatusCode::BAD_REQUEST && url.query() == Some("n=1000") {
            let url = self.target.below("tags/list")?;
            answer = self.get(Method::GET, &url, Purpose::Tags, Vec::new(), limit).await.map_err(whole)?;
        }
        match answer.status {
            StatusCode::OK => Ok(answer),
            StatusCode::NOT_MODIFIED if known.is_some() => Ok(answer),
            StatusCode::NOT_FOUND if !answer.is_page() => {
                Err(RequestError::NoSuchRepository { host: self.host(), said: answer.said() })
            }
            _ => Err(self.trouble(&answer)),
        }
    }

    fn read(&self, tags: &mut Tags, answer: &Answer) -> Result<(), RequestError> {
        let limit = self.web.options.tags;
        tags.read(&answer.body, limit).map_err(|unread| match unread {
            Unread::TooMany => RequestError::TooManyTags { limit },
            Unread::Malformed => answer.unexpected("it has no list of tags"),
        })
    }

    /// Returns the digest of a tag: of the index, not of one of its platforms.
    pub async fn digest(&self, tag: &str) -> Result<ImageDigest, RequestError> {
        let url = self.manifest_url(tag)?;
        let headers = vec![(header::ACCEPT, ACCEPT.to_owned())];
        let answer = self.get(Method::HEAD, &url, Purpose::Content, headers, DOCUMENT).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(no_tag(tag, &answer)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(refused(&self.target, &answer)),
            // The registry does not support HEAD, or the response does not explain the error.
            _ => return self.fetched(&url, tag).await.map(|(digest, _)| digest),
        }
        let said = answer.header(DIGEST).and_then(ImageDigest::parse);
        match said {
            Some(digest) => Ok(digest),
            None => self.fetched(&url, tag).await.map(|(digest, _)| digest),
        }
    }

    /// Returns when the image of a tag was created: by the annotation of its index or manifest, or by its
    /// configuration. In an index, the image for linux/amd64 is used, or else the first one.
    pub async fn created(&self, tag: &str) -> Result<Timestamp, RequestError> {
        let mut url = self.manifest_url(tag)?;
        for _ in 0..DEPTH {
            let (digest, answer) = self.fetched(&url, tag).await?;
            if let Some(expected) = expected(&url).filter(|expected| *expected != digest) {
                return Err(mismatch(&answer, &expected, &digest));
            }
            let manifest = Manifest::read(&answer.body).map_err(|said| answer.unexpected(said))?;
            match manifest.next() {
                Ok(Next::Created(time)) => return Ok(time),
                Ok(Next::Manifest(digest)) => url = self.target.below(&format!("manifests/{digest}"))?,
                Ok(Next::Config(digest)) => return self.created_in(tag, &digest).await,
                Err(said) => {
                    return Err(RequestError::NotCreated { tag: tag.to_owned(), said: said.to_owned() });
                }
            }
        }
        Err(RequestError::NotCreated {
            tag: tag.to_owned(),
            said: "its indexes are nested too deeply".to_owned(),
        })
    }

    /// Returns the content of the first layer of a media type, after its digest was verified.
    pub async fn layer(&self, tag: &str, kind: &'static str, limit: u64) -> Result<Vec<u8>, RequestError> {
        let (_, answer) = self.fetched(&self.manifest_url(tag)?, tag).await?;
        let layer = artifact::layer(&answer.body, kind).map_err(|said| answer.unexpected(said))?;
        let Layer { digest, size } =
            layer.ok_or_else(|| RequestError::NoLayer { tag: tag.to_owned(), kind })?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if usize::try_from(size).unwrap_or(usize::MAX) > limit {
            return Err(RequestError::TooLarge { host: answer.host, limit });
        }
        self.blob(&digest, limit).await.map(|answer| answer.body)
    }

    /// Returns the content of a digest, which is verified.
    async fn blob(&self, digest: &ImageDigest, limit: usize) -> Result<Answer, RequestError> {
        let url = self.target.below(&format!("blobs/{digest}"))?;
        let answer = self.get(Method::GET, &url, Purpose::Content, Vec::new(), limit).await?;
        if answer.status != StatusCode::OK {
            return Err(self.trouble(&answer));
        }
        let found = digest.kind().of(&answer.body);
        if found == *digest { Ok(answer) } else { Err(mismatch(&answer, digest, &found)) }
    }

    async fn created_in(&self, tag: &str, digest: &ImageDigest) -> Result<Timestamp, RequestError> {
        let answer = self.blob(digest, DOCUMENT).await?;
        created_in_config(&answer.body)
            .map_err(|said| RequestError::NotCreated { tag: tag.to_owned(), said: said.to_owned() })
    }

    /// Returns a manifest and the digest of its bytes.
    async fn fetched(&self, url: &Url, tag: &str) -> Result<(ImageDigest, Answer), RequestError> {
        let headers = vec![(header::ACCEPT, ACCEPT.to_owned())];
        let answer = self.get(Method::GET, url, Purpose::Content, headers, DOCUMENT).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND if !answer.is_page() => return Err(no_tag(tag, &answer)),
            _ => return Err(self.trouble(&answer)),
        }
        let said = answer.header(DIGEST).and_then(ImageDigest::parse).or_else(|| expected(url));
        let kind = said.as_ref().map(ImageDigest::kind).unwrap_or_default();
        let found = kind.of(&answer.body);
        match said.filter(|said| *said != found) {
            Some(said) => Err(mismatch(&answer, &said, &found)),
            None if answer.is_page() => Err(answer.unexpected("")),
            None => Ok((found, answer)),
        }
    }

    fn manifest_url(&self, tag: &str) -> Result<Url, RequestError> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if tag.is_empty() || tag.len() > 128 || !tag.bytes().all(good) || tag.starts_with(['.', '-']) {
            let said = "; it is not a tag".to_owned();
            return Err(RequestError::NoSuchTag { tag: tag.escape_debug().take(128).collect(), said });
        }
        self.target.below(&format!("manifests/{tag}"))
    }

    /// Sends a request with the credentials; repeats it once if what is known about the host is out of date.
    async fn get(
        &self,
        method: Method,
        url: &Url,
        purpose: Purpose,
        headers: Vec<(HeaderName, String)>,
        limit: usize,
    ) -> Result<Answer, RequestError> {
        let Self { web, sessions, target } = self;
        let mut ask = target.ask(method, url.clone(), limit);
        ask.headers = headers;
        ask.authorization = sessions.known(web, target, purpose).await?;
        let answer = web.ask(&ask).await?;
        if answer.status != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let before = ask.authorization.take();
        ask.authorization =
            Some(sessions.challenged(web, target, purpose, &answer, before.as_deref()).await?);
        web.ask(&ask).await
    }

    /// Returns the error for an unexpected response.
    fn trouble(&self, answer: &Answer) -> RequestError {
        match answer.status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN if !answer.is_page() => {
                refused(&self.target, answer)
            }
            _ => answer.refused(),
        }
    }

    fn host(&self) -> String {
        self.target.repository.host().to_owned()
    }
}

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

fn no_tag(tag: &str, answer: &Answer) -> RequestError {
    RequestError::NoSuchTag { tag: tag.to_owned(), said: answer.said() }
}

fn mismatch(answer: &Answer, expected: &ImageDigest, found: &ImageDigest) -> RequestError {
    let (expected, found) = (expected.to_string(), found.to_string());
    RequestError::DigestMismatch { host: answer.host.clone(), expected, found }
}

/// Returns the digest in a URL.
fn expected(url: &Url) -> Option<ImageDigest> {
    ImageDigest::parse(url.path().rsplit('/').next()?)
}
