//! Puts together a data key that was shared among key groups, by Shamir's scheme over GF(256) with the polynomial of AES.
//!
//! A share is the bytes of the key at one point, and at its end the point. Pure.

use zeroize::Zeroizing;

use super::scalar::Secret;

/// The secret of at least two shares. None if the shares are not of one secret's form.
pub(super) fn combine(shares: &[Secret]) -> Option<Secret> {
    let length = shares.first()?.len();
    let points: Vec<u8> = shares.iter().filter_map(|share| share.last().copied()).collect();
    let distinct = points.iter().enumerate().all(|(at, point)| *point != 0 && !points[..at].contains(point));
    if shares.len() < 2 || length < 2 || shares.iter().any(|share| share.len() != length) || !distinct {
        return None;
    }
    let mut secret = Zeroizing::new(vec![0; length - 1]);
    for (share, point) in shares.iter().zip(&points) {
        let weight = weight_at_zero(*point, &points);
        for (byte, value) in secret.iter_mut().zip(share.iter()) {
            *byte ^= multiply(*value, weight);
        }
    }
    Some(secret)
}

/// Lagrange's basis polynomial of a point, at zero.
fn weight_at_zero(point: u8, points: &[u8]) -> u8 {
    points
        .iter()
        .filter(|other| **other != point)
        .fold(1, |weight, other| multiply(weight, multiply(*other, inverse(*other ^ point))))
}

fn multiply(a: u8, b: u8) -> u8 {
    (0..8).rev().fold(0, |sum: u8, bit| {
        let doubled = (sum << 1) ^ (0x1B & (sum >> 7).wrapping_neg());
        doubled ^ (a & ((b >> bit) & 1).wrapping_neg())
    })
}

/// The 254th power.
fn inverse(value: u8) -> u8 {
    let mut power = value;
    for _ in 0..6 {
        power = multiply(multiply(power, power), value);
    }
    multiply(power, power)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_has_an_inverse() {
        for value in 1..=255 {
            assert_eq!(multiply(value, inverse(value)), 1, "{value}");
        }
    }

    #[test]
    fn two_points_of_a_line_give_its_start() {
        // y = 42 + 7x
        let share = |x: u8| Zeroizing::new(vec![42 ^ multiply(7, x), x]);
        let combined = combine(&[share(3), share(9)]).map(|secret| secret.to_vec());
        assert_eq!(combined, Some(vec![42]));
        assert!(combine(&[share(3)]).is_none());
        assert!(combine(&[share(3), share(3)]).is_none());
    }
}
