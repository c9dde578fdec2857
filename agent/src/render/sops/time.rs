//! Timestamps as go-yaml v3 finds them in plain scalars, and as Go writes them again.
//!
//! Pure.

use jiff::civil::Date;

/// The timestamp as RFC 3339 writes it, or None: then the scalar is no timestamp.
///
/// Read are `2001-1-2`, `2001-1-2 3:4:5.67` (UTC) and `2001-1-2T3:4:5.67+01:00`.
pub(super) fn read(text: &str) -> Option<String> {
    let bytes = text.as_bytes();
    if !(bytes.len() > 5 && bytes[..4].iter().all(u8::is_ascii_digit) && bytes[4] == b'-') {
        return None;
    }
    let year: i16 = text[..4].parse().ok()?;
    let (month, rest) = short(&text[5..])?;
    let (day, rest) = short(rest.strip_prefix('-')?)?;
    let date = Date::new(year, month, day).ok()?;
    if rest.is_empty() {
        return Some(format!("{date}T00:00:00Z"));
    }
    if let Some(clock) = rest.strip_prefix(' ') {
        let (clock, rest) = clock_time(clock)?;
        return rest.is_empty().then(|| format!("{date}T{clock}Z"));
    }
    let (clock, zone) = clock_time(rest.strip_prefix(['T', 't'])?)?;
    Some(format!("{date}T{clock}{}", offset(zone)?))
}

/// One or two digits, and what follows.
fn short(text: &str) -> Option<(i8, &str)> {
    let digits = text.bytes().take(2).take_while(u8::is_ascii_digit).count();
    Some((text[..digits].parse().ok()?, &text[digits..]))
}

fn clock_time(text: &str) -> Option<(String, &str)> {
    let (hour, rest) = short(text)?;
    let (minute, rest) = short(rest.strip_prefix(':')?)?;
    let (second, rest) = short(rest.strip_prefix(':')?)?;
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let mut clock = format!("{hour:02}:{minute:02}:{second:02}");
    let Some(fraction) = rest.strip_prefix(['.', ',']) else { return Some((clock, rest)) };
    let digits = fraction.bytes().take_while(u8::is_ascii_digit).count();
    if digits == 0 {
        return None;
    }
    let kept = fraction[..digits.min(9)].trim_end_matches('0');
    if !kept.is_empty() {
        clock = format!("{clock}.{kept}");
    }
    Some((clock, &fraction[digits..]))
}

fn offset(zone: &str) -> Option<&str> {
    let digits = |text: &str| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
    match zone {
        "Z" | "+00:00" | "-00:00" => Some("Z"),
        _ => {
            let (hours, minutes) = zone.strip_prefix(['+', '-'])?.split_once(':')?;
            (digits(hours) && digits(minutes) && hours <= "24" && minutes < "60").then_some(zone)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_are_written_as_go_writes_them() {
        let check =
            |text: &str, expected: Option<&str>| assert_eq!(read(text).as_deref(), expected, "{text}");
        check("2001-12-14", Some("2001-12-14T00:00:00Z"));
        check("2001-1-2", Some("2001-01-02T00:00:00Z"));
        check("2001-12-14 21:59:43.10", Some("2001-12-14T21:59:43.1Z"));
        check("2001-12-14t21:59:43.10-05:00", Some("2001-12-14T21:59:43.1-05:00"));
        check("2001-12-14T21:59:43+00:00", Some("2001-12-14T21:59:43Z"));
        check("2001-12-14 21:59:43.10 -5", None);
        check("2001-02-30", None);
        check("2001-2-", None);
        check("20011-2-3", None);
        check("1.2.3-4", None);
    }
}
