//! The OpenAPI description as a model: its operations, their parameters and bodies, and their answers.

use std::collections::BTreeMap;

use axum::http::Method;
use serde_json::Value;

/// The OpenAPI document.
pub(super) struct Description(Value);

/// One operation.
pub(super) struct Operation {
    pub(super) id: String,
    pub(super) method: Method,
    pub(super) path: String,
    pub(super) parameters: Vec<Parameter>,
    /// The schema of the body by media type; empty if the operation has none.
    pub(super) bodies: Vec<(String, Value)>,
    /// The schemas of the answers, by status and media type.
    pub(super) answers: BTreeMap<u16, BTreeMap<String, Value>>,
}

/// One parameter of an operation.
pub(super) struct Parameter {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) schema: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Path,
    Query,
    Header,
}

impl Description {
    pub(super) fn of(document: Value) -> Self {
        Self(document)
    }

    /// A schema of the document by its name.
    pub(super) fn schema(&self, name: &str) -> &Value {
        let schema = &self.0["components"]["schemas"][name];
        assert!(schema.is_object(), "the description has no schema {name}");
        schema
    }

    /// Resolves a reference; any other value is returned as it is.
    pub(super) fn follow<'a>(&'a self, value: &'a Value) -> &'a Value {
        let Some(reference) = value["$ref"].as_str() else { return value };
        let found = self.0.pointer(reference.trim_start_matches('#'));
        found.unwrap_or_else(|| panic!("{reference} does not resolve"))
    }

    pub(super) fn operations(&self) -> Vec<Operation> {
        let paths = self.0["paths"].as_object().unwrap();
        let of_path = |(path, methods): (&String, &Value)| {
            let methods = methods.as_object().unwrap();
            methods.iter().map(|(method, said)| self.operation(path, method, said)).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of_path).collect()
    }

    fn operation(&self, path: &str, method: &str, said: &Value) -> Operation {
        let answers = said["responses"].as_object().unwrap().iter();
        Operation {
            id: said["operationId"].as_str().unwrap().to_owned(),
            method: method.to_uppercase().parse().unwrap(),
            path: path.to_owned(),
            parameters: said["parameters"].as_array().into_iter().flatten().map(Parameter::of).collect(),
            bodies: by_media_type(&said["requestBody"]).into_iter().collect(),
            answers: answers
                .map(|(status, answer)| (status.parse().unwrap(), by_media_type(self.follow(answer))))
                .collect(),
        }
    }

    /// How a value violates its schema, if it does. A member that no schema declares is a violation.
    pub(super) fn fault(&self, at: &str, schema: &Value, value: &Value) -> Option<String> {
        let mut known = Vec::new();
        let undeclared = |known: &[&str]| {
            let object = value.as_object().filter(|_| !known.is_empty())?;
            object
                .keys()
                .find(|key| !known.contains(&key.as_str()))
                .map(|key| format!("{at}/{key} is unknown"))
        };
        self.fault_in(at, schema, value, &mut known).or_else(|| undeclared(&known))
    }

    fn fault_in<'a>(
        &'a self,
        at: &str,
        schema: &'a Value,
        value: &Value,
        known: &mut Vec<&'a str>,
    ) -> Option<String> {
        let schema = self.follow(schema);
        if let Some(all) = schema["allOf"].as_array() {
            return all.iter().find_map(|schema| self.fault_in(at, schema, value, known));
        }
        if let Some(one) = schema["oneOf"].as_array() {
            let fits = one.iter().any(|schema| self.fault_in(at, schema, value, known).is_none());
            return (!fits).then(|| format!("{at} matches none of its schemas"));
        }
        let types = types_of(schema);
        if !types.is_empty() && !types.contains(&type_of(value)) {
            return Some(format!("{at} is {}, not {types:?}", type_of(value)));
        }
        if schema["enum"].as_array().is_some_and(|words| !words.contains(value)) {
            return Some(format!("{at} is not in the enum"));
        }
        if let Some(items) = value.as_array() {
            let mut items = items.iter().enumerate();
            return items.find_map(|(n, item)| self.fault(&format!("{at}/{n}"), &schema["items"], item));
        }
        let object = value.as_object()?;
        let mut required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
        if let Some(name) = required.find(|name| !object.contains_key(*name)) {
            return Some(format!("{at}/{name} is missing"));
        }
        let properties = schema["properties"].as_object()?;
        known.extend(properties.keys().map(String::as_str));
        let mut properties = properties.iter();
        properties.find_map(|(name, schema)| self.fault(&format!("{at}/{name}"), schema, object.get(name)?))
    }
}

impl Parameter {
    fn of(said: &Value) -> Self {
        let place = match said["in"].as_str().unwrap() {
            "path" => Place::Path,
            "query" => Place::Query,
            "header" => Place::Header,
            other => panic!("a parameter in {other}"),
        };
        Self { name: said["name"].as_str().unwrap().to_owned(), place, schema: said["schema"].clone() }
    }
}

impl Operation {
    pub(super) fn parameters_in(&self, place: Place) -> impl Iterator<Item = &Parameter> {
        self.parameters.iter().filter(move |parameter| parameter.place == place)
    }
}

fn by_media_type(said: &Value) -> BTreeMap<String, Value> {
    let content = said["content"].as_object().into_iter().flatten();
    content.map(|(media_type, content)| (media_type.clone(), content["schema"].clone())).collect()
}

/// The types that a schema allows; empty if it declares none.
pub(super) fn types_of(schema: &Value) -> Vec<&str> {
    let types = &schema["type"];
    match types.as_str() {
        Some(one) => vec![one],
        None => types.as_array().into_iter().flatten().filter_map(Value::as_str).collect(),
    }
}

fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}
