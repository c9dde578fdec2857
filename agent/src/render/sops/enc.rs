//! One encrypted value, `ENC[AES256_GCM,data:...,iv:...,tag:...,type:...]`, and the key that opens it.
//!
//! Where a value belongs is part of what is authenticated: its path, each key followed by `:`. Pure.

use aes_gcm::AesGcm;
use aes_gcm::aead::consts::{U12, U32};
use aes_gcm::aead::generic_array::{ArrayLength, GenericArray};
use aes_gcm::aead::{AeadInPlace as _, KeyInit as _};
use aes_gcm::aes::Aes256;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use super::error::ValueProblem;
use super::scalar::Scalar;
use super::time;

const START: &str = "ENC[AES256_GCM,";
const TAG: usize = 16;

/// The data key of a file. The crate wipes its key schedule.
pub(super) struct Cipher {
    key: Zeroizing<[u8; 32]>,
}

/// True if the text looks like an encrypted value.
pub(super) fn is_encrypted(text: &[u8]) -> bool {
    text.starts_with(START.as_bytes())
}

/// What authenticates where a value belongs.
pub(super) fn place(path: &[String]) -> String {
    format!("{}:", path.join(":"))
}

impl Cipher {
    /// None if the key is not of 32 bytes.
    pub fn new(key: &[u8]) -> Option<Self> {
        Some(Self { key: Zeroizing::new(key.try_into().ok()?) })
    }

    /// Opens a value that was encrypted for this place.
    pub fn open(&self, text: &[u8], place: &str) -> Result<Scalar, ValueProblem> {
        let text = str::from_utf8(text).map_err(|_| ValueProblem::Form)?;
        let Parts { mut data, iv, tag, kind } = Parts::read(text).ok_or(ValueProblem::Form)?;
        match iv.len() {
            32 => self.decrypt::<U32>(&mut data, &iv, &tag, place),
            12 => self.decrypt::<U12>(&mut data, &iv, &tag, place),
            _ => return Err(ValueProblem::Form),
        }
        .ok_or(ValueProblem::Authentic)?;
        typed(data, kind)
    }

    fn decrypt<N: ArrayLength<u8>>(&self, data: &mut [u8], iv: &[u8], tag: &[u8], place: &str) -> Option<()> {
        let cipher = AesGcm::<Aes256, N>::new(GenericArray::from_slice(&*self.key));
        let (iv, tag) = (GenericArray::from_slice(iv), GenericArray::from_slice(tag));
        cipher.decrypt_in_place_detached(iv, place.as_bytes(), data, tag).ok()
    }
}

struct Parts<'a> {
    data: Zeroizing<Vec<u8>>,
    iv: Vec<u8>,
    tag: Vec<u8>,
    kind: &'a str,
}

impl<'a> Parts<'a> {
    fn read(text: &'a str) -> Option<Self> {
        let text = text.strip_prefix(START)?.strip_prefix("data:")?;
        let (text, _) = text.rsplit_once(']')?;
        let (data, text) = text.split_once(",iv:")?;
        let (iv, text) = text.split_once(",tag:")?;
        let (tag, kind) = text.split_once(",type:")?;
        let bytes = |code: &str| STANDARD.decode(code).ok();
        let tag = bytes(tag).filter(|tag| tag.len() == TAG)?;
        Some(Self { data: Zeroizing::new(bytes(data)?), iv: bytes(iv)?, tag, kind })
    }
}

/// The decrypted bytes as a value of their type.
fn typed(data: Zeroizing<Vec<u8>>, kind: &str) -> Result<Scalar, ValueProblem> {
    let text = || str::from_utf8(&data).map_err(|_| ValueProblem::Content);
    let content = ValueProblem::Content;
    Ok(match kind {
        "str" | "bytes" => Scalar::Text(data),
        "comment" => Scalar::Comment(data),
        "int" => Scalar::Int(text()?.parse().map_err(|_| content)?),
        "float" => Scalar::Float(text()?.parse().map_err(|_| content)?),
        "bool" => match text()? {
            "1" | "t" | "T" | "true" | "True" | "TRUE" => Scalar::Bool(true),
            "0" | "f" | "F" | "false" | "False" | "FALSE" => Scalar::Bool(false),
            _ => return Err(content),
        },
        "time" => Scalar::Time(time::read(text()?).ok_or(content)?),
        _ => return Err(ValueProblem::Type),
    })
}
