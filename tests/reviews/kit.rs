//! What the tests of reviews share: a repository with a Sync and a Repository, pull requests, and what people write in them.

use anyhow::{Context as _, bail};
use holdfast_tests::forge::{PASSWORD, Repository, USER};
use holdfast_tests::shared::{SOON, Shared, config_map};
use holdfast_tests::{eventually, sync};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::OnceCell;

/// The arguments of the shared agent.
pub const AGENT: &[&str] = &["--allow-remote-bases"];
/// Opens pull requests, and is the user of Holdfast's token.
pub const ALICE: &str = USER;
/// May approve.
pub const BOB: &str = "bob";

/// May write to the repositories, and approve nothing.
pub const CAROL: &str = "carol";

static PEOPLE: OnceCell<()> = OnceCell::const_new();

/// What a test wants of its resources.
pub struct Wish {
    pub approval: &'static str,
    /// More of the spec of the Sync.
    pub sync: Value,
    /// More of `spec.pullRequests` of the Repository.
    pub pulls: Value,
    /// More of the spec of the Repository.
    pub repository: Value,
}

impl Default for Wish {
    fn default() -> Self {
        Self { approval: "Never", sync: json!({}), pulls: json!({}), repository: json!({}) }
    }
}

/// One test's repository.
pub struct Room {
    pub shared: &'static Shared,
    pub namespace: &'static str,
    pub git: Repository,
}

impl Room {
    /// A namespace with the Sync `app` of ConfigMaps with these values, and the Repository `config`.
    pub async fn set(
        shared: &'static Shared,
        namespace: &'static str,
        maps: &[(&str, &str)],
        wish: &Wish,
    ) -> anyhow::Result<Self> {
        let forge = &shared.env.forge;
        PEOPLE.get_or_try_init(|| async {
            for name in [BOB, CAROL] {
                let email = format!("{name}@example.com");
                let user = json!({"username": name, "password": PASSWORD, "email": email, "must_change_password": false});
                forge.api(Method::POST, "admin/users", &user).await?;
            }
            anyhow::Ok(())
        }).await?;
        let files: Vec<(String, String)> =
            maps.iter().map(|(name, value)| (format!("{name}.yaml"), config_map(name, value))).collect();
        let files: Vec<(&str, &str)> =
            files.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
        let mut more = json!({"approval": wish.approval});
        sync::merge(&mut more, &wish.sync);
        let git = shared.begin(namespace, &files, &more).await?;
        let room = Self { shared, namespace, git };
        for name in [BOB, CAROL] {
            room.call(Method::PUT, &format!("collaborators/{name}"), &json!({"permission": "write"})).await?;
        }
        let scopes = ["write:repository", "write:issue", "read:user"];
        let token = json!({"name": namespace, "scopes": scopes});
        let token = forge.api(Method::POST, &format!("users/{USER}/tokens"), &token).await?;
        let token = token["sha1"].as_str().context("the forge gave no token")?.to_owned();
        let cluster = &shared.env.cluster;
        let secret = sync::secret(namespace, "forge", &[("token", &token), ("ca.crt", forge.ca())]);
        cluster.apply(&secret).await?;
        let user = |name: &str| json!({"forge": name, "kubernetes": format!("{name}@example.com")});
        let mut pulls = json!({"approvals": {"users": [user(ALICE), user(BOB)]}});
        sync::merge(&mut pulls, &wish.pulls);
        let mut repository = json!({"apiVersion": "holdfast.dev/v1alpha1", "kind": "Repository",
            "metadata": {"name": "config", "namespace": namespace},
            "spec": {"url": room.git.https_url, "provider": "Gitea", "secretRef": {"name": "forge"},
                "interval": "5s", "pullRequests": pulls}});
        sync::merge(&mut repository["spec"], &wish.repository);
        cluster.apply(&repository.to_string()).await?;
        let role = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role",
            "metadata": {"name": "approver", "namespace": namespace},
            "rules": [{"apiGroups": ["holdfast.dev"], "resources": ["approvals"], "verbs": ["create"]}]});
        cluster.apply(&role.to_string()).await?;
        let subject = |name: &str| json!({"kind": "User", "name": format!("{name}@example.com"), "apiGroup": "rbac.authorization.k8s.io"});
        let binding = json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding",
            "metadata": {"name": "approver", "namespace": namespace},
            "roleRef": {"kind": "Role", "name": "approver", "apiGroup": "rbac.authorization.k8s.io"},
            "subjects": [subject(ALICE), subject(BOB)]});
        cluster.apply(&binding.to_string()).await?;
        Ok(room)
    }

    /// `alice/NAME`
    pub fn path_at_forge(&self) -> String {
        format!("{USER}/{}", self.git.name)
    }

    /// Commits files on a new branch off `main`, and pushes it by force. `None` removes a file. Returns the commit.
    pub fn branch(&self, name: &str, files: &[(&str, Option<&str>)]) -> anyhow::Result<String> {
        self.git.git(&["checkout", "--quiet", "-B", name, "main"])?;
        for (path, content) in files {
            match content {
                Some(content) => std::fs::write(self.git.clone.join(path), content)?,
                None => std::fs::remove_file(self.git.clone.join(path))?,
            }
        }
        self.git.git(&["add", "--all"])?;
        self.git.git(&["commit", "--quiet", "-m", name])?;
        self.git.push(name)?;
        let head = self.git.git(&["rev-parse", "HEAD"])?.trim().to_owned();
        self.git.git(&["checkout", "--quiet", "main"])?;
        Ok(head)
    }

    /// Calls the API of the forge at a path below the repository.
    pub async fn call(&self, method: Method, rest: &str, body: &Value) -> anyhow::Result<Value> {
        let path = format!("repos/{}/{rest}", self.path_at_forge());
        let path = path.trim_end_matches('/');
        self.shared.env.forge.api(method, path, body).await
    }

    /// Opens a pull request of a branch; its number.
    pub async fn open(&self, head: &str, title: &str) -> anyhow::Result<i64> {
        let body = json!({"head": head, "base": "main", "title": title});
        let pull = self.call(Method::POST, "pulls", &body).await?;
        pull["number"].as_i64().context("a pull request has a number")
    }

    /// Opens a pull request of a fork; its number.
    pub async fn fork(&self, user: &str, files: &[(&str, Option<&str>)]) -> anyhow::Result<i64> {
        self.call(Method::POST, &format!("forks?sudo={user}"), &json!({})).await?;
        self.branch("fork", files)?;
        let url = self.git.push_url.replace(&format!("/{USER}/"), &format!("/{user}/"));
        self.git.git(&["push", "--quiet", "--force", &url, "fork:refs/heads/fork"])?;
        self.call(Method::DELETE, "branches/fork", &Value::Null).await?;
        self.open(&format!("{user}:fork"), "Of a fork").await
    }

    /// Gives a pull request a label.
    pub async fn label(&self, number: i64, name: &str) -> anyhow::Result<()> {
        let label = self.call(Method::POST, "labels", &json!({"name": name, "color": "#00ff00"})).await?;
        let labels = json!({"labels": [label["id"]]});
        self.call(Method::POST, &format!("issues/{number}/labels"), &labels).await.map(drop)
    }

    /// Writes a comment as a user.
    pub async fn comment(&self, number: i64, user: &str, text: &str) -> anyhow::Result<()> {
        let path = format!("issues/{number}/comments?sudo={user}");
        self.call(Method::POST, &path, &json!({"body": text})).await.map(drop)
    }

    /// The comments of Holdfast.
    pub async fn ours(&self, number: i64) -> anyhow::Result<Vec<Value>> {
        let all = self.call(Method::GET, &format!("issues/{number}/comments"), &Value::Null).await?;
        let is_ours = |comment: &&Value| {
            comment["body"].as_str().is_some_and(|text| text.starts_with("<!-- holdfast.dev/"))
        };
        Ok(all.as_array().into_iter().flatten().filter(is_ours).cloned().collect())
    }

    /// Waits until the comment of Holdfast has a text; all of it.
    pub async fn says(&self, number: i64, part: &str) -> anyhow::Result<String> {
        let mut found = String::new();
        eventually(SOON, &format!("the comment in #{number} to say {part}"), || async {
            let ours = self.ours(number).await?;
            let text = ours.first().and_then(|comment| comment["body"].as_str()).unwrap_or_default();
            if !text.contains(part) {
                bail!("{text}\n{}", self.path("{.status}").await?);
            }
            Ok(true)
        })
        .await?;
        if let Some(text) = self.ours(number).await?[0]["body"].as_str() {
            text.clone_into(&mut found);
        }
        Ok(found)
    }

    /// The status of Holdfast on a commit.
    pub async fn status(&self, commit: &str) -> anyhow::Result<Value> {
        let all = self.call(Method::GET, &format!("commits/{commit}/statuses"), &Value::Null).await?;
        Ok(all.get(0).cloned().unwrap_or_default())
    }

    /// Waits until the status of a commit is this; all of it.
    pub async fn until_status(&self, commit: &str, state: &str) -> anyhow::Result<Value> {
        eventually(SOON, &format!("the status of {commit} to be {state}"), || async {
            let status = self.status(commit).await?;
            if status["status"] != state {
                bail!("{status}\n{}", self.path("{.status}").await?);
            }
            Ok(true)
        })
        .await?;
        self.status(commit).await
    }

    /// Merges a pull request and deletes its branch; the commit that the base got.
    pub async fn merge(&self, number: i64) -> anyhow::Result<String> {
        let wish = json!({"Do": "merge", "delete_branch_after_merge": true});
        eventually(SOON, "the forge to merge", || async {
            self.call(Method::POST, &format!("pulls/{number}/merge"), &wish).await?;
            Ok(true)
        })
        .await?;
        let pull = self.call(Method::GET, &format!("pulls/{number}"), &Value::Null).await?;
        Ok(pull["merge_commit_sha"].as_str().context("it is merged")?.to_owned())
    }

    /// A path of the Repository.
    pub async fn path(&self, path: &str) -> anyhow::Result<String> {
        self.shared.jsonpath(self.namespace, "repository/config", path).await
    }

    /// The id of the plan of the first pull request. The status has it a moment after the comment.
    pub async fn plan(&self) -> anyhow::Result<String> {
        let path = "{.status.pullRequests[0].plans[0].id}";
        eventually(SOON, "the id of the plan", || async { Ok(!self.path(path).await?.is_empty()) }).await?;
        self.path(path).await
    }

    /// Waits until the status lists a pull request in a state.
    pub async fn state(&self, number: i64, state: &str) -> anyhow::Result<()> {
        let path = format!("{{.status.pullRequests[?(@.number=={number})].state}}");
        eventually(SOON, &format!("#{number} to be {state}"), || async {
            let found = self.path(&path).await?;
            if found != state {
                bail!("it is {found}: {}", self.path("{.status}").await?);
            }
            Ok(true)
        })
        .await
    }

    /// The Approvals of the namespace.
    pub async fn approvals(&self) -> anyhow::Result<Vec<Value>> {
        let text =
            self.shared.env.cluster.must(&["-n", self.namespace, "get", "approvals", "-o", "json"]).await?;
        let all: Value = serde_json::from_str(&text)?;
        Ok(all["items"].as_array().cloned().unwrap_or_default())
    }
}
