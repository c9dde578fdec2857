//! An input: files, of which the first is what is built or read. Made from a seed and a number. Pure.

use holdfast_tests::random::Random;

use crate::mutate;
use crate::seeds::Seeds;
use crate::target::Target;
use crate::tree;

/// A file: its path, and its bytes.
pub type File = (String, Vec<u8>);

/// The files of an input.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Input {
    pub files: Vec<File>,
}

/// The largest file of an input, in bytes.
const LARGEST: usize = 256 * 1024;

/// The input of a number: the same for the same seed.
pub fn make(target: Target, seeds: &Seeds, seed: u64, number: u64) -> Input {
    let mut random = Random::new(seed.wrapping_mul(0x2545_F491_4F6C_DD1D) ^ number);
    let mut input = seeds.pick(target, &mut random);
    if target == Target::Patch && random.one_in(6) {
        input.files.iter_mut().take(1).for_each(|(_, bytes)| *bytes = mutate::operations(&mut random));
        return input;
    }
    for _ in 0..random.between(1, 4) {
        let count = input.files.len();
        // What is read first says what is done with the others.
        let at = if random.one_in(3) { 0 } else { random.below(count) };
        let Some((_, bytes)) = input.files.get_mut(at) else { continue };
        *bytes = match random.below(3) {
            _ if target.is_binary() => mutate::raw(bytes, &mut random),
            0 => tree::mutate(bytes, seeds, &mut random)
                .unwrap_or_else(|| mutate::text(bytes, seeds, &mut random)),
            _ => mutate::text(bytes, seeds, &mut random),
        };
        bytes.truncate(LARGEST);
    }
    input
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::make;
    use crate::seeds::Seeds;
    use crate::target::Target;

    #[test]
    fn the_same_seed_gives_the_same_inputs() {
        let seeds = Seeds::read().unwrap();
        for target in Target::ALL {
            let of = |seed: u64| (0..50).map(|number| make(target, &seeds, seed, number)).collect::<Vec<_>>();
            assert_eq!(of(1), of(1));
            assert_ne!(of(1), of(2));
        }
    }
}
