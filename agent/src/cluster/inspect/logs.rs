//! The log of one container, as a whole up to a limit or followed. I/O: API reads.

use futures::io::{AsyncBufRead, Lines as AsyncLines};
use futures::{AsyncBufReadExt as _, StreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::LogParams;

use super::{InspectError, within};
use crate::cluster::people::Hand;

/// Bytes of a log that are read.
const LARGEST: i64 = 1024 * 1024;
/// Lines of a log that may be requested.
pub const MOST: i64 = 5000;

/// Which log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    pub namespace: String,
    pub pod: String,
    /// Empty for the only container.
    pub container: String,
    /// The last lines. At most 5000.
    pub lines: i64,
    /// The log of the container before its last restart.
    pub previous: bool,
}

impl LogQuery {
    fn params(&self, follow: bool) -> LogParams {
        LogParams {
            container: Some(self.container.clone()).filter(|name| !name.is_empty()),
            follow,
            limit_bytes: (!follow).then_some(LARGEST),
            previous: self.previous,
            tail_lines: Some(self.lines.clamp(1, MOST)),
            ..LogParams::default()
        }
    }

    fn api(&self, hand: &Hand) -> Api<Pod> {
        Api::namespaced(hand.0.clone(), &self.namespace)
    }

    /// True if the names can be names of Kubernetes, so that they cannot change the path of the request.
    pub fn is_valid(&self) -> bool {
        let is_name = |text: &str| {
            text.len() <= 253
                && text.starts_with(|letter: char| letter.is_ascii_alphanumeric())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.'))
        };
        is_name(&self.namespace)
            && is_name(&self.pod)
            && (self.container.is_empty() || is_name(&self.container))
    }
}

/// The last lines of a log.
pub async fn logs(hand: &Hand, query: &LogQuery) -> Result<String, InspectError> {
    let api = query.api(hand);
    let params = query.params(false);
    within(api.logs(&query.pod, &params)).await
}

/// The lines of a log as they are written.
pub struct Lines(AsyncLines<std::pin::Pin<Box<dyn AsyncBufRead + Send>>>);

impl Lines {
    /// The next line; `None` at the end.
    pub async fn next(&mut self) -> Option<String> {
        self.0.next().await?.ok()
    }
}

/// Follows a log, from its last lines on.
pub async fn follow(hand: &Hand, query: &LogQuery) -> Result<Lines, InspectError> {
    let api = query.api(hand);
    let params = query.params(true);
    let stream: std::pin::Pin<Box<dyn AsyncBufRead + Send>> =
        Box::pin(within(api.log_stream(&query.pod, &params)).await?);
    Ok(Lines(stream.lines()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_would_change_the_path_is_refused() {
        let query = |namespace: &str, pod: &str, container: &str| LogQuery {
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            container: container.to_owned(),
            lines: 10,
            previous: false,
        };
        assert!(query("shop", "web-1.a", "").is_valid() && query("shop", "web-1", "app").is_valid());
        for (namespace, pod, container) in [
            ("", "web", ""),
            ("shop", "", ""),
            ("shop", "../secrets/a", ""),
            ("..", "web", ""),
            ("shop", "web/exec?command=sh", ""),
            ("shop", "web", "a&previous=true"),
            ("shop", "web%2f", ""),
        ] {
            assert!(!query(namespace, pod, container).is_valid(), "{namespace} {pod} {container}");
        }
    }
}
