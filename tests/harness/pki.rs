//! The certificates of a run: one authority, and what it signs. I/O: disk writes.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyPair, KeyUsagePurpose,
};

/// An authority that signs the certificates of one run.
pub struct Authority {
    folder: PathBuf,
    pub certificate: String,
    issuer: Issuer<'static, KeyPair>,
}

/// A certificate and its key, as PEM.
#[derive(Clone, Debug)]
pub struct Leaf {
    pub certificate: String,
    pub key: String,
}

impl Authority {
    /// Makes an authority; its certificate is at `ca.crt` in the folder.
    pub fn make(folder: &Path) -> anyhow::Result<Self> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name("holdfast-tests", None);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages =
            vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign, KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.self_signed(&key)?.pem();
        std::fs::create_dir_all(folder)?;
        std::fs::write(folder.join("ca.crt"), &certificate)?;
        Ok(Self { folder: folder.to_path_buf(), certificate, issuer: Issuer::new(params, key) })
    }

    /// Signs a server's certificate for loopback, at `NAME.crt` and `NAME.key`.
    pub fn server(&self, file: &str, names: &[&str]) -> anyhow::Result<Leaf> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut params = CertificateParams::new(names)?;
        params.distinguished_name = name(file, None);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(file, params)
    }

    /// Signs a client's certificate for a user of a group.
    pub fn client(&self, file: &str, user: &str, group: Option<&str>) -> anyhow::Result<Leaf> {
        let mut params = CertificateParams::default();
        params.distinguished_name = name(user, group);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(file, params)
    }

    fn sign(&self, file: &str, mut params: CertificateParams) -> anyhow::Result<Leaf> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.issuer)?.pem();
        let leaf = Leaf { certificate, key: key.serialize_pem() };
        std::fs::write(self.folder.join(format!("{file}.crt")), &leaf.certificate)?;
        std::fs::write(self.folder.join(format!("{file}.key")), &leaf.key)?;
        Ok(leaf)
    }

    /// A key pair alone, at `NAME.key` and `NAME.pub`.
    pub fn key_pair(&self, file: &str) -> anyhow::Result<()> {
        let key = KeyPair::generate()?;
        std::fs::write(self.folder.join(format!("{file}.key")), key.serialize_pem())?;
        std::fs::write(self.folder.join(format!("{file}.pub")), key.public_key_pem())
            .context("cannot write a public key")
    }

    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }
}

fn name(common: &str, organisation: Option<&str>) -> DistinguishedName {
    let mut name = DistinguishedName::new();
    name.push(DnType::CommonName, common);
    if let Some(organisation) = organisation {
        name.push(DnType::OrganizationName, organisation);
    }
    name
}
