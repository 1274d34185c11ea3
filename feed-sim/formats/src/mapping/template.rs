//! Topics with placeholders: `iot.{device}.{sensor}`.

use std::borrow::Cow;

use super::FieldId;
use broker_protocol::topic::{check_topic, is_reserved};

/// The text and the fields of a topic, in order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(FieldId),
}

impl Template {
    /// Reads a template. `field` returns the id of a field's name.
    pub(super) fn parse(text: &str, mut field: impl FnMut(&str) -> FieldId) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("a {{ has no }} in {text:?}"))?;
            if name.is_empty() || name.contains('{') {
                return Err(format!("{{{name}}} in {text:?} does not name a field"));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field(name)));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Template(parts);
        // Filled with valid values, so that an error is reported now and not with every record.
        template.fill(|_| Ok(Cow::Borrowed("x")))?;
        Ok(template)
    }

    /// Returns the topic with the values of its fields.
    pub(crate) fn fill<'a>(
        &self,
        mut value: impl FnMut(FieldId) -> Result<Cow<'a, str>, String>,
    ) -> Result<String, String> {
        let mut topic = String::new();
        for part in &self.0 {
            match part {
                Part::Text(text) => topic.push_str(text),
                Part::Field(field) => {
                    let value = value(*field)?;
                    // The value would be two segments, which no subscriber expects.
                    if value.contains('.') {
                        return Err(format!("{value:?} contains a dot and cannot be a segment of a topic"));
                    }
                    topic.push_str(&value);
                }
            }
        }
        check_topic(&topic).map_err(|error| error.to_string())?;
        if is_reserved(&topic) {
            return Err(format!("{topic:?}: topics that begin with $ are the broker's own"));
        }
        Ok(topic)
    }
}
