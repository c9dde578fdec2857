//! Anchors and tags.
//!
//! Pure.

use std::borrow::Cow;

use super::{Fail, Parser};

/// What can stand before a node.
#[derive(Clone, Default)]
pub(super) struct Properties<'a> {
    pub anchor: Option<&'a str>,
    pub tag: Option<Cow<'a, str>>,
}

impl Properties<'_> {
    pub fn is_empty(&self) -> bool {
        self.anchor.is_none() && self.tag.is_none()
    }
}

impl<'a> Parser<'a> {
    /// Reads the anchor and the tag at the cursor, in any order, and goes to what is behind them.
    pub(super) fn properties(&mut self) -> Result<Properties<'a>, Fail> {
        let mut found = Properties::default();
        let line = self.cursor.line;
        loop {
            match self.cursor.byte(0) {
                b'&' if found.anchor.is_none() => {
                    self.cursor.key_allowed = false;
                    found.anchor = Some(self.name()?);
                }
                b'!' if found.tag.is_none() => {
                    self.cursor.key_allowed = false;
                    found.tag = Some(self.tag()?);
                }
                _ => return Ok(found),
            }
            self.cursor.next();
            if self.cursor.flow == 0 && self.cursor.line > line {
                return Ok(found);
            }
        }
    }

    /// The properties of two lines.
    pub(super) fn joined(
        &self,
        outer: Properties<'a>,
        inner: Properties<'a>,
    ) -> Result<Properties<'a>, Fail> {
        let twice =
            outer.anchor.is_some() && inner.anchor.is_some() || outer.tag.is_some() && inner.tag.is_some();
        if twice {
            return self.cursor.fail("one value has one anchor and one tag: remove the others");
        }
        Ok(Properties { anchor: outer.anchor.or(inner.anchor), tag: outer.tag.or(inner.tag) })
    }

    /// Reads the name of an anchor or an alias, at whose indicator the cursor stands.
    pub(super) fn name(&mut self) -> Result<&'a str, Fail> {
        let cursor = &mut self.cursor;
        cursor.at += 1;
        let start = cursor.at;
        while cursor.byte(0).is_ascii_alphanumeric() || matches!(cursor.byte(0), b'_' | b'-') {
            cursor.at += 1;
        }
        let ends = cursor.is_gap(0)
            || matches!(cursor.byte(0), b'?' | b':' | b',' | b']' | b'}' | b'%' | b'@' | b'`');
        if cursor.at == start || !ends {
            return cursor.fail("a name of letters, digits, `-` and `_` must follow `&` or `*`: quote the text if it belongs to it");
        }
        Ok(cursor.slice(start, cursor.at))
    }

    /// Reads a tag, without what stands for `tag:yaml.org,2002:`.
    fn tag(&mut self) -> Result<Cow<'a, str>, Fail> {
        let cursor = &mut self.cursor;
        let start = cursor.at;
        if cursor.byte(1) == b'<' {
            while !cursor.is_gap(0) && cursor.byte(0) != b'>' {
                cursor.at += 1;
            }
            let uri = cursor.slice(start + 2, cursor.at);
            cursor.at += 1;
            if uri.is_empty() || !cursor.is_gap(0) {
                return cursor
                    .fail("a blank must follow a tag: add it, or quote the text if `!` belongs to it");
            }
            return Ok(uri
                .strip_prefix("tag:yaml.org,2002:")
                .map_or_else(|| Cow::Owned(format!("!{uri}")), Cow::Borrowed));
        }
        while !cursor.is_gap(0)
            && !matches!(cursor.byte(0), b'{' | b'}' | b'"' | b'#' | b'|' | b'>' | b'\\' | b'^' | b'`')
        {
            cursor.at += 1;
        }
        if !cursor.is_gap(0) {
            return cursor.fail("a blank must follow a tag: add it, or quote the text if `!` belongs to it");
        }
        let tag = cursor.slice(start, cursor.at);
        let named = tag.strip_prefix("!!");
        if tag.len() > 1 && named.is_none() && tag[1..].contains('!') {
            return cursor.fail("unknown tag: remove it, or quote the text if `!` belongs to it");
        }
        Ok(Cow::Borrowed(named.unwrap_or(tag)))
    }
}
