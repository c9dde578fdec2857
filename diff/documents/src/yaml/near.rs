//! Finds misspelt keys: near matches of a known name.
//!
//! Pure.

/// Returns the key among `keys` that nearly equals `wanted`: with other case or separators, or with a typing error.
pub fn nearest<'k, K: AsRef<str> + 'k>(wanted: &str, keys: impl Iterator<Item = &'k K>) -> Option<&'k str> {
    let slips = if wanted.len() > 6 { 2 } else { 1 };
    let length = |text: &str| text.chars().count();
    let near =
        keys.map(AsRef::as_ref).filter(|key| length(key).abs_diff(length(wanted)) <= 2).filter_map(|key| {
            let distance = if plain(key) == plain(wanted) { 0 } else { strsim::osa_distance(key, wanted) };
            (distance <= slips).then_some((distance, key))
        });
    near.min().map(|(_, key)| key)
}

fn plain(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
