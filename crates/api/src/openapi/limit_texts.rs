//! The limits of a server in the texts of its description. The doc comments of the fields contain no configurable numbers.

use utoipa::openapi::{OpenApi, RefOr, Schema};

use crate::settings::ApiSettings;

/// The path and the name of the parameter whose limit is configurable.
const STATUS_PATH: &str = "/v1/batch/{batch_id}/status";
const WAIT: &str = "wait";

/// Appends the limits of these settings to the descriptions of the fields and parameters to which they apply.
pub(super) fn append_limits(description: &mut OpenApi, settings: &ApiSettings) {
    let ApiSettings { max_essays, max_text_size, max_labels, max_label_key, max_label_value, .. } = settings;
    let text = format!("At most {} bytes.", max_text_size.as_u64());
    let labels = format!(
        "At most {max_labels} labels, with at most {max_label_key} characters in a key and {max_label_value} in a value."
    );
    append_to_field(description, "BatchRequest", "essays", &format!("At most {max_essays} essays."));
    append_to_field(description, "BatchRequest", "labels", &labels);
    append_to_field(description, "EssayRequest", "text", &text);
    append_to_field(description, "TriggerRequest", "text", &text);
    let wait = humantime::format_duration(settings.status_wait_limit);
    append_to_wait(description, &format!("The longest wait is {wait}."));
}

fn append_to_field(description: &mut OpenApi, schema: &str, field: &str, sentence: &str) {
    let Some(components) = &mut description.components else { return };
    let Some(RefOr::T(Schema::Object(schema))) = components.schemas.get_mut(schema) else { return };
    let Some(RefOr::T(field)) = schema.properties.get_mut(field) else { return };
    if let Schema::Array(array) = field {
        append(&mut array.description, sentence);
    } else if let Schema::Object(object) = field {
        append(&mut object.description, sentence);
    }
}

fn append_to_wait(description: &mut OpenApi, sentence: &str) {
    let Some(item) = description.paths.paths.get_mut(STATUS_PATH) else { return };
    let Some(operation) = &mut item.get else { return };
    for parameter in operation.parameters.iter_mut().flatten() {
        if let RefOr::T(parameter) = parameter
            && parameter.name == WAIT
        {
            append(&mut parameter.description, sentence);
        }
    }
}

fn append(description: &mut Option<String>, sentence: &str) {
    let description = description.get_or_insert_default();
    if !description.is_empty() {
        description.push(' ');
    }
    description.push_str(sentence);
}
