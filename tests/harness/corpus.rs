//! A repository of kustomizations shaped like real ones: applications with a base, components, and overlays for three
//! environments, that hold 5 to 200 objects. The same seed gives the same bytes.
//!
//! The objects are templates in `tests/data/corpus`. Pure, beside [`write`]. I/O: disk writes.

mod overlay;
mod template;

use std::fmt::Write as _;
use std::path::Path;

use crate::random::Random;
use template::fill;

/// What a workload is made of, the first one always; how often the others are there, once in so many.
const PARTS: [(&str, &str, usize); 11] = [
    ("serviceaccount", include_str!("../data/corpus/serviceaccount.yaml"), 1),
    ("service", include_str!("../data/corpus/service.yaml"), 1),
    ("ingress", include_str!("../data/corpus/ingress.yaml"), 3),
    ("autoscaler", include_str!("../data/corpus/autoscaler.yaml"), 2),
    ("budget", include_str!("../data/corpus/budget.yaml"), 2),
    ("networkpolicy", include_str!("../data/corpus/networkpolicy.yaml"), 2),
    ("role", include_str!("../data/corpus/role.yaml"), 4),
    ("rolebinding", include_str!("../data/corpus/rolebinding.yaml"), 4),
    ("clusterrole", include_str!("../data/corpus/clusterrole.yaml"), 10),
    ("configmap", include_str!("../data/corpus/configmap.yaml"), 3),
    ("rule", include_str!("../data/corpus/rule.yaml"), 5),
];
const DEPLOYMENT: &str = include_str!("../data/corpus/deployment.yaml");
const OTHERS: [&str; 2] =
    [include_str!("../data/corpus/statefulset.yaml"), include_str!("../data/corpus/cronjob.yaml")];
const DEFINITION: &str = include_str!("../data/corpus/definition.part");

/// A file: its path in the repository, and its text.
pub type File = (String, String);

/// An application.
pub struct App {
    pub files: Vec<File>,
    /// The folders that are built.
    pub overlays: Vec<String>,
    /// Objects in its base.
    pub objects: usize,
}

/// The application of a number.
pub fn app(seed: u64, number: usize) -> App {
    let mut random = Random::new(seed ^ (number as u64).wrapping_mul(0x9E37_79B9));
    let wanted = size(&mut random);
    let root = format!("apps/app-{number}");
    let base = Base::new(&format!("{root}/base"), wanted, &mut random);
    let mut app = App { files: Vec::new(), overlays: Vec::new(), objects: base.objects };
    overlay::add(&mut app, &root, &base, &mut random);
    app.files.extend(base.files);
    app
}

/// Applications that hold so many folders to build; the paths of these.
pub fn write(root: &Path, seed: u64, folders: usize) -> std::io::Result<Vec<String>> {
    let mut all = Vec::new();
    for number in 0.. {
        let App { files, overlays, .. } = app(seed, number);
        put(root, &files)?;
        all.extend(overlays);
        if all.len() >= folders {
            break;
        }
    }
    all.truncate(folders);
    Ok(all)
}

/// Writes files below a folder.
pub fn put(root: &Path, files: &[File]) -> std::io::Result<()> {
    for (path, text) in files {
        let path = root.join(path);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(path, text)?;
    }
    Ok(())
}

/// A CustomResourceDefinition whose schema has so many fields, each about 1,200 bytes.
pub fn definition(name: &str, fields: usize) -> String {
    fill(&DEFINITION.replace("<fields>", &fields.to_string()), name, &mut Random::new(0))
}

/// Objects of an application: few in most, up to 200 in some.
fn size(random: &mut Random) -> usize {
    let limit = random.pick(&[10, 10, 20, 40, 80, 200]).copied().unwrap_or(10);
    random.between(5, limit)
}

/// The base of an application.
struct Base {
    files: Vec<File>,
    objects: usize,
    /// The names of its Deployments.
    deployments: Vec<String>,
}

impl Base {
    fn new(folder: &str, wanted: usize, random: &mut Random) -> Self {
        let mut base = Self { files: Vec::new(), objects: 2, deployments: Vec::new() };
        let mut resources = Vec::new();
        let one_file = random.one_in(2);
        for at in 0.. {
            let name = if at == 0 { "web".to_owned() } else { format!("worker-{at}") };
            let parts = base.workload(&name, wanted, random);
            let files: Vec<File> = if one_file {
                let texts: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
                vec![(format!("{name}.yaml"), texts.join("---\n"))]
            } else {
                parts.into_iter().map(|(part, text)| (format!("{name}/{part}.yaml"), text)).collect()
            };
            for (file, text) in files {
                base.files.push((format!("{folder}/{file}"), text));
                resources.push(file);
            }
            if base.objects >= wanted {
                break;
            }
        }
        if random.one_in(12) {
            base.files.push((format!("{folder}/crds.yaml"), definition("Rule", random.between(3, 60))));
            base.objects += 1;
            resources.push("crds.yaml".to_owned());
        }
        base.files.push((format!("{folder}/settings.properties"), "colour=blue\nsize=12\n".to_owned()));
        base.files.push((format!("{folder}/credentials.env"), "password=letmein\nuser=app\n".to_owned()));
        base.files.push((format!("{folder}/kustomization.yaml"), kustomization(&resources, random)));
        base
    }

    /// The objects of a workload, not more than are wanted in all.
    fn workload(&mut self, name: &str, wanted: usize, random: &mut Random) -> Vec<(&'static str, String)> {
        let other = random.pick(&OTHERS).copied().filter(|_| name != "web" && random.one_in(4));
        if other.is_none() {
            self.deployments.push(name.to_owned());
        }
        let mut parts = vec![("workload", fill(other.unwrap_or(DEPLOYMENT), name, random))];
        self.objects += 1;
        for (part, template, times) in PARTS {
            if self.objects < wanted && random.one_in(times) {
                let text = fill(template, name, random);
                self.objects += 1 + text.matches("\n---\n").count();
                parts.push((part, text));
            }
        }
        parts
    }
}

/// The kustomization of a base.
fn kustomization(resources: &[String], random: &mut Random) -> String {
    let mut text = "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n".to_owned();
    text += if random.one_in(3) {
        "commonLabels:\n  app.kubernetes.io/part-of: shop\n"
    } else {
        "labels:\n- pairs:\n    app.kubernetes.io/part-of: shop\n    app.kubernetes.io/managed-by: kustomize\n  \
         includeTemplates: true\n"
    };
    text += "resources:\n";
    for resource in resources {
        let _ = writeln!(text, "- {resource}");
    }
    text += "configMapGenerator:\n- name: settings\n  files:\n  - settings.properties\n  literals:\n  - LOG_LEVEL=info\n  \
             - \"GREETING=hello, world\"\nsecretGenerator:\n- name: credentials\n  envs: [credentials.env]\n";
    if random.one_in(5) {
        text += "generatorOptions:\n  disableNameSuffixHash: true\n  labels: {generated: \"yes\"}\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::app;

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(app(7, 3).files, app(7, 3).files);
        assert_ne!(app(7, 3).files, app(8, 3).files);
    }

    #[test]
    fn applications_are_small_and_large() {
        let sizes: Vec<usize> = (0..300).map(|number| app(1, number).objects).collect();
        assert!(sizes.iter().all(|size| (3..=205).contains(size)), "{sizes:?}");
        assert!(sizes.iter().any(|size| *size > 150));
        assert!(sizes.iter().filter(|size| **size <= 20).count() > 100);
    }
}
