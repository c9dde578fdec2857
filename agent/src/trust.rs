//! Which tenants share caches. Entries of one trust domain are not read, waited for or evicted first by another one. Pure.

use std::fmt;
use std::sync::Arc;

/// Tenants that trust one another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Domain {
    /// The whole installation, if all users who may create Syncs have the rights of the agent.
    Installation,
    /// One namespace of an installation that serves several tenants.
    Namespace(Arc<str>),
}

/// A name for folders and shares: that of the namespace, in which the API server only permits letters, digits and
/// dashes.
impl fmt::Display for Domain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Installation => f.write_str("installation"),
            Self::Namespace(name) => {
                f.write_str("namespace-")?;
                let is_plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
                if name.len() <= 63 && name.bytes().all(is_plain) {
                    f.write_str(name)
                } else {
                    // From a file of the command line.
                    name.bytes().take(60).try_for_each(|byte| write!(f, "{byte:02x}"))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Domain;

    #[test]
    fn a_domain_is_a_name_of_a_folder() {
        let of = |name: &str| Domain::Namespace(name.into()).to_string();
        assert_eq!(of("team-a"), "namespace-team-a");
        assert_eq!(of("../x"), "namespace-2e2e2f78");
        assert_eq!(Domain::Installation.to_string(), "installation");
    }
}
