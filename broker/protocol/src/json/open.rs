//! Where a scanner is: inside which arrays and objects.

/// What is open around the present place, innermost last: one bit per level, set for an object. 128 levels, all that
/// `data` may have, need no memory; a hostile message costs a byte for each of its brackets.
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
