//! Prepares each image of an ImageUpdate: the access to its registry, and the selector of its policy.
//!
//! I/O: reads Secrets, which are watched.

use std::sync::Arc;

use holdfast_diff::image::edit::{ImagePart, Target};
use holdfast_diff::image::select::{Filter, Order, Policy, Rule, Selector};

use super::Pass;
use crate::api::{
    self, FilterTags, Image, ImagePolicy, InputKind, NewestPolicy, OrderPolicy, SecretRef, SemverPolicy,
    UpdateGit,
};
use crate::cluster::secrets::Name;
use crate::reconcile::services::Services;
use crate::registry::{Access, Login, Repository};
use crate::report::Failure;
use crate::secret_data::{Data, SecretData};
use crate::subject::Subject;

/// An image that is scanned.
pub struct Watched {
    pub image: Image,
    pub selector: Selector,
    pub place: Access,
}

/// Returns the Secret with the credentials for Git: the configured one, or that of a Sync of the namespace with the
/// same URL.
pub fn login(services: &Services, owner: &Subject, git: &UpdateGit) -> Option<SecretRef> {
    let of_a_sync = || {
        let mut syncs = services.cluster.syncs.state();
        syncs.retain(|sync| {
            sync.metadata.namespace.as_deref() == Some(owner.namespace.as_str())
                && sync.spec.source.git.url == git.url
        });
        syncs.sort_by(|one, other| one.metadata.name.cmp(&other.metadata.name));
        syncs.iter().find_map(|sync| sync.spec.source.git.secret_ref.clone())
    };
    git.secret_ref.clone().or_else(of_a_sync)
}

/// Returns the names of the Secrets that an ImageUpdate refers to.
pub fn names(services: &Services, owner: &Subject, update: &api::ImageUpdateSpec) -> Vec<Name> {
    let images = update.images.iter();
    let of_images = images.flat_map(|image| image.secret_ref.iter().chain(&image.cert_secret_ref));
    let signing = update.commit.iter().filter_map(|commit| commit.signing.as_ref());
    let forge = update.pull_request.iter().filter_map(|request| request.secret_ref.as_ref());
    let git = login(services, owner, &update.git);
    let hook = update.webhook.iter().map(|hook| &hook.secret_ref);
    let all =
        of_images.chain(&git).chain(signing.map(|signing| &signing.secret_ref)).chain(forge).chain(hook);
    all.map(|secret| (InputKind::Secret, secret.name.clone())).collect()
}

/// Prepares an image.
pub async fn watched(pass: &Pass<'_>, image: &Image) -> Result<Watched, Failure> {
    let invalid =
        |reason, said: String| Failure::user("select", reason, format!("image {}: {said}", image.name));
    let selector =
        Selector::new(&policy(image)).map_err(|error| invalid("PolicyInvalid", error.to_string()))?;
    let parse =
        |text: &str| Repository::parse(text).map_err(|error| invalid("RepositoryInvalid", error.to_string()));
    let mirrors = image.mirrors.iter().map(|mirror| parse(mirror)).collect::<Result<Vec<_>, _>>()?;
    let tenant = pass.owner.namespace.as_str().into();
    let mut place =
        Access { mirrors, insecure: image.insecure, tenant, ..Access::of(parse(&image.repository)?) };
    let login = read(pass, image.secret_ref.as_ref()).await?;
    let unfit = |secret: &Option<api::SecretRef>, said: String| {
        let name = secret.as_ref().map(|secret| secret.name.clone()).unwrap_or_default();
        invalid("SecretUnreadable", format!("Secret {name}: {said}"))
    };
    if let Some(data) = login {
        let login = Login::from_secret(&data).map_err(|error| unfit(&image.secret_ref, error.to_string()))?;
        place.login = Some(Arc::new(login));
    }
    if let Some(data) = read(pass, image.cert_secret_ref.as_ref()).await? {
        let certificates = SecretData::of(&data).certificates();
        let certificates = certificates.map_err(|error| unfit(&image.cert_secret_ref, error.to_string()))?;
        place.certificates = Some(Arc::new(certificates));
    }
    Ok(Watched { image: image.clone(), selector, place })
}

/// Returns the data of a Secret in the namespace of the ImageUpdate.
pub async fn read(pass: &Pass<'_>, secret: Option<&api::SecretRef>) -> Result<Option<Arc<Data>>, Failure> {
    let Some(secret) = secret else { return Ok(None) };
    let data = pass.services.secrets.read(pass.owner, &secret.name).await;
    data.map(Some).map_err(|error| Failure::user("scan", "SecretUnreadable", error.to_string()))
}

fn policy(image: &Image) -> Policy {
    let ImagePolicy { semver, alphabetical, numerical, newest } = &image.policy;
    let order = |order: &OrderPolicy| match order.order {
        api::Order::Ascending => Order::Ascending,
        api::Order::Descending => Order::Descending,
    };
    let rule = if let Some(SemverPolicy { range }) = semver {
        Rule::Semver(range.clone())
    } else if let Some(by) = alphabetical {
        Rule::Alphabetical(order(by))
    } else if let Some(by) = numerical {
        Rule::Numerical(order(by))
    } else {
        let NewestPolicy { group } = newest.clone().unwrap_or_default();
        Rule::Newest { group }
    };
    let filter = image.filter_tags.clone().map(|FilterTags { pattern, extract }| Filter { pattern, extract });
    Policy { filter, exclude: image.exclude.clone(), rule }
}

/// Describes the policy: `semver >=1.0.0 <2`.
pub fn in_words(ImagePolicy { semver, alphabetical, numerical, newest }: &ImagePolicy) -> String {
    let order = |OrderPolicy { order }: &OrderPolicy| match order {
        api::Order::Ascending => "ascending",
        api::Order::Descending => "descending",
    };
    semver
        .as_ref()
        .map(|SemverPolicy { range }| format!("semver {range}"))
        .or(alphabetical.as_ref().map(|by| format!("alphabetical, {}", order(by))))
        .or(numerical.as_ref().map(|by| format!("numerical, {}", order(by))))
        .or(newest.as_ref().map(|NewestPolicy { group }| match group {
            Some(group) => format!("newest by {group}"),
            None => "newest".to_owned(),
        }))
        .unwrap_or_default()
}

/// Returns the targets of an image; files are relative to the root of the repository. A target without a
/// file is refused by the schema.
pub fn targets(image: &Image, place: impl Fn(&str) -> Option<String>) -> Result<Vec<Target>, String> {
    let within =
        |file: &String| place(file).ok_or_else(|| format!("the target {file} leads out of git.path"));
    let mut all = Vec::new();
    for target in &image.targets {
        let api::Target { file, kustomization, helm_values, path, document, part, name } = target;
        let path = path.clone().unwrap_or_default();
        if let Some(file) = file {
            let document = document.map_or(0, |document| document as usize);
            let part = self::part(part.unwrap_or_default());
            all.push(Target::File { file: within(file)?, document, path: path.clone(), part });
        }
        if let Some(file) = kustomization {
            all.push(Target::Kustomization { file: within(file)?, name: name.clone() });
        }
        if let Some(file) = helm_values {
            all.push(Target::HelmValues { file: within(file)?, path });
        }
    }
    Ok(all)
}

fn part(part: api::ImagePart) -> ImagePart {
    match part {
        api::ImagePart::Image => ImagePart::Image,
        api::ImagePart::Name => ImagePart::Name,
        api::ImagePart::Tag => ImagePart::Tag,
        api::ImagePart::Digest => ImagePart::Digest,
    }
}
