//! Topics with places in them: `iot.{device}.{sensor}`.

use std::borrow::Cow;

use super::FieldId;
use broker_protocol::topic::{check_topic, is_reserved};

/// A topic's text and fields, in turn.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Debug, Clone, PartialEq)]
enum Part {
    Text(String),
    Field(FieldId),
}

impl Template {
    /// `field` gives a field's name its id.
    pub(super) fn parse(text: &str, mut field: impl FnMut(&str) -> FieldId) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            let (name, after) = after.split_once('}').ok_or_else(|| format!("a {{ has no }} in {text:?}"))?;
            if name.is_empty() || name.contains('{') {
                return Err(format!("{{{name}}} in {text:?} is no name of a field"));
            }
            parts.push(Part::Text(before.to_owned()));
            parts.push(Part::Field(field(name)));
            rest = after;
        }
        parts.push(Part::Text(rest.to_owned()));
        let template = Template(parts);
        // With something harmless in its places, so that a mistake is told now and not with every record.
        template.fill(|_| Ok(Cow::Borrowed("x")))?;
        Ok(template)
    }

    /// The topic with the values of its fields.
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
                    // It would be two segments, and nobody who subscribes counts on that.
                    if value.contains('.') {
                        return Err(format!("{value:?} has a dot in it and cannot be part of a topic"));
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
