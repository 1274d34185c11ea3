use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

fn name(random: &mut StdRng, wildcards: bool) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for _ in 0..random.random_range(1..5) {
        let wild = wildcards && random.random_bool(0.4);
        segments.push(if wild { "*" } else { ["a", "b", "ab", "$S", "-"][random.random_range(0..5)] });
    }
    if wildcards && random.random_bool(0.3) {
        segments.push(">");
    }
    segments.join(".")
}

#[test]
fn finds_what_trying_each_finds() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut trie: Trie<u32> = Trie::default();
        let mut model: BTreeMap<String, u32> = BTreeMap::new();
        for round in 0..60 {
            let text = name(&mut random, true);
            let Ok(pattern) = Pattern::parse(&text) else { continue };
            if random.random_bool(0.3) {
                assert_eq!(trie.remove(&pattern), model.remove(&text), "seed {seed}: remove {text}");
            } else {
                let value = *trie.entry(&pattern, || round);
                assert_eq!(value, *model.entry(text.clone()).or_insert(round), "seed {seed}: entry {text}");
            }
            assert_eq!(trie.get(&pattern), model.get(&text), "seed {seed}: get {text}");
            let topic = name(&mut random, false);
            let mut found = Vec::new();
            trie.matching(&topic, |value| found.push(*value));
            found.sort_unstable();
            let matches = |(text, _): &(&String, &u32)| Pattern::parse(text).is_ok_and(|p| p.matches(&topic));
            let mut expected: Vec<u32> = model.iter().filter(matches).map(|(_, value)| *value).collect();
            expected.sort_unstable();
            assert_eq!(found, expected, "seed {seed}: {topic} among {:?}", model.keys());
        }
        for text in model.keys() {
            let pattern = Pattern::parse(text).expect("it was one before");
            assert!(trie.remove(&pattern).is_some());
        }
        assert!(trie.root.is_empty(), "seed {seed}: nodes are left behind");
    }
}

#[test]
fn a_sum_in_portions_is_the_sum_in_one() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut trie: Trie<u64> = Trie::default();
        for _ in 0..60 {
            if let Ok(pattern) = Pattern::parse(&name(&mut random, true)) {
                *trie.entry(&pattern, || 0) += random.random_range(1..5);
            }
        }
        for _ in 0..40 {
            let topic = name(&mut random, false);
            let mut expected = 0;
            trie.matching(&topic, |value| expected += value);
            let (mut sum, mut visited) = (Sum::default(), 0);
            loop {
                let steps = random.random_range(0..4);
                let mut left = steps;
                let complete = trie.add_up(&topic, &mut sum, &mut left);
                visited += steps - left;
                if complete {
                    break;
                }
                assert_eq!(left, 0, "seed {seed}: {topic} stopped with steps left");
            }
            assert_eq!(sum.value, expected, "seed {seed}: {topic}");
            assert!(visited <= 1 << (topic.split('.').count() + 1), "seed {seed}: {topic} took {visited} steps");
        }
    }
}

#[test]
fn a_sum_outlives_the_nodes_that_it_stopped_at() {
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut trie: Trie<u64> = Trie::default();
        let mut patterns = Vec::new();
        for _ in 0..60 {
            if let Ok(pattern) = Pattern::parse(&name(&mut random, true)) {
                trie.entry(&pattern, || 1);
                patterns.push(pattern);
            }
        }
        let topic = name(&mut random, false);
        let all = patterns.iter().filter(|pattern| pattern.matches(&topic)).count() as u64;
        let mut sum = Sum::default();
        while !trie.add_up(&topic, &mut sum, &mut 1) {
            if let Some(pattern) = patterns.pop() {
                trie.remove(&pattern);
            }
        }
        assert!(sum.value <= all, "seed {seed}: {topic} counts {} of {all}", sum.value);
    }
}
