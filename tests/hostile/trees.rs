//! Git objects that no git client writes: any bytes as a tree, under any name. Servers that do not check what is pushed
//! take them. I/O: disk, `git`.

use anyhow::Context as _;
use holdfast_tests::forge::Repository;
use holdfast_tests::objects::{Objects, commit, tree};

/// The clone of a repository at the forge, in which git writes objects as they are.
pub struct Pushed<'a>(pub &'a Repository);

impl Objects for Pushed<'_> {
    fn put(&self, kind: &str, bytes: &[u8]) -> anyhow::Result<String> {
        let file = self.0.clone.join(".git/object");
        std::fs::write(&file, bytes)?;
        let file = file.to_str().context("a path is text")?;
        Ok(self.0.git(&["hash-object", "-w", "-t", kind, "--literally", file])?.trim().to_owned())
    }
}

/// A chart in the folder `chart`, with an entry of any name among its templates, and a ConfigMap in the folder `good`.
pub fn chart(objects: &dyn Objects, mode: &str, name: &[u8], content: &str) -> anyhow::Result<String> {
    let blob = |text: &str| objects.put("blob", text.as_bytes());
    let bad = match mode {
        "40000" => tree(objects, &[("100644", b"x.yaml", &blob(content)?)])?,
        _ => blob(content)?,
    };
    let templates = tree(objects, &[(mode, name, &bad)])?;
    let about = blob("apiVersion: v2\nname: evil\nversion: 1.0.0\n")?;
    let chart = tree(objects, &[("100644", b"Chart.yaml", &about), ("40000", b"templates", &templates)])?;
    let good = tree(objects, &[("100644", b"a.yaml", &blob(GOOD)?)])?;
    let root = tree(objects, &[("40000", b"chart", &chart), ("40000", b"good", &good)])?;
    commit(objects, &root)
}

/// What stands in the folder `good`.
const GOOD: &str = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n";

/// Folders inside of one another, each holding the next one several times: few objects, `width ^ depth` paths.
pub fn nested(objects: &dyn Objects, depth: usize, width: usize) -> anyhow::Result<String> {
    let leaf = objects.put("blob", GOOD.as_bytes())?;
    let mut below = tree(objects, &[("100644", b"a.yaml", &leaf)])?;
    let names: Vec<String> = (0..width).map(|number| format!("f{number:05}")).collect();
    for _ in 0..depth {
        let entries: Vec<(&str, &[u8], &str)> =
            names.iter().map(|name| ("40000", name.as_bytes(), below.as_str())).collect();
        below = tree(objects, &entries)?;
    }
    commit(objects, &below)
}
