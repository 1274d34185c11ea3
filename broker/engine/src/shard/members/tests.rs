use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use super::*;

#[test]
fn against_a_plain_list() {
    for seed in 0..50 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut members = Members::default();
        let mut model: Vec<(ConnId, Step)> = Vec::new();
        for conn in 0..400 {
            if random.random_bool(0.55) || model.is_empty() {
                let step = if random.random_bool(0.5) { 0 } else { random.random_range(1..13) };
                members.add(conn, step);
                model.push((conn, step));
            } else {
                let (conn, step) = model.swap_remove(random.random_range(0..model.len()));
                members.remove(conn, step);
            }
            let mut each = Vec::new();
            members.each(|conn, step| each.push((conn, step)));
            each.sort_unstable();
            model.sort_unstable();
            assert_eq!(each, model, "seed {seed}");
            assert_eq!(members.is_empty(), model.is_empty());
            let steps = model.iter().filter(|(_, step)| *step > 0).fold(0, |steps, (_, step)| steps | 1 << step);
            assert_eq!(members.steps, steps, "seed {seed}");
        }
    }
}
