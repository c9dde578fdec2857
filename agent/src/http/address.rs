//! Addresses that no resource may connect to: link-local addresses, the metadata services of clouds, which give credentials to every
//! internal caller, and addresses that are not a destination. Pure.
//!
//! An IPv6 address can carry an IPv4 address that a translator or a tunnel connects to; the carried one is classified too.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The class of an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Link-local, or of a metadata service. The network must be listed to allow it.
    Metadata(Network),
    /// Unspecified, multicast or broadcast.
    NoDestination,
    Usual,
}

/// A network in CIDR notation. Bits behind the prefix are zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// Names of metadata services. Their addresses are refused as well; the names matter where a proxy resolves them.
const METADATA_NAMES: [&str; 8] = [
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.tencentyun.com",
    "metadata.cloud.ibm.com",
    "instance-data",
    "instance-data.ec2.internal",
];

/// Link-local networks and the addresses of metadata services.
const METADATA: [Network; 9] = [
    Network::v4([169, 254, 0, 0], 16),
    // Alibaba, Azure, Oracle
    Network::v4([100, 100, 100, 200], 32),
    Network::v4([168, 63, 129, 16], 32),
    Network::v4([192, 0, 0, 192], 32),
    Network::v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10),
    // AWS, Google, Scaleway
    Network::v6([0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0], 32),
    Network::v6([0xfd20, 0x00ce, 0, 0, 0, 0, 0, 0x0254], 128),
    Network::v6([0xfd00, 0x0042, 0, 0, 0, 0, 0, 0x0042], 128),
    // Site-local addresses, deprecated by RFC 3879, which some systems still route to their own services
    Network::v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10),
];

const NO_DESTINATION: [Network; 5] = [
    Network::v4([0, 0, 0, 0], 8),
    Network::v4([224, 0, 0, 0], 4),
    Network::v4([255, 255, 255, 255], 32),
    Network::v6([0, 0, 0, 0, 0, 0, 0, 0], 128),
    Network::v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8),
];

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

impl Network {
    const fn v4([a, b, c, d]: [u8; 4], prefix: u8) -> Self {
        Self { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), prefix }
    }

    const fn v6(parts: [u16; 8], prefix: u8) -> Self {
        let [one, two, three, four, five, six, seven, eight] = parts;
        Self { address: IpAddr::V6(Ipv6Addr::new(one, two, three, four, five, six, seven, eight)), prefix }
    }

    /// Parses `10.0.0.0/8`, `fd00::/8`, or one address.
    pub fn parse(text: &str) -> Option<Self> {
        let (address, prefix) =
            text.split_once('/').map_or((text, None), |(address, prefix)| (address, Some(prefix)));
        let address = address.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().ok()?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(prefix) => prefix.parse().ok().filter(|prefix| *prefix <= longest)?,
            None => longest,
        };
        Some(Self { address: masked(address, prefix), prefix })
    }

    pub fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.prefix) == self.address
    }

    /// True if this network is inside the other one.
    pub fn is_within(&self, other: &Self) -> bool {
        self.prefix >= other.prefix && other.contains(self.address)
    }
}

fn masked(address: IpAddr, prefix: u8) -> IpAddr {
    let prefix = u32::from(prefix);
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32 - prefix).unwrap_or(0);
            Ipv4Addr::from_bits(address.to_bits() & mask).into()
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - prefix).unwrap_or(0);
            Ipv6Addr::from_bits(address.to_bits() & mask).into()
        }
    }
}

/// True for the name of a metadata service, in lower case and without a trailing dot.
pub fn is_metadata_name(name: &str) -> bool {
    METADATA_NAMES.contains(&name)
}

/// Returns the class of an address, or of an address that it carries.
pub fn classify(address: IpAddr) -> Class {
    let all = || std::iter::once(address).chain(carried(address));
    let of =
        |networks: &[Network], address| networks.iter().find(|network| network.contains(address)).copied();
    if all().any(|address| of(&NO_DESTINATION, address).is_some()) {
        return Class::NoDestination;
    }
    all().find_map(|address| of(&METADATA, address)).map_or(Class::Usual, Class::Metadata)
}

/// Returns the IPv4 addresses that an IPv6 address carries, in every form that a system or a gateway may extract.
#[expect(clippy::match_same_arms, reason = "each form stands beside its RFC")]
pub fn carried(address: IpAddr) -> impl Iterator<Item = IpAddr> {
    let parts = match address {
        IpAddr::V6(address) if !address.is_unspecified() && !address.is_loopback() => address.segments(),
        _ => [0; 8],
    };
    let of = |high: u16, low: u16| Some(Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)));
    let found: [Option<Ipv4Addr>; 2] = match parts {
        [0, 0, 0, 0, 0, 0, 0, 0] => [None, None],
        // Mapped, compatible, translated (RFC 4291, RFC 7915), and by the well-known prefix of NAT64 (RFC 6052)
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => [of(high, low), None],
        // The local prefix of NAT64 (RFC 8215): the whole of it, and one of 48 bits
        [0x64, 0xff9b, 1, upper, middle, lower, high, low] => {
            let short = of(upper, (middle << 8) | (lower >> 8));
            [of(high, low), short].map(|found| found.filter(|address| !address.is_unspecified()))
        }
        // 6to4 (RFC 3056), and Teredo, which has the bits of the client inverted (RFC 4380)
        [0x2002, high, low, ..] => [of(high, low), None],
        [0x2001, 0, upper, lower, _, _, high, low] => [of(!high, !low), of(upper, lower)],
        // ISATAP (RFC 5214)
        [.., 0 | 0x200, 0x5efe, high, low] => [of(high, low), None],
        _ => [None, None],
    };
    found.into_iter().flatten().map(IpAddr::V4)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_classified_however_they_are_written() {
        let metadata = |address: &str| matches!(classify(address.parse().unwrap()), Class::Metadata(_));
        for address in [
            "169.254.0.1",
            "169.254.169.254",
            "169.254.170.2",
            "100.100.100.200",
            "168.63.129.16",
            "192.0.0.192",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "fd00:ec2::254",
            "fd00:ec2::23",
            "fd20:ce::254",
            "fd00:42::42",
            "::ffff:169.254.169.254",
            "::ffff:a9fe:a9fe",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a9fe:a9fe",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:4136:e378:8000:63bf:5601:5601",
            "2001:db8::5efe:169.254.169.254",
            "fe80::200:5efe:169.254.169.254",
        ] {
            assert!(metadata(address), "{address}");
        }
        for address in [
            "127.0.0.1",
            "10.0.0.1",
            "::1",
            "169.253.255.255",
            "169.255.0.0",
            "100.100.100.201",
            "fd00:ec3::254",
            "::ffff:10.0.0.1",
            "2002:0a00:0001::1",
            "2001:db8::1",
            "64:ff9b::808:808",
            "64:ff9b:1::808:808",
        ] {
            assert_eq!(classify(address.parse().unwrap()), Class::Usual, "{address}");
        }
        for address in [
            "0.0.0.0",
            "0.1.2.3",
            "::",
            "224.0.0.1",
            "239.255.255.250",
            "255.255.255.255",
            "ff02::1",
            "::ffff:0.0.0.0",
        ] {
            assert_eq!(classify(address.parse().unwrap()), Class::NoDestination, "{address}");
        }
    }

    #[test]
    fn networks_hold_their_addresses() {
        let contains = |network: &str, address: &str| {
            Network::parse(network).is_some_and(|network| network.contains(address.parse().unwrap()))
        };
        assert!(contains("10.0.0.0/8", "10.255.0.1") && !contains("10.0.0.0/8", "11.0.0.0"));
        assert!(contains("10.1.2.3/8", "10.255.0.1"));
        assert!(contains("0.0.0.0/0", "8.8.8.8") && !contains("0.0.0.0/0", "::1"));
        assert!(contains("fd00::/8", "fdff::1") && contains("[::1]", "::1") && contains("::/0", "2001::1"));
        assert!(contains("192.0.2.1", "192.0.2.1") && !contains("192.0.2.1", "192.0.2.2"));
        for text in ["10.0.0.0/33", "::/129", "10.0.0/8", "10.0.0.0/", "a/8", "", "10.0.0.0/-1"] {
            assert_eq!(Network::parse(text), None, "{text}");
        }
        let within = |a: &str, b: &str| Network::parse(a).unwrap().is_within(&Network::parse(b).unwrap());
        assert!(within("169.254.169.254", "169.254.0.0/16") && !within("0.0.0.0/0", "169.254.0.0/16"));
    }
}
