//! Writing an object field by field.

use crate::write::{push_number, push_string};

/// An object that is being written. Its keys are our own, and need no escapes.
pub(super) struct Object<'o> {
    out: &'o mut Vec<u8>,
    first: bool,
}

impl<'o> Object<'o> {
    pub(super) fn open(out: &'o mut Vec<u8>) -> Object<'o> {
        out.push(b'{');
        Object { out, first: true }
    }

    /// Continues an object that already has a field.
    pub(super) fn go_on(out: &'o mut Vec<u8>) -> Object<'o> {
        Object { out, first: false }
    }

    /// A message: an object whose first field is its `op`.
    pub(super) fn message(out: &'o mut Vec<u8>, op: &str) -> Object<'o> {
        out.extend_from_slice(b"{\"op\":\"");
        out.extend_from_slice(op.as_bytes());
        out.push(b'"');
        Object { out, first: false }
    }

    /// Begins a field; the value is then written to the returned buffer.
    pub(super) fn key(&mut self, name: &str) -> &mut Vec<u8> {
        self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
        self.out.extend_from_slice(name.as_bytes());
        self.out.extend_from_slice(b"\":");
        self.out
    }

    pub(super) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        push_string(self.key(name), value);
        self
    }

    /// A string, or `null`.
    pub(super) fn text_or_null(&mut self, name: &str, value: Option<&str>) -> &mut Self {
        match value {
            Some(value) => self.text(name, value),
            None => self.raw(name, b"null"),
        }
    }

    pub(super) fn number(&mut self, name: &str, value: u64) -> &mut Self {
        push_number(self.key(name), value);
        self
    }

    /// A number, or no field if there is none.
    pub(super) fn number_if(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.number(name, value),
            None => self,
        }
    }

    /// A number, or `null`.
    pub(super) fn number_or_null(&mut self, name: &str, value: Option<u64>) -> &mut Self {
        match value {
            Some(value) => self.number(name, value),
            None => self.raw(name, b"null"),
        }
    }

    pub(super) fn flag(&mut self, name: &str, value: bool) -> &mut Self {
        self.raw(name, if value { b"true" } else { b"false" })
    }

    /// Finished JSON text.
    pub(super) fn raw(&mut self, name: &str, value: &[u8]) -> &mut Self {
        self.key(name).extend_from_slice(value);
        self
    }

    /// The `id` of the request, if it had one.
    pub(super) fn id(&mut self, id: Option<&[u8]>) -> &mut Self {
        match id {
            Some(id) => self.raw("id", id),
            None => self,
        }
    }

    /// An array, each element written by `write`.
    pub(super) fn list<T>(
        &mut self,
        name: &str,
        elements: impl IntoIterator<Item = T>,
        mut write: impl FnMut(&mut Vec<u8>, T),
    ) -> &mut Self {
        let out = self.key(name);
        out.push(b'[');
        for (number, element) in elements.into_iter().enumerate() {
            if number > 0 {
                out.push(b',');
            }
            write(out, element);
        }
        out.push(b']');
        self
    }

    pub(super) fn close(&mut self) {
        self.out.push(b'}');
    }
}
