//! Files in UTF-16, which some editors on Windows write. They are recognised by the byte order mark.
//!
//! Pure.

/// Returns the text of a file that begins with the byte order mark of UTF-16, in UTF-8 and with the mark; `None` for
/// other files, and for invalid UTF-16.
pub fn to_utf8(bytes: &[u8]) -> Option<Vec<u8>> {
    let unit: fn([u8; 2]) -> u16 = match bytes {
        [0xFF, 0xFE, ..] => u16::from_le_bytes,
        [0xFE, 0xFF, ..] => u16::from_be_bytes,
        _ => return None,
    };
    let (units, []) = bytes.as_chunks::<2>() else { return None };
    let units = units.iter().map(|bytes| unit(*bytes));
    let text: Result<String, _> = char::decode_utf16(units).collect();
    text.ok().map(String::into_bytes)
}

#[cfg(test)]
mod tests {
    use super::to_utf8;

    #[test]
    fn both_orders_are_read_and_anything_else_is_not() {
        let text = "\u{FEFF}a: é😀\n";
        let units: Vec<u16> = text.encode_utf16().collect();
        let little: Vec<u8> = units.iter().flat_map(|unit| unit.to_le_bytes()).collect();
        let big: Vec<u8> = units.iter().flat_map(|unit| unit.to_be_bytes()).collect();
        for bytes in [&little, &big] {
            assert_eq!(to_utf8(bytes).as_deref(), Some(text.as_bytes()));
            assert_eq!(to_utf8(&bytes[..bytes.len() - 1]), None);
        }
        assert_eq!(to_utf8(text.as_bytes()), None);
        assert_eq!(to_utf8(&[0xFF, 0xFE, 0x00, 0xD8]), None, "half of a pair");
    }
}
