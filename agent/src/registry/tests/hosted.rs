//! Hosted registries and their quirks, as exchanges that are written from their documentation.
//!
//! Each exchange is a request in the order in which it must come, and its answer. `HOST` is the address of the server.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::server::{Reply, ok, registries, reply};
use super::*;

/// The request (its line, and what it brings), and its answer (status, headers, body).
struct Exchange {
    line: &'static str,
    /// The header `Authorization`, or the form of a POST.
    brings: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
}

const fn exchange(
    line: &'static str,
    brings: &'static str,
    status: u16,
    headers: &'static [(&'static str, &'static str)],
    body: &'static str,
) -> Exchange {
    Exchange { line, brings, status, headers, body }
}

/// `alice` and `hunter2`, as a basic login brings them.
const BASIC: &str = "Basic YWxpY2U6aHVudGVyMg==";
const ALICE: &str = r#"{"username":"alice","password":"hunter2"}"#;
const ANONYMOUS: &str = "{}";
const CHALLENGE: &str = "www-authenticate";

async fn play(exchanges: &'static [Exchange]) -> Server {
    let next = AtomicUsize::new(0);
    Server::start(move |seen| {
        let Some(expected) = exchanges.get(next.fetch_add(1, Ordering::Relaxed)) else {
            return reply(418).body("there should be no more requests");
        };
        let Exchange { line, brings, status, headers, body } = expected;
        let brought = if seen.body.is_empty() { &seen.authorization } else { &seen.body };
        if seen.line != *line || brought != brings {
            return reply(418)
                .body(format!("unexpected: {} with {brought}; not {line} with {brings}", seen.line));
        }
        let with = |reply: Reply, (name, value): &(&'static str, &str)| {
            reply.header(name, value.replace("HOST", &seen.host))
        };
        headers.iter().fold(reply(*status).body(*body), with)
    })
    .await
}

/// Lists the tags of `path` by the entry of a Secret.
async fn check_tags(path: &str, entry: &str, exchanges: &'static [Exchange], expected: &[&str]) {
    let server = play(exchanges).await;
    assert_eq!(tags(&registries(), &server.place_with(path, entry)).await.unwrap(), expected);
    assert_eq!(server.lines().len(), exchanges.len());
}

async fn check_error(path: &str, entry: &str, exchanges: &'static [Exchange], name: &str, parts: &[&str]) {
    let server = play(exchanges).await;
    check(&tags(&registries(), &server.place_with(path, entry)).await.unwrap_err(), name, parts);
    assert_eq!(server.lines().len(), exchanges.len());
}

#[tokio::test]
async fn docker_hub_gives_tokens_to_everybody() {
    static HUB: &[Exchange] = &[
        exchange(
            "GET /v2/library/nginx/tags/list?n=1000",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/token",service="registry.docker.io",scope="repository:library/nginx:pull""#,
            )],
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}"#,
        ),
        exchange(
            "GET /token?service=registry.docker.io&scope=repository%3Alibrary%2Fnginx%3Apull",
            "",
            200,
            &[],
            r#"{"token":"T1","access_token":"T1","expires_in":300,"issued_at":"2026-01-01T00:00:00Z"}"#,
        ),
        exchange(
            "GET /v2/library/nginx/tags/list?n=1000",
            "Bearer T1",
            200,
            &[],
            r#"{"name":"library/nginx","tags":["1"]}"#,
        ),
        exchange(
            "HEAD /v2/library/nginx/manifests/1",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/token",service="registry.docker.io",scope="repository:library/nginx:pull""#,
            )],
            "",
        ),
        exchange(
            "HEAD /v2/library/nginx/manifests/1",
            "Bearer T1",
            200,
            &[
                (
                    "docker-content-digest",
                    "sha256:767a3815c34823b355bed31760d5fa3daca0aec2ce15b217c9cd83229e0e2020",
                ),
                ("ratelimit-limit", "100;w=21600"),
                ("ratelimit-remaining", "76;w=21600"),
            ],
            "",
        ),
    ];
    let (server, registries) = (play(HUB).await, registries());
    let access = server.access("library/nginx");
    assert_eq!(tags(&registries, &access).await.unwrap(), ["1"]);
    assert!(registries.rates().is_empty());
    let digest = registries.digest(&access, "1", Duration::ZERO, LONG).await.unwrap();
    assert_eq!(digest.to_string(), "sha256:767a3815c34823b355bed31760d5fa3daca0aec2ce15b217c9cd83229e0e2020");
    let rate = registries.rates()[&server.host];
    assert_eq!((rate.remaining, rate.limit), (76, Some(100)));
    assert_eq!(registries.rates().len(), 1);
}

#[tokio::test]
async fn ghcr_pages_relatively_and_denies_what_is_not_there() {
    static CHALLENGED: &[(&str, &str)] =
        &[(CHALLENGE, r#"Bearer realm="http://HOST/token",service="ghcr.io",scope="repository:o/app:pull""#)];
    static PAGES: &[Exchange] = &[
        exchange("GET /v2/o/app/tags/list?n=1000", "", 401, CHALLENGED, ""),
        exchange(
            "GET /token?service=ghcr.io&scope=repository%3Ao%2Fapp%3Apull",
            BASIC,
            200,
            &[],
            r#"{"token":"T"}"#,
        ),
        exchange(
            "GET /v2/o/app/tags/list?n=1000",
            "Bearer T",
            200,
            &[("link", "</v2/o/app/tags/list?last=v1&n=1000>; rel=\"next\"")],
            r#"{"name":"o/app","tags":["v1"]}"#,
        ),
        exchange(
            "GET /v2/o/app/tags/list?last=v1&n=1000",
            "Bearer T",
            200,
            &[],
            r#"{"name":"o/app","tags":["v2"]}"#,
        ),
    ];
    static DENIED: &[Exchange] = &[
        exchange("GET /v2/o/app/tags/list?n=1000", "", 401, CHALLENGED, ""),
        exchange(
            "GET /token?service=ghcr.io&scope=repository%3Ao%2Fapp%3Apull",
            "",
            403,
            &[],
            r#"{"errors":[{"code":"DENIED","message":"requested access to the resource is denied"}]}"#,
        ),
    ];
    check_tags("o/app", ALICE, PAGES, &["v1", "v2"]).await;
    check_error("o/app", ANONYMOUS, DENIED, "LoginNeeded", &["DENIED"]).await;
}

#[tokio::test]
async fn gitlab_gives_tokens_that_do_not_say_how_long() {
    static GITLAB: &[Exchange] = &[
        exchange(
            "GET /v2/group/project/image/tags/list?n=1000",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/jwt/auth",service="container_registry",scope="repository:group/project/image:pull",error="invalid_token""#,
            )],
            "",
        ),
        exchange(
            "GET /jwt/auth?service=container_registry&scope=repository%3Agroup%2Fproject%2Fimage%3Apull",
            BASIC,
            200,
            &[],
            r#"{"token":"T"}"#,
        ),
        exchange(
            "GET /v2/group/project/image/tags/list?n=1000",
            "Bearer T",
            200,
            &[("link", "<http://HOST/v2/group/project/image/tags/list?last=1.0&n=1000>; rel=\"next\"")],
            r#"{"name":"group/project/image","tags":["1.0"]}"#,
        ),
        exchange(
            "GET /v2/group/project/image/tags/list?last=1.0&n=1000",
            "Bearer T",
            200,
            &[],
            r#"{"tags":["2.0"]}"#,
        ),
    ];
    check_tags("group/project/image", ALICE, GITLAB, &["1.0", "2.0"]).await;
}

#[tokio::test]
async fn quay_pages_by_sealed_marks() {
    static QUAY: &[Exchange] = &[
        exchange(
            "GET /v2/org/app/tags/list?n=1000",
            "",
            200,
            &[("link", "</v2/org/app/tags/list?n=1000&next_page=gAAAAABk%3D%3D>; rel=\"next\"")],
            r#"{"name":"org/app","tags":["a"]}"#,
        ),
        exchange(
            "GET /v2/org/app/tags/list?n=1000&next_page=gAAAAABk%3D%3D",
            "",
            200,
            &[],
            r#"{"name":"org/app","tags":["b"]}"#,
        ),
    ];
    check_tags("org/app", ANONYMOUS, QUAY, &["a", "b"]).await;
}

#[tokio::test]
async fn harbor_has_robots_and_empty_access_tokens() {
    static HARBOR: &[Exchange] = &[
        exchange(
            "GET /v2/library/app/tags/list?n=1000",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/service/token",service="harbor-registry",scope="repository:library/app:pull""#,
            )],
            r#"{"errors":[{"code":"UNAUTHORIZED","message":"unauthorized to access repository: library/app"}]}"#,
        ),
        exchange(
            "GET /service/token?service=harbor-registry&scope=repository%3Alibrary%2Fapp%3Apull",
            "Basic cm9ib3QkY2k6aHVudGVyMg==",
            200,
            &[],
            r#"{"token":"T","access_token":"","expires_in":1800,"issued_at":"2026-01-01T00:00:00Z"}"#,
        ),
        exchange(
            "GET /v2/library/app/tags/list?n=1000",
            "Bearer T",
            200,
            &[],
            r#"{"name":"library/app","tags":null}"#,
        ),
    ];
    check_tags("library/app", r#"{"username":"robot$ci","password":"hunter2"}"#, HARBOR, &[]).await;
}

#[tokio::test]
async fn ecr_takes_a_basic_login_that_expires() {
    // AWS:h1dden
    static CHALLENGED: &[(&str, &str)] = &[(
        CHALLENGE,
        r#"Basic realm="https://1.dkr.ecr.eu-west-1.amazonaws.com/",service="ecr.amazonaws.com""#,
    )];
    static PAGES: &[Exchange] = &[
        exchange("GET /v2/team/app/tags/list?n=1000", "", 401, CHALLENGED, "Not Authorized\n"),
        exchange(
            "GET /v2/team/app/tags/list?n=1000",
            "Basic QVdTOmgxZGRlbg==",
            200,
            &[("link", "<http://HOST/v2/team/app/tags/list?last=eyJuZXh0IjoiYSJ9Cg==&n=1000>; rel=\"next\"")],
            r#"{"name":"team/app","tags":["a"]}"#,
        ),
        exchange(
            "GET /v2/team/app/tags/list?last=eyJuZXh0IjoiYSJ9Cg==&n=1000",
            "Basic QVdTOmgxZGRlbg==",
            200,
            &[],
            r#"{"name":"team/app","tags":["b"]}"#,
        ),
    ];
    static EXPIRED: &[Exchange] = &[
        exchange("GET /v2/team/app/tags/list?n=1000", "", 401, CHALLENGED, "Not Authorized\n"),
        exchange(
            "GET /v2/team/app/tags/list?n=1000",
            "Basic QVdTOmgxZGRlbg==",
            403,
            &[],
            r#"{"errors":[{"code":"DENIED","message":"Your authorization token has expired. Reauthenticate and try again."}]}"#,
        ),
    ];
    check_tags("team/app", r#"{"auth":"QVdTOmgxZGRlbg=="}"#, PAGES, &["a", "b"]).await;
    let parts = ["403", "DENIED", "check that the Secret is right and not expired"];
    check_error("team/app", r#"{"auth":"QVdTOmgxZGRlbg=="}"#, EXPIRED, "LoginRefused", &parts).await;
}

#[tokio::test]
async fn artifact_registry_says_more_than_tags() {
    static GOOGLE: &[Exchange] = &[
        exchange(
            "GET /v2/project/repo/app/tags/list?n=1000",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/v2/token",service="us-docker.pkg.dev",scope="repository:project/repo/app:pull""#,
            )],
            "",
        ),
        exchange(
            "GET /v2/token?service=us-docker.pkg.dev&scope=repository%3Aproject%2Frepo%2Fapp%3Apull",
            "Basic X3Rva2VuOmh1bnRlcjI=",
            200,
            &[],
            r#"{"token":"T","expires_in":3600.0}"#,
        ),
        exchange(
            "GET /v2/project/repo/app/tags/list?n=1000",
            "Bearer T",
            200,
            &[],
            r#"{"child":["x"],"manifest":{"sha256:0":{"imageSizeBytes":"1","mediaType":"m","tag":["1"],"timeCreatedMs":"1"}},"name":"project/repo/app","tags":["1"]}"#,
        ),
    ];
    check_tags("project/repo/app", r#"{"username":"_token","password":"hunter2"}"#, GOOGLE, &["1"]).await;
}

#[tokio::test]
async fn acr_changes_a_refresh_token_into_one_for_each_purpose() {
    static AZURE: &[Exchange] = &[
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/oauth2/token",service="x.azurecr.io",scope="repository:app:metadata_read",error="invalid_token""#,
            )],
            "",
        ),
        exchange(
            "POST /oauth2/token",
            "grant_type=refresh_token&client_id=holdfast&service=x.azurecr.io&scope=repository%3Aapp%3Ametadata_read&refresh_token=hunter2",
            200,
            &[],
            r#"{"access_token":"T1"}"#,
        ),
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "Bearer T1",
            200,
            &[("link", "</v2/app/tags/list?last=v1&n=1000&orderby=>; rel=\"next\"")],
            r#"{"name":"app","tags":["v1"]}"#,
        ),
        exchange(
            "GET /v2/app/tags/list?last=v1&n=1000&orderby=",
            "Bearer T1",
            200,
            &[],
            r#"{"name":"app","tags":["v2"]}"#,
        ),
        exchange(
            "HEAD /v2/app/manifests/v2",
            "",
            401,
            &[(
                CHALLENGE,
                r#"Bearer realm="http://HOST/oauth2/token",service="x.azurecr.io",scope="repository:app:pull""#,
            )],
            "",
        ),
        exchange(
            "POST /oauth2/token",
            "grant_type=refresh_token&client_id=holdfast&service=x.azurecr.io&scope=repository%3Aapp%3Apull&refresh_token=hunter2",
            200,
            &[],
            r#"{"access_token":"T2"}"#,
        ),
        exchange("HEAD /v2/app/manifests/v2", "Bearer T2", 404, &[], ""),
        // The list has its own token still.
        exchange("GET /v2/app/tags/list?n=1000", "Bearer T1", 200, &[], r#"{"name":"app","tags":["v3"]}"#),
    ];
    let (server, registries) = (play(AZURE).await, registries());
    let entry =
        r#"{"auth":"MDAwMDAwMDAtMDAwMC0wMDAwLTAwMDAtMDAwMDAwMDAwMDAwOg==","identitytoken":"hunter2"}"#;
    let access = server.place_with("app", entry);
    assert_eq!(tags(&registries, &access).await.unwrap(), ["v1", "v2"]);
    check(&registries.digest(&access, "v2", Duration::ZERO, LONG).await.unwrap_err(), "NoSuchTag", &["v2"]);
    assert_eq!(tags(&registries, &access).await.unwrap(), ["v3"]);
    assert_eq!(server.lines().len(), AZURE.len());
}

#[tokio::test]
async fn nexus_shouts_and_offers_two_logins() {
    static NEXUS: &[Exchange] = &[
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "",
            401,
            &[
                (CHALLENGE, r#"BASIC realm="Sonatype Nexus Repository Manager""#),
                (CHALLENGE, r#"Bearer realm="http://HOST/v2/token",service="nexus""#),
            ],
            "",
        ),
        exchange(
            "GET /v2/token?service=nexus&scope=repository%3Aapp%3Apull",
            BASIC,
            200,
            &[],
            r#"{"token":"DockerToken.1"}"#,
        ),
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "Bearer DockerToken.1",
            200,
            &[],
            r#"{"name":"app","tags":["1"]}"#,
        ),
    ];
    static ANYBODY: &[Exchange] = &[
        exchange("GET /v2/app/tags/list?n=1000", "", 401, &[(CHALLENGE, r#"Bearer realm="/v2/token""#)], ""),
        exchange("GET /v2/token?scope=repository%3Aapp%3Apull", "", 200, &[], r#"{"token":"DockerToken.1"}"#),
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "Bearer DockerToken.1",
            200,
            &[],
            r#"{"name":"app","tags":["1"]}"#,
        ),
    ];
    check_tags("app", ALICE, NEXUS, &["1"]).await;
    check_tags("app", ANONYMOUS, ANYBODY, &["1"]).await;
}

#[tokio::test]
async fn zot_and_the_plain_registry_need_nothing() {
    static ZOT: &[Exchange] =
        &[exchange("GET /v2/app/tags/list?n=1000", "", 200, &[], r#"{"name":"app","tags":["1","2"]}"#)];
    static GONE: &[Exchange] = &[exchange(
        "GET /v2/app/tags/list?n=1000",
        "",
        404,
        &[],
        r#"{"errors":[{"code":"NAME_UNKNOWN","message":"repository name not known to registry","detail":{"name":"app"}}]}"#,
    )];
    check_tags("app", ALICE, ZOT, &["1", "2"]).await;
    check_error("app", ANONYMOUS, GONE, "NoSuchRepository", &["NAME_UNKNOWN"]).await;
}

#[tokio::test]
async fn a_login_that_is_refused_is_asked_for_once() {
    static BASIC_REFUSED: &[Exchange] = &[
        exchange("GET /v2/app/tags/list?n=1000", "", 401, &[(CHALLENGE, "Basic realm=x")], ""),
        exchange("GET /v2/app/tags/list?n=1000", BASIC, 401, &[(CHALLENGE, "Basic realm=x")], ""),
    ];
    static TOKEN_REFUSED: &[Exchange] = &[
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "",
            401,
            &[(CHALLENGE, r#"Bearer realm="/t",scope="*""#)],
            "",
        ),
        exchange("GET /t?scope=*", BASIC, 401, &[], r#"{"details":"incorrect hunter2"}"#),
    ];
    static NO_TOKEN: &[Exchange] = &[
        exchange(
            "GET /v2/app/tags/list?n=1000",
            "",
            401,
            &[(CHALLENGE, r#"Bearer realm="/t",scope="*""#)],
            "",
        ),
        exchange("GET /t?scope=*", BASIC, 200, &[], r#"{"token":""}"#),
    ];
    static FIXED: &[Exchange] = &[exchange(
        "GET /v2/app/tags/list?n=1000",
        "Bearer hunter2",
        401,
        &[(CHALLENGE, "Basic realm=x")],
        "",
    )];
    static FIXED_BEARER: &[Exchange] = &[exchange(
        "GET /v2/app/tags/list?n=1000",
        "Bearer hunter2",
        401,
        &[(CHALLENGE, r#"Bearer realm="/t""#)],
        "",
    )];
    static UNKNOWN: &[Exchange] =
        &[exchange("GET /v2/app/tags/list?n=1000", "", 401, &[(CHALLENGE, "Negotiate")], "")];
    static BAD_REALM: &[Exchange] = &[exchange(
        "GET /v2/app/tags/list?n=1000",
        "",
        401,
        &[(CHALLENGE, r#"Bearer realm="mailto:a""#)],
        "",
    )];
    check_error("app", ALICE, BASIC_REFUSED, "LoginRefused", &["401"]).await;
    check_error("app", ALICE, TOKEN_REFUSED, "LoginRefused", &["401"]).await;
    check_error("app", ALICE, NO_TOKEN, "BadAnswer", &["token server returned no token"]).await;
    check_error("app", r#"{"registrytoken":"hunter2"}"#, FIXED, "LoginRefused", &["401"]).await;
    check_error("app", r#"{"registrytoken":"hunter2"}"#, FIXED_BEARER, "LoginRefused", &["401"]).await;
    check_error("app", ALICE, UNKNOWN, "LoginRefused", &["401"]).await;
    check_error("app", ALICE, BAD_REALM, "BadAnswer", &["has no realm"]).await;
}

#[tokio::test]
async fn a_token_that_ended_is_had_anew() {
    static LIST: &str = r#"{"name":"app","tags":["1"]}"#;
    static CHALLENGED: &[(&str, &str)] = &[(CHALLENGE, r#"Bearer realm="/t",scope="repository:app:pull""#)];
    static TOKENS: &[Exchange] = &[
        exchange("GET /v2/app/tags/list?n=1000", "", 401, CHALLENGED, ""),
        exchange("GET /t?scope=repository%3Aapp%3Apull", BASIC, 200, &[], r#"{"token":"T1","expires_in":3}"#),
        exchange("GET /v2/app/tags/list?n=1000", "Bearer T1", 200, &[], LIST),
        // It ended by its own words: no challenge is needed.
        exchange(
            "GET /t?scope=repository%3Aapp%3Apull",
            BASIC,
            200,
            &[],
            r#"{"token":"T2","expires_in":300}"#,
        ),
        exchange("GET /v2/app/tags/list?n=1000", "Bearer T2", 200, &[], LIST),
        // It is taken back.
        exchange("GET /v2/app/tags/list?n=1000", "Bearer T2", 401, CHALLENGED, ""),
        exchange(
            "GET /t?scope=repository%3Aapp%3Apull",
            BASIC,
            200,
            &[],
            r#"{"token":"T3","expires_in":300}"#,
        ),
        exchange("GET /v2/app/tags/list?n=1000", "Bearer T3", 200, &[], LIST),
        // Another repository of the host: the challenge is known.
        exchange("GET /t?scope=repository%3Aother%3Apull", BASIC, 200, &[], r#"{"token":"T4"}"#),
        exchange("GET /v2/other/tags/list?n=1000", "Bearer T4", 200, &[], LIST),
        exchange("GET /v2/app/tags/list?n=1000", "Bearer T3", 200, &[], LIST),
    ];
    let (server, registries) = (play(TOKENS).await, registries());
    for path in ["app", "app", "app", "other", "app"] {
        assert_eq!(tags(&registries, &server.place_with(path, ALICE)).await.unwrap(), ["1"]);
    }
    assert_eq!(server.lines().len(), TOKENS.len());
}

#[tokio::test]
async fn tokens_may_be_at_another_host() {
    let tokens = Server::start(|seen| match seen.authorization.as_str() {
        BASIC => ok(r#"{"token":"T"}"#),
        _ => reply(401),
    })
    .await;
    let realm = format!("Bearer realm=\"http://{}/token\"", tokens.other_name());
    let server = Server::start(move |seen| match seen.authorization.as_str() {
        "Bearer T" => ok(r#"{"tags":["1"]}"#),
        _ => reply(401).header(CHALLENGE, realm.clone()),
    })
    .await;
    assert_eq!(tags(&registries(), &server.place_with("app", ALICE)).await.unwrap(), ["1"]);
}
