//! Any text as `data`: it is accepted if serde_json accepts it, and carried without white space outside strings.
#![no_main]

use broker_fuzz::{compact, is_json};
use broker_protocol::{Data, DataError};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match Data::check(text) {
        Ok(data) => {
            assert!(is_json(text));
            let mut out = Vec::new();
            data.append_compact(&mut out);
            let carried = String::from_utf8(out).expect("text");
            assert_eq!(carried, compact(text));
            let again = Data::check(&carried).expect("still valid");
            assert_eq!(again.raw(), carried);
            let patch = Data::check_patch(text);
            assert_eq!(patch.is_ok(), Data::check_patch(&carried).is_ok());
            assert!(patch.is_err() || data.is_object());
        }
        Err(DataError::TooDeep { levels }) => assert!(levels > 128 && is_json(text)),
        Err(error) => assert!(matches!(error, DataError::Syntax(_)) && !is_json(text), "{error}"),
    }
});
