//! The refs and capabilities that a server offers for a push, and the command of the push. Pure, except for reading the
//! packets of a connection.

use std::io;

use gix::ObjectId;
use gix::bstr::ByteSlice as _;
use gix::protocol::transport::client::Capabilities;
use gix::protocol::transport::client::blocking_io::ReadlineBufRead;

/// The capability to send messages and the report in one response.
pub const BANDS: &str = "side-band-64k";

pub fn full(branch: &str) -> String {
    format!("refs/heads/{branch}")
}

/// Returns the packet line with the command of the push.
pub fn command(branch: &str, old: Option<ObjectId>, new: ObjectId, capabilities: &Capabilities) -> String {
    let old = old.unwrap_or_else(|| ObjectId::null(gix::hash::Kind::Sha1));
    let mut wanted = String::from("report-status");
    if capabilities.contains(BANDS) {
        wanted.push(' ');
        wanted.push_str(BANDS);
    }
    if capabilities.contains("object-format") {
        wanted.push_str(" object-format=sha1");
    }
    if capabilities.contains("agent") {
        wanted.push_str(concat!(" agent=holdfast/", env!("CARGO_PKG_VERSION")));
    }
    let line = format!("{old} {new} {}\0{wanted}", full(branch));
    format!("{:04x}{line}", line.len() + 4)
}

/// The refs and capabilities that a server lists for a push.
pub struct Advertised {
    pub refs: Vec<(ObjectId, String)>,
    pub capabilities: Capabilities,
}

impl Advertised {
    pub fn branch(&self, branch: &str) -> Option<ObjectId> {
        let full = full(branch);
        self.refs.iter().find(|(_, name)| *name == full).map(|(id, _)| *id)
    }

    /// True if a ref `a` or `a/b/c` exists, which prevents a ref `a/b`.
    pub fn is_in_the_way(&self, branch: &str) -> bool {
        let full = full(branch);
        let leads =
            |one: &str, other: &str| other.strip_prefix(one).is_some_and(|rest| rest.starts_with('/'));
        self.refs.iter().any(|(_, name)| leads(name, &full) || leads(&full, name))
    }
}

/// Reads the refs that a server lists.
pub fn refs_of(lines: &mut dyn ReadlineBufRead) -> io::Result<Vec<(ObjectId, String)>> {
    let mut refs = Vec::new();
    while let Some(line) = lines.readline() {
        let line = line?.map_err(io::Error::other)?;
        let Some(text) = line.as_bstr().map(|line| line.trim_end().to_str_lossy().into_owned()) else {
            break;
        };
        // `shallow …` lines and alternate objects are not needed here.
        let Some((id, name)) = text.split_once(' ') else { continue };
        if let (Ok(id), true) = (ObjectId::from_hex(id.as_bytes()), name.starts_with("refs/")) {
            refs.push((id, name.to_owned()));
        }
    }
    Ok(refs)
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    const ID: &str = "ce013625030ba8dba906f756967f9e9ca394464a";

    fn shown(names: &[&str]) -> Advertised {
        let id = ObjectId::null(gix::hash::Kind::Sha1);
        let refs = names.iter().map(|name| (id, full(name))).collect();
        Advertised { refs, capabilities: Capabilities::default() }
    }

    #[test]
    fn the_command_names_what_it_was_built_on() -> Result<(), Box<dyn Error>> {
        let id = ObjectId::from_hex(ID.as_bytes())?;
        let (few, _) = Capabilities::from_bytes(b"x\0report-status delete-refs")?;
        let line = command("main", Some(id), id, &few);
        assert_eq!(line, format!("0073{ID} {ID} refs/heads/main\0report-status"));
        let (many, _) =
            Capabilities::from_bytes(b"x\0report-status side-band-64k object-format=sha1 agent=git/2")?;
        let line = command("a/b", None, id, &many);
        let zero = "0".repeat(40);
        let asked = concat!(
            "report-status side-band-64k object-format=sha1 agent=holdfast/",
            env!("CARGO_PKG_VERSION")
        );
        assert_eq!(line[4..], format!("{zero} {ID} refs/heads/a/b\0{asked}"));
        assert_eq!(usize::from_str_radix(&line[..4], 16)?, line.len());
        Ok(())
    }

    #[test]
    fn a_branch_stands_in_the_way_of_one_below_it() {
        let check = |there: &str, wanted: &str, expected| {
            assert_eq!(shown(&[there]).is_in_the_way(wanted), expected, "{there} {wanted}");
        };
        check("images", "images/web", true);
        check("images/web", "images", true);
        check("images-web", "images", false);
        check("images", "images", false);
        assert!(shown(&["a"]).branch("a").is_some() && shown(&["ab"]).branch("a").is_none());
    }
}
