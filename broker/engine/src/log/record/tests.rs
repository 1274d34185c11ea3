//! The bytes of every entry, what is refused, and any bytes at all.

mod any;
mod flaws;
mod golden;

use super::{Entry, Record, RecordError, RecordWriter};

/// Encodes a record.
fn encode(record: &Record<'_>) -> Vec<u8> {
    let mut writer = RecordWriter::new(record.session, record.number);
    for command in &record.commands {
        writer.add(command).expect("the command is valid");
    }
    writer.finish()
}

/// Decodes bytes, which if they are a record must be its only form.
fn decode(bytes: &[u8]) -> Result<Record<'_>, RecordError> {
    let record = Record::decode(bytes)?;
    assert_eq!(encode(&record), bytes, "{record:?}");
    Ok(record)
}

/// Encodes a record of one command.
fn alone(entry: &Entry<'_>) -> Vec<u8> {
    encode(&Record { session: 0x0102, number: 0, commands: vec![entry.clone()] })
}
