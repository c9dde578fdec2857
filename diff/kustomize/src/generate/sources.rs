//! The data of a generated ConfigMap or Secret: files of `KEY=value` lines, literals, and whole files.
//!
//! A line without `=` is an empty value: kustomize 5 does not read the environment. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::GeneratorArgs;
use crate::error::KustomizeError;
use crate::loader::Loader;
use holdfast_documents::budget::Resource as Taken;
use holdfast_documents::object::Origin;
use holdfast_documents::weight;

/// Maximum length of a line, with its line break, that kustomize reads: it stops there.
const LONGEST: usize = 65_536;

type Pairs = Vec<(String, Vec<u8>)>;

/// Returns the data by key, without duplicates.
pub(super) fn read(
    args: &GeneratorArgs,
    loader: &Loader,
    origin: &Origin,
) -> Result<BTreeMap<String, Vec<u8>>, KustomizeError> {
    let error = |message: String| KustomizeError::at(origin, message);
    let mut data = BTreeMap::new();
    // Added one by one, so that duplicates do not accumulate.
    let mut add = |(key, value): (String, Vec<u8>)| {
        if data.contains_key(&key) {
            return Err(error(format!(
                "the key `{key}` of `{}` is duplicated: remove one of the two",
                args.name
            )));
        }
        data.insert(key, value);
        Ok(())
    };
    for path in &args.envs {
        let lines = load(path, loader, origin)?;
        let pairs = env_lines(path, &lines, loader).map_err(error)?;
        let beside = pairs.len().saturating_mul(weight::VALUE);
        loader.spend(Taken::Generated, beside).map_err(|error| error.or_at(origin))?;
        pairs.into_iter().try_for_each(&mut add)?;
    }
    for literal in &args.literals {
        add(parse_literal(literal).map_err(error)?)?;
    }
    for source in &args.files {
        let (key, path) = parse_file(source).map_err(error)?;
        let content = load(path, loader, origin)?;
        add((key.to_owned(), content.to_vec()))?;
    }
    Ok(data)
}

/// Reads a file whose content becomes a part of the generated object.
fn load(path: &str, loader: &Loader, origin: &Origin) -> Result<Arc<[u8]>, KustomizeError> {
    let content = loader.load(path).map_err(|error| error.or_at(origin))?;
    loader.spend(Taken::Generated, content.len()).map_err(|error| error.or_at(origin))?;
    Ok(content)
}

fn env_lines(path: &str, text: &[u8], loader: &Loader) -> Result<Pairs, String> {
    let mut pairs = Pairs::new();
    for (at, line) in text.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if line.len() > LONGEST || (line.len() == LONGEST && !line.ends_with(b"\n")) {
            let number = at + 1;
            loader.warn(format!(
                "{path}:{number}: the line is longer than {LONGEST} bytes, at which kustomize stops reading: \
                 nothing from here on is in the data"
            ));
            break;
        }
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let line = str::from_utf8(line).map_err(|_| format!("{path}:{}: the line is not UTF-8", at + 1))?;
        let line = if at == 0 { line.strip_prefix('\u{FEFF}').unwrap_or(line) } else { line };
        let line = line.trim_start();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, value) = line.split_once('=').unwrap_or((line, ""));
        if !key.is_empty() {
            pairs.push((key.to_owned(), value.as_bytes().to_vec()));
        }
    }
    Ok(pairs)
}

/// Parses `key=value`, without one pair of quotes around the value.
fn parse_literal(literal: &str) -> Result<(String, Vec<u8>), String> {
    let split = literal.split_once('=').filter(|(key, _)| !key.is_empty());
    let Some((key, value)) = split else {
        return Err(format!("the literal `{literal}` is not of the form key=value: correct it"));
    };
    let quoted =
        |quote: char| (value.len() >= 2).then(|| value.strip_prefix(quote)?.strip_suffix(quote)).flatten();
    let value = quoted('"').or_else(|| quoted('\'')).unwrap_or(value);
    Ok((key.to_owned(), value.as_bytes().to_vec()))
}

/// Parses `path` or `key=path` into the key and the path.
fn parse_file(source: &str) -> Result<(&str, &str), String> {
    match source.split('=').collect::<Vec<_>>()[..] {
        [path] => Ok((base(path), path)),
        ["", path] => Err(format!("the key of the file `{path}` is missing in `{source}`: write key=path")),
        [key, ""] => Err(format!("the path of the key `{key}` is missing in `{source}`: write key=path")),
        [key, path] => Ok((key, path)),
        _ => Err(format!("`{source}` has more than one `=`: rename the file or the key")),
    }
}

/// Returns the last name of a path, as Go's `path.Base`.
fn base(path: &str) -> &str {
    match path.trim_end_matches('/') {
        "" if path.is_empty() => ".",
        "" => "/",
        trimmed => trimmed.rsplit('/').next().unwrap_or(trimmed),
    }
}

#[cfg(test)]
mod tests {
    use super::{parse_file, parse_literal};

    #[test]
    fn one_pair_of_quotes_comes_off_a_literal() {
        let value = |literal: &str| {
            parse_literal(literal).map(|(_, value)| String::from_utf8_lossy(&value).into_owned()).ok()
        };
        assert_eq!(value("a=x").as_deref(), Some("x"));
        assert_eq!(value("a=\"x=y\"").as_deref(), Some("x=y"));
        assert_eq!(value("a=''").as_deref(), Some(""));
        assert_eq!(value("a='").as_deref(), Some("'"));
        assert_eq!(value("a='x\"").as_deref(), Some("'x\""));
        assert_eq!(value("=x"), None);
        assert_eq!(value("a"), None);
    }

    #[test]
    fn a_file_is_called_as_it_is_or_as_the_key_says() {
        assert_eq!(parse_file("a/b.txt"), Ok(("b.txt", "a/b.txt")));
        assert_eq!(parse_file("k=a/b.txt"), Ok(("k", "a/b.txt")));
        assert!(parse_file("=b").is_err() && parse_file("b=").is_err() && parse_file("a=b=c").is_err());
    }
}
