//! The position of a scanner: which arrays and objects it is inside.

/// The brackets that are open at the present position, innermost last: one bit per level, set for an object. 128
/// levels, the maximum for `data`, need no allocation; a hostile message costs one byte for each further bracket.
#[derive(Default)]
pub(super) struct Open {
    near: u128,
    deep: Vec<bool>,
    pub(super) levels: u32,
}

impl Open {
    pub(super) fn push(&mut self, object: bool) {
        if self.levels < u128::BITS {
            self.near = self.near << 1 | u128::from(object);
        } else {
            self.deep.push(object);
        }
        self.levels += 1;
    }

    pub(super) fn pop(&mut self) {
        self.levels -= 1;
        if self.levels < u128::BITS {
            self.near >>= 1;
        } else {
            self.deep.pop();
        }
    }

    pub(super) fn in_object(&self) -> bool {
        self.deep.last().copied().unwrap_or(self.near & 1 == 1)
    }
}
