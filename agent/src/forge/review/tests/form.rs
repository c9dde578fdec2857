//! The documented form of requests: a stand-in refuses whatever is not in its list. Pure.

use serde_json::json;

use super::standin::{Asked, Reply};

/// One endpoint: method, path with `{}` for what varies, and the fields of its query or body.
pub type Form = (&'static str, &'static str, &'static [&'static str]);

/// What varies in the path of a request, if its form is a documented one.
pub fn check<'a>(forms: &'static [Form], asked: &'a Asked) -> Result<(&'static str, Vec<&'a str>), Reply> {
    let found = forms.iter().find_map(|(method, path, fields)| {
        let parts = matched(path, &asked.path).filter(|_| *method == asked.method.as_str())?;
        Some((*path, *fields, parts))
    });
    let (path, fields, parts) = found.ok_or_else(|| Reply::json(404, &json!({"message": "Not Found"})))?;
    if asked.method == "GET" {
        if let Some(odd) = asked.query.keys().find(|name| !fields.contains(&name.as_str())) {
            return Err(Reply::odd(&format!("{path} has no parameter {odd}")));
        }
    } else {
        asked.only(fields)?;
        if asked.header("content-type") != "application/json" {
            return Err(Reply::odd("the body is not said to be JSON"));
        }
    }
    Ok((path, parts))
}

fn matched<'a>(form: &str, path: &'a str) -> Option<Vec<&'a str>> {
    let (form, parts): (Vec<&str>, Vec<&str>) = (form.split('/').collect(), path.split('/').collect());
    if form.len() != parts.len() {
        return None;
    }
    let fits = form.iter().zip(&parts).all(|(form, part)| *form == "{}" && !part.is_empty() || form == part);
    fits.then(|| form.iter().zip(parts).filter(|(form, _)| **form == "{}").map(|(_, part)| part).collect())
}
