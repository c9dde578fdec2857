//! The tags of a repository in one string, read from the pages of a list. Pure.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// Maximum length of a tag. A longer one is not a tag and is skipped.
const LONGEST: usize = 128;

/// Tags in the order of the registry.
#[derive(Default, PartialEq, Eq)]
pub struct Tags {
    text: String,
    /// The end of each tag.
    ends: Vec<u32>,
    too_long: usize,
}

/// Why a page cannot be read.
#[derive(Debug, PartialEq)]
pub(super) enum Unread {
    /// The page does not follow the specification.
    Malformed,
    TooMany,
}

impl Tags {
    /// Returns the tags, which may contain any characters: callers skip invalid tags.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        starts.zip(&self.ends).filter_map(|(start, end)| self.text.get(start as usize..*end as usize))
    }

    pub fn len(&self) -> usize {
        self.ends.len()
    }

    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Returns the number of tags that were skipped because they are too long.
    pub fn too_long(&self) -> usize {
        self.too_long
    }

    /// Adds the tags of a page, up to this total number.
    pub(super) fn read(&mut self, page: &[u8], limit: usize) -> Result<(), Unread> {
        let mut full = false;
        let mut reader = serde_json::Deserializer::from_slice(page);
        let read = reader.deserialize_map(Page { tags: self, limit, full: &mut full });
        match read.and_then(|named| reader.end().map(|()| named)) {
            Ok(true) => Ok(()),
            _ if full => Err(Unread::TooMany),
            Ok(false) | Err(_) => Err(Unread::Malformed),
        }
    }

    pub(super) fn shrink(&mut self) {
        self.text.shrink_to_fit();
        self.ends.shrink_to_fit();
    }

    /// Adds a tag. Returns false if the limit is reached.
    fn push(&mut self, tag: &str, limit: usize) -> bool {
        if tag.len() > LONGEST {
            self.too_long += 1;
            return true;
        }
        let Ok(end) = u32::try_from(self.text.len() + tag.len()) else { return false };
        if self.len() == limit {
            return false;
        }
        self.text.push_str(tag);
        self.ends.push(end);
        true
    }
}

/// Reads the object of a page. Returns whether it has a field of such an object.
struct Page<'a> {
    tags: &'a mut Tags,
    limit: usize,
    full: &'a mut bool,
}

impl<'de> Visitor<'de> for Page<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tags")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<bool, A::Error> {
        let Self { tags, limit, full } = self;
        let mut named = false;
        while let Some(key) = map.next_key::<String>()? {
            named |= key == "tags" || key == "name";
            if key == "tags" {
                map.next_value_seed(List { tags, limit, full })?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(named)
    }
}

/// Reads the array of tags, or null.
struct List<'a> {
    tags: &'a mut Tags,
    limit: usize,
    full: &'a mut bool,
}

impl<'de> DeserializeSeed<'de> for List<'_> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for List<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tags")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        let Self { tags, limit, full } = self;
        while let Some(more) = list.next_element_seed(Tag { tags, limit })? {
            if !more {
                *full = true;
                return Err(serde::de::Error::custom("too many"));
            }
        }
        Ok(())
    }
}

/// Reads one tag. Returns false if the limit is reached.
struct Tag<'a> {
    tags: &'a mut Tags,
    limit: usize,
}

impl<'de> DeserializeSeed<'de> for Tag<'_> {
    type Value = bool;

    fn deserialize<D: serde::Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for Tag<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a tag")
    }

    fn visit_str<E>(self, tag: &str) -> Result<bool, E> {
        Ok(self.tags.push(tag, self.limit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(page: &str, limit: usize) -> Result<Vec<String>, Unread> {
        let mut tags = Tags::default();
        tags.read(page.as_bytes(), limit)?;
        Ok(tags.iter().map(ToOwned::to_owned).collect())
    }

    #[test]
    fn a_page_is_read_in_every_form() {
        for (page, expected) in [
            (r#"{"name":"a","tags":["1.0","2.0"]}"#, &["1.0", "2.0"][..]),
            (r#"{"tags":["\u0061b","no tag!",""],"name":"a"}"#, &["ab", "no tag!", ""]),
            (r#"{"name":"a","tags":null}"#, &[]),
            (r#"{"name":"a"}"#, &[]),
            (
                r#"{"child":[],"manifest":{"sha256:0":{"tag":["x"],"timeCreatedMs":"1"}},"name":"p/a","tags":["x"]}"#,
                &["x"],
            ),
        ] {
            assert_eq!(read(page, 100), Ok(expected.iter().map(|tag| (*tag).to_owned()).collect()), "{page}");
        }
    }

    #[test]
    fn what_is_no_page_is_refused() {
        for page in ["", "[]", "{}", "<html>", r#"{"tags":[1]}"#, r#"{"tags":["a"]} x"#, r#"{"errors":[]}"#] {
            assert_eq!(read(page, 100), Err(Unread::Malformed), "{page}");
        }
        assert_eq!(read(r#"{"tags":["a","b","c"]}"#, 2), Err(Unread::TooMany));
    }

    #[test]
    fn a_tag_that_is_too_long_is_counted_and_left_out() {
        let mut tags = Tags::default();
        let (good, bad) = ("a".repeat(LONGEST), "b".repeat(LONGEST + 1));
        assert_eq!(tags.read(format!("{{\"tags\":[\"{good}\",\"{bad}\"]}}").as_bytes(), 9), Ok(()));
        assert_eq!((tags.iter().collect::<Vec<_>>(), tags.too_long()), (vec![good.as_str()], 1));
    }
}
