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
use super::{Tags, Trouble};

/// How many tags a page is asked to have. ECR and GitLab refuse more, and many give 50 or 100 if nothing is said.
const PAGE: &str = "tags/list?n=1000";
/// How many pages are read: some registries have 50 tags on one.
const PAGES: usize = 20_000;
/// How large a manifest or the configuration of an image may be.
const DOCUMENT: usize = 4 * 1024 * 1024;
/// How deep indexes may be in one another.
const DEPTH: usize = 3;

/// Tags that were listed, by which the registry can say that they are the same.
#[derive(Clone)]
pub struct ListedTags {
    url: Url,
    etag: String,
    tags: Arc<Tags>,
}

/// Asks one repository.
pub struct Asker<'a> {
    pub web: &'a Web,
    pub sessions: &'a Sessions,
    pub target: Target<'a>,
}

impl Asker<'_> {
    /// All tags.
    pub async fn tags(&self, known: Option<&ListedTags>) -> Result<(Arc<Tags>, Option<ListedTags>), Trouble> {
        let first = self.target.below(PAGE)?;
        let (mut tags, mut left) = (Tags::default(), self.web.options.bytes);
        let (mut next, mut seen) = (Some(first.clone()), HashSet::new());
        let mut etag = None;
        while let Some(url) = next.take() {
            if seen.len() == PAGES || !seen.insert(url.clone()) {
                let why = "that was already read, or the list has no end";
                return Err(Trouble::BadLink { host: self.host(), why });
            }
            let known = known.filter(|known| known.url == url);
            let answer = self.page(&url, known, left).await?;
            if let Some(known) = known.filter(|_| answer.status == StatusCode::NOT_MODIFIED) {
                return Ok((known.tags.clone(), Some(known.clone())));
            }
            let bad = |why| Trouble::BadLink { host: self.host(), why };
            next = next_page(&url, &answer.headers).map_err(bad)?;
            self.read(&mut tags, &answer)?;
            left = left.saturating_sub(answer.body.len());
            etag = answer.header(header::ETAG).map(ToOwned::to_owned);
        }
        tags.shrink();
        let tags = Arc::new(tags);
        // Of many pages the first one says nothing about the last one.
        let etag = etag.filter(|_| seen.len() == 1);
        let known = etag.map(|etag| ListedTags { url: first, etag, tags: tags.clone() });
        Ok((tags, known))
    }

    /// One page of tags.
    async fn page(&self, url: &Url, known: Option<&ListedTags>, limit: usize) -> Result<Answer, Trouble> {
        let headers = known.map(|known| (header::IF_NONE_MATCH, known.etag.clone())).into_iter().collect();
        let whole = |trouble| match trouble {
            Trouble::TooLarge { host, .. } => Trouble::TooLarge { host, limit: self.web.options.bytes },
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
                Err(Trouble::NoSuchRepository { host: self.host(), said: answer.said() })
            }
            _ => Err(self.trouble(&answer)),
        }
    }

    fn read(&self, tags: &mut Tags, answer: &Answer) -> Result<(), Trouble> {
        let limit = self.web.options.tags;
        tags.read(&answer.body, limit).map_err(|unread| match unread {
            Unread::TooMany => Trouble::TooManyTags { limit },
            Unread::Malformed => answer.unexpected("it has no list of tags"),
        })
    }

    /// The digest of what a tag names: of an index, not of one of its platforms.
    pub async fn digest(&self, tag: &str) -> Result<ImageDigest, Trouble> {
        let url = self.manifest_url(tag)?;
        let headers = vec![(header::ACCEPT, ACCEPT.to_owned())];
        let answer = self.get(Method::HEAD, &url, Purpose::Content, headers, DOCUMENT).await?;
        match answer.status {
            StatusCode::OK => {}
            StatusCode::NOT_FOUND => return Err(no_tag(tag, &answer)),
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => return Err(refused(&self.target, &answer)),
            // What does not know HEAD, or has no words for what is wrong.
            _ => return self.fetched(&url, tag).await.map(|(digest, _)| digest),
        }
        let said = answer.header(DIGEST).and_then(ImageDigest::parse);
        match said {
            Some(digest) => Ok(digest),
            None => self.fetched(&url, tag).await.map(|(digest, _)| digest),
        }
    }

    /// When the image of a tag was created: by the annotation of its index or manifest, or by its configuration. Of an
    /// index, the image for linux/amd64 counts, or the first one.
    pub async fn created(&self, tag: &str) -> Result<Timestamp, Trouble> {
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
                Err(said) => return Err(Trouble::NotCreated { tag: tag.to_owned(), said: said.to_owned() }),
            }
        }
        Err(Trouble::NotCreated { tag: tag.to_owned(), said: "its indexes are nested too deeply".to_owned() })
    }

    /// The content of the first layer of a media type, of which the digest was checked.
    pub async fn layer(&self, tag: &str, kind: &'static str, limit: u64) -> Result<Vec<u8>, Trouble> {
        let (_, answer) = self.fetched(&self.manifest_url(tag)?, tag).await?;
        let layer = artifact::layer(&answer.body, kind).map_err(|said| answer.unexpected(said))?;
        let Layer { digest, size } = layer.ok_or_else(|| Trouble::NoLayer { tag: tag.to_owned(), kind })?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        if usize::try_from(size).unwrap_or(usize::MAX) > limit {
            return Err(Trouble::TooLarge { host: answer.host, limit });
        }
        self.blob(&digest, limit).await.map(|answer| answer.body)
    }

    /// What a digest names, which is checked.
    async fn blob(&self, digest: &ImageDigest, limit: usize) -> Result<Answer, Trouble> {
        let url = self.target.below(&format!("blobs/{digest}"))?;
        let answer = self.get(Method::GET, &url, Purpose::Content, Vec::new(), limit).await?;
        if answer.status != StatusCode::OK {
            return Err(self.trouble(&answer));
        }
        let found = digest.kind().of(&answer.body);
        if found == *digest { Ok(answer) } else { Err(mismatch(&answer, digest, &found)) }
    }

    async fn created_in(&self, tag: &str, digest: &ImageDigest) -> Result<Timestamp, Trouble> {
        let answer = self.blob(digest, DOCUMENT).await?;
        created_in_config(&answer.body)
            .map_err(|said| Trouble::NotCreated { tag: tag.to_owned(), said: said.to_owned() })
    }

    /// A manifest with its digest, which is that of the bytes.
    async fn fetched(&self, url: &Url, tag: &str) -> Result<(ImageDigest, Answer), Trouble> {
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

    fn manifest_url(&self, tag: &str) -> Result<Url, Trouble> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if tag.is_empty() || tag.len() > 128 || !tag.bytes().all(good) || tag.starts_with(['.', '-']) {
            let said = "; it is not a tag".to_owned();
            return Err(Trouble::NoSuchTag { tag: tag.escape_debug().take(128).collect(), said });
        }
        self.target.below(&format!("manifests/{tag}"))
    }

    /// Asks with the login; once more if what was known of the host is not good enough.
    async fn get(
        &self,
        method: Method,
        url: &Url,
        purpose: Purpose,
        headers: Vec<(HeaderName, String)>,
        limit: usize,
    ) -> Result<Answer, Trouble> {
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

    /// An answer that is not what was asked for.
    fn trouble(&self, answer: &Answer) -> Trouble {
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

fn no_tag(tag: &str, answer: &Answer) -> Trouble {
    Trouble::NoSuchTag { tag: tag.to_owned(), said: answer.said() }
}

fn mismatch(answer: &Answer, expected: &ImageDigest, found: &ImageDigest) -> Trouble {
    let (expected, found) = (expected.to_string(), found.to_string());
    Trouble::DigestMismatch { host: answer.host.clone(), expected, found }
}

/// The digest that a URL asks for.
fn expected(url: &Url) -> Option<ImageDigest> {
    ImageDigest::parse(url.path().rsplit('/').next()?)
}
