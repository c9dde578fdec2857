//! New objects, and a pack that contains exactly these. Pure.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use gix::ObjectId;
use gix::hash::Kind as HashKind;
use gix::objs::Kind;

/// Objects that the server does not have, without duplicates.
#[derive(Default)]
pub struct Objects(Vec<Object>);

struct Object {
    id: ObjectId,
    kind: Kind,
    data: Vec<u8>,
}

impl Objects {
    /// Adds an object and returns its id.
    pub fn add(&mut self, kind: Kind, data: Vec<u8>) -> Result<ObjectId, gix::Error> {
        let id = gix::objs::compute_hash(HashKind::Sha1, kind, &data)?;
        if !self.0.iter().any(|known| known.id == id) {
            self.0.push(Object { id, kind, data });
        }
        Ok(id)
    }

    /// Returns the content of an object.
    pub fn get(&self, id: ObjectId) -> Option<&[u8]> {
        self.0.iter().find(|object| object.id == id).map(|object| object.data.as_slice())
    }

    /// Returns the number of objects.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the pack of all objects, in the order in which they were added: a header, each object complete and
    /// compressed, and the checksum. (gitformat-pack)
    pub fn pack(&self) -> Result<Vec<u8>, gix::Error> {
        let mut pack = b"PACK\0\0\0\x02".to_vec();
        // No commit has four thousand million new objects.
        pack.extend(u32::try_from(self.len()).unwrap_or(u32::MAX).to_be_bytes());
        for object in &self.0 {
            pack.extend(header(object.kind, object.data.len()));
            let mut encoder = ZlibEncoder::new(pack, Compression::default());
            encoder.write_all(&object.data).map_err(gix::Error::from_error)?;
            pack = encoder.finish().map_err(gix::Error::from_error)?;
        }
        let mut hasher = gix::hash::hasher(HashKind::Sha1);
        hasher.update(&pack);
        let sum = hasher.try_finalize()?;
        pack.extend(sum.as_slice());
        Ok(pack)
    }
}

/// Encodes type and size: four bits of the size beside the type, then seven for each byte, the lowest first.
fn header(kind: Kind, size: usize) -> Vec<u8> {
    let kind = match kind {
        Kind::Commit => 1,
        Kind::Tree => 2,
        Kind::Blob => 3,
        Kind::Tag => 4,
    };
    let low = |bits: usize, mask: u8| bits.to_le_bytes()[0] & mask;
    let mut bytes = vec![(kind << 4) | low(size, 0x0f)];
    let mut rest = size >> 4;
    while rest > 0 {
        if let Some(last) = bytes.last_mut() {
            *last |= 0x80;
        }
        bytes.push(low(rest, 0x7f));
        rest >>= 7;
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_written_seven_bits_a_byte() {
        let check = |kind, size, expected: &[u8]| assert_eq!(header(kind, size), expected, "{size}");
        check(Kind::Blob, 0, &[0x30]);
        check(Kind::Commit, 15, &[0x1f]);
        check(Kind::Tree, 16, &[0xa0, 0x01]);
        check(Kind::Blob, 2047, &[0xbf, 0x7f]);
        check(Kind::Blob, 2048, &[0xb0, 0x80, 0x01]);
    }

    #[test]
    fn an_object_is_packed_once() -> Result<(), gix::Error> {
        let mut objects = Objects::default();
        let id = objects.add(Kind::Blob, b"hello\n".to_vec())?;
        assert_eq!(id.to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(objects.add(Kind::Blob, b"hello\n".to_vec())?, id);
        assert_eq!(objects.len(), 1);
        let pack = objects.pack()?;
        assert_eq!(pack[..13], *b"PACK\0\0\0\x02\0\0\0\x01\x36");
        assert_eq!(objects.pack()?, pack, "the same objects make the same pack");
        Ok(())
    }
}
