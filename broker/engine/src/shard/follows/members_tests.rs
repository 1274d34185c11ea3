use std::collections::BTreeMap;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

#[test]
fn against_a_plain_list() {
    for seed in 0..50 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut members = Members::default();
        // The index of each member, as its connection keeps it.
        let mut model: BTreeMap<ConnId, (Step, u32)> = BTreeMap::new();
        for conn in 0..400 {
            if random.random_bool(0.55) || model.is_empty() {
                let step = if random.random_bool(0.5) { 0 } else { random.random_range(1..13) };
                let at = members.add(conn, step);
                model.insert(conn, (step, at));
            } else {
                let left = *model.keys().nth(random.random_range(0..model.len())).unwrap();
                let (step, at) = model.remove(&left).unwrap();
                assert_eq!(members.at(at, step), Some(left));
                if let Some(moved) = members.remove(at, step) {
                    model.get_mut(&moved).unwrap().1 = at;
                }
            }
            let mut each = Vec::new();
            members.each(|conn, step| each.push((conn, step)));
            each.sort_unstable();
            assert_eq!(each, model.iter().map(|(conn, (step, _))| (*conn, *step)).collect::<Vec<_>>(), "seed {seed}");
            assert_eq!((members.is_empty(), members.len()), (model.is_empty(), model.len()));
            for (conn, (step, at)) in &model {
                assert_eq!(members.at(*at, *step), Some(*conn), "seed {seed}");
            }
            let steps = model.values().filter(|(step, _)| *step > 0).fold(0, |steps, (step, _)| steps | 1 << step);
            assert_eq!(members.steps(), steps, "seed {seed}");
        }
    }
}
