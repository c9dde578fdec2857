//! Determines when a Lease of another agent has ended, as client-go does: once it has not changed for its duration, by
//! the clock of this process. The times in it were written by another clock and are not used. Pure.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;

/// The longest duration that is waited for, whatever the Lease contains.
const LONGEST: Duration = Duration::from_mins(1);

/// The Lease as it was last seen, and since when it is unchanged.
#[derive(Default)]
pub struct Observed(Option<(LeaseSpec, Duration)>);

impl Observed {
    /// Records the content of a Lease at a time of the clock of this process.
    pub fn note(&mut self, spec: &LeaseSpec, now: Duration) {
        if self.0.as_ref().is_none_or(|(seen, _)| seen != spec) {
            self.0 = Some((spec.clone(), now));
        }
    }

    /// True if the Lease that was last recorded may be acquired.
    pub fn has_ended(&self, now: Duration) -> bool {
        let Some((spec, since)) = &self.0 else { return false };
        if holder(spec).is_none() {
            return true;
        }
        let duration = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
        now.saturating_sub(*since) > Duration::from_secs(duration).min(LONGEST)
    }
}

/// Returns the identity of the holder of a Lease.
pub fn holder(spec: &LeaseSpec) -> Option<&str> {
    spec.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

#[cfg(test)]
mod tests {
    use jiff::{SignedDuration, Timestamp};
    use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;

    use super::*;

    /// A Lease of 15 s, renewed at a time of a clock that is wrong by so many seconds.
    fn lease(skew: i64, renewal: i64) -> LeaseSpec {
        let time = Timestamp::UNIX_EPOCH + SignedDuration::from_secs(1_000_000 + skew + renewal);
        LeaseSpec {
            holder_identity: Some("other".to_owned()),
            lease_duration_seconds: Some(15),
            renew_time: Some(MicroTime(time)),
            ..LeaseSpec::default()
        }
    }

    #[test]
    fn a_lease_ends_by_the_clock_of_this_process_only() {
        let at = Duration::from_secs;
        for skew in [-3600, -60, 0, 60, 3600] {
            let mut observed = Observed::default();
            assert!(!observed.has_ended(at(0)), "nothing was seen yet");
            // Renewed each 10 s, it never ends, ...
            for renewal in 0_u32..10 {
                let now = at(u64::from(renewal) * 10);
                observed.note(&lease(skew, i64::from(renewal) * 10), now);
                assert!(!observed.has_ended(now) && !observed.has_ended(now + at(10)), "{skew}");
            }
            // ... and seen without a change it does, 15 s later.
            observed.note(&lease(skew, 90), at(105));
            assert!(!observed.has_ended(at(105)), "{skew}");
            assert!(observed.has_ended(at(106)), "{skew}");
        }
    }

    #[test]
    fn a_lease_without_a_holder_is_free_and_no_duration_blocks_for_ever() {
        let mut observed = Observed::default();
        let released = LeaseSpec { holder_identity: Some(String::new()), ..lease(0, 0) };
        observed.note(&released, Duration::ZERO);
        assert!(observed.has_ended(Duration::ZERO));
        observed.note(&LeaseSpec { lease_duration_seconds: Some(i32::MAX), ..lease(0, 0) }, Duration::ZERO);
        assert!(!observed.has_ended(LONGEST));
        assert!(observed.has_ended(LONGEST + Duration::from_secs(1)));
        observed.note(&LeaseSpec { lease_duration_seconds: Some(-1), ..lease(0, 0) }, Duration::ZERO);
        assert!(observed.has_ended(Duration::from_secs(1)));
    }
}
