//! The key that was meant: near misses of a known name.
//!
//! Pure.

/// The key among `keys` that is nearly `wanted`: other case or separators, or a typing slip in it.
pub(crate) fn nearest<'k, K: AsRef<str> + 'k>(
    wanted: &str,
    keys: impl Iterator<Item = &'k K>,
) -> Option<&'k str> {
    let slips = if wanted.len() > 6 { 2 } else { 1 };
    let near = keys.map(AsRef::as_ref).filter_map(|key| {
        let distance = if plain(key) == plain(wanted) { 0 } else { distance(key, wanted) };
        (distance <= slips).then_some((distance, key))
    });
    near.min().map(|(_, key)| key)
}

fn plain(key: &str) -> String {
    key.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// The number of letters to insert, drop, replace or swap with a neighbour to make `a` of `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > 2 {
        return usize::MAX;
    }
    let mut rows: Vec<Vec<usize>> = vec![(0..=b.len()).collect()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            row.push(best);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}
