//! The addresses at which a client may connect, and the present one. Nothing here does I/O.

use rand::Rng;
use rand::seq::SliceRandom;

use crate::error::ConnectError;
use crate::options::Options;
use crate::transport::Target;

/// The addresses, in the order in which this client tries them.
#[derive(Debug)]
pub(crate) struct Addresses {
    /// At least one.
    targets: Vec<Target>,
    /// The index of the present one.
    at: usize,
    /// How many have failed in a row.
    failed: usize,
}

impl Addresses {
    /// Reads the addresses of the options, each once. Each client goes through them in a random order of its own, so
    /// that the clients of a broker that ends do not all go to the same other one.
    pub(crate) fn new(options: &Options, random: &mut impl Rng) -> Result<Addresses, ConnectError> {
        let mut targets: Vec<Target> = Vec::new();
        for url in std::iter::once(&options.url).chain(&options.other_urls) {
            let target = Target::parse(url)?;
            if !targets.iter().any(|other| other.is_same_endpoint(&target)) {
                targets.push(target);
            }
        }
        if options.shuffle {
            targets.shuffle(random);
        }
        Ok(Addresses { targets, at: 0, failed: 0 })
    }

    /// That of the present connection, or of the next attempt.
    pub(crate) fn present(&self) -> &Target {
        &self.targets[self.at]
    }

    pub(crate) fn count(&self) -> usize {
        self.targets.len()
    }

    /// The indices of the others, the next one first.
    pub(crate) fn others(&self) -> impl Iterator<Item = usize> + use<> {
        let (at, count) = (self.at, self.count());
        (1..count).map(move |step| (at + step) % count)
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Target> {
        self.targets.get(index)
    }

    /// Goes to the address with this index.
    pub(crate) fn move_to(&mut self, index: usize) {
        self.at = index % self.count();
    }

    /// Records that the present one failed, and goes to the next. Returns whether all have failed in a row.
    pub(crate) fn failed(&mut self) -> bool {
        self.at = (self.at + 1) % self.count();
        self.failed += 1;
        self.failed >= self.count()
    }

    /// Counts failures in a row from zero.
    pub(crate) fn count_anew(&mut self) {
        self.failed = 0;
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::*;

    fn names(addresses: &Addresses) -> Vec<String> {
        addresses.targets.iter().map(|target| target.address.clone()).collect()
    }

    #[test]
    fn each_is_there_once_in_the_order_of_the_list_if_it_is_not_shuffled() {
        let mut options = Options::any_of(["ws://a", "https://b:1/", "ws://c/path", "http://a:80/v1/ws"]);
        options.shuffle = false;
        let mut addresses = Addresses::new(&options, &mut rand::rng()).unwrap();
        assert_eq!(names(&addresses), ["a:80", "b:1", "c:80"]);
        assert!(!addresses.failed());
        assert_eq!((addresses.present().address.as_str(), addresses.others().collect()), ("b:1", vec![2, 0]));
        assert!(!addresses.failed());
        assert!(addresses.failed());
        addresses.count_anew();
        addresses.move_to(2);
        assert!(!addresses.failed());
        assert_eq!(addresses.present().address, "a:80");
    }

    #[test]
    fn every_order_comes_up() {
        let options = Options::new("ws://a").also("ws://b").also("ws://c");
        let orders: BTreeSet<_> =
            (0..200).map(|seed| names(&Addresses::new(&options, &mut StdRng::seed_from_u64(seed)).unwrap())).collect();
        assert_eq!(orders.len(), 6);
    }

    #[test]
    fn one_wrong_address_is_named() {
        let wrong = |options: Options| Addresses::new(&options, &mut rand::rng()).unwrap_err().to_string();
        assert!(wrong(Options::new("ws://a").also("ftp://b")).contains("\"ftp://b\""));
        assert!(wrong(Options::any_of([""; 0])).contains("at least one"));
    }
}
