//! Which Availability Zone an address lies in, by the subnets of the database.

use std::net::IpAddr;
use std::str::FromStr;

use steadfast_core::topology::Az;

/// The subnets of a database by zone. Read from `eu-central-1a=10.0.1.0/24,eu-central-1b=10.0.2.0/24`; a zone may
/// stand there several times.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnets(Vec<(Az, Block)>);

/// A CIDR block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Block {
    address: IpAddr,
    /// How many leading bits count.
    prefix: u8,
}

/// What is no list of subnets, or none that is of use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no ZONE=ADDRESS/BITS, or overlaps the subnet of another zone")]
pub struct SubnetError(String);

impl Subnets {
    /// The zone of the subnet that holds this address.
    pub fn zone(&self, address: IpAddr) -> Option<&Az> {
        self.0.iter().find(|(_, block)| block.contains(address)).map(|(az, _)| az)
    }
}

impl FromStr for Subnets {
    type Err = SubnetError;

    fn from_str(text: &str) -> Result<Self, SubnetError> {
        let mut subnets: Vec<(Az, Block)> = Vec::new();
        for item in text.split(',').map(str::trim) {
            let refused = || SubnetError(item.to_owned());
            let (az, block) = item.split_once('=').ok_or_else(refused)?;
            let (az, block) = (az.trim(), Block::read(block.trim()).ok_or_else(refused)?);
            let is_taken = subnets.iter().any(|(other, known)| other.as_str() != az && known.overlaps(&block));
            if az.is_empty() || is_taken {
                return Err(refused());
            }
            subnets.push((Az::new(az), block));
        }
        Ok(Self(subnets))
    }
}

impl Block {
    fn read(text: &str) -> Option<Self> {
        let (address, prefix) = text.split_once('/')?;
        let block = Self { address: address.parse().ok()?, prefix: prefix.parse().ok()? };
        (block.prefix <= block.bits()).then_some(block)
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(own), IpAddr::V4(other)) => {
                let host_bits = 32_u32.saturating_sub(u32::from(self.prefix));
                (u32::from(own) ^ u32::from(other)).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V6(own), IpAddr::V6(other)) => {
                let host_bits = 128_u32.saturating_sub(u32::from(self.prefix));
                (u128::from(own) ^ u128::from(other)).checked_shr(host_bits).unwrap_or(0) == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }

    fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.address) || other.contains(self.address)
    }

    fn bits(&self) -> u8 {
        match self.address {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zone(subnets: &str, address: &str) -> Option<String> {
        let subnets: Subnets = subnets.parse().expect("subnets");
        subnets.zone(address.parse().expect("an address")).map(ToString::to_string)
    }

    #[test]
    fn an_address_lies_in_the_zone_whose_subnet_holds_it() {
        let subnets = "az-a=10.0.1.0/24, az-b=10.0.2.0/25,az-b=10.0.2.128/25,az-a=2001:db8:1::/64,az-b=2001:db8:2::/64";
        for (address, in_zone) in [
            ("10.0.1.0", Some("az-a")),
            ("10.0.1.255", Some("az-a")),
            ("10.0.2.127", Some("az-b")),
            ("10.0.2.128", Some("az-b")),
            ("10.0.3.1", None),
            ("2001:db8:1::7", Some("az-a")),
            ("2001:db8:2:0:ffff::", Some("az-b")),
            ("2001:db8:3::1", None),
            ("::ffff:10.0.1.9", Some("az-a")),
        ] {
            assert_eq!(zone(subnets, address).as_deref(), in_zone, "{address}");
        }
        assert_eq!(zone("az-a=0.0.0.0/0", "8.8.8.8").as_deref(), Some("az-a"));
        assert_eq!(zone("az-a=10.0.0.1/32", "10.0.0.2"), None);
    }

    #[test]
    fn what_is_no_subnet_or_lies_in_two_zones_is_refused() {
        for text in [
            "",
            "az-a",
            "10.0.1.0/24",
            "=10.0.1.0/24",
            "az-a=10.0.1.0",
            "az-a=10.0.1.0/33",
            "az-a=::/129",
            "az-a=ten/8",
            "az-a=10.0.1.0/24,",
            "az-a=10.0.0.0/16,az-b=10.0.1.0/24",
            "az-a=10.0.1.0/24,az-b=10.0.0.0/16",
        ] {
            assert!(text.parse::<Subnets>().is_err(), "{text}");
        }
        assert!("az-a=10.0.0.0/16,az-a=10.0.1.0/24".parse::<Subnets>().is_ok(), "one zone may say it twice");
    }
}
