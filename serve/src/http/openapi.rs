//! The OpenAPI document: made of what the questions declare, so that it cannot say anything else than they do.

use axum::Json;
use keytrail_query::{Argument, ArgumentKind, Description, functions};
use keytrail_schemas::Column;
use serde_json::{Value, json};
use utoipa::openapi::path::{OperationBuilder, ParameterBuilder, ParameterIn};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, Content, HttpMethod, InfoBuilder, OpenApiBuilder, PathItem, PathsBuilder, Ref, RefOr, Required, ResponseBuilder, ResponsesBuilder,
    Schema, SecurityRequirement, header::HeaderBuilder, request_body::RequestBodyBuilder,
};

use super::COVERAGE_HEADER;
use crate::format::Format;

/// The version of OpenAPI that tools read today; nothing in the document needs a later one.
const OPENAPI: &str = "3.1.0";
/// What a time may look like; whether it is one is looked at when it is read.
const TIME: &str = r"^([0-9]{4}-[0-9]{2}-[0-9]{2}.*|-[0-9]+[smhdw]|now|today|yesterday)$";

/// The document.
pub async fn document() -> Json<Value> {
    Json(built())
}

fn built() -> Value {
    let mut paths = PathsBuilder::new();
    for function in functions() {
        paths = paths.path(format!("/v1/{}", function.name), PathItem::new(HttpMethod::Get, question(&function)));
    }
    let explain = operation("explain", "A finding whole: baseline, evidence, lineage, what could not be assessed.")
        .parameter(parameter("finding", ParameterIn::Path, "The finding's id, or a fragment that only one holds.", json!({ "type": "string", "minLength": 1 })))
        .responses(answers(
            vec![(
                Format::Json.media_type(),
                json!({ "type": "object", "required": ["finding", "text", "coverage"], "properties": { "finding": { "type": "object" }, "text": { "type": "string" }, "coverage": { "type": "string" } } }),
            )],
            true,
        ));
    let sql = operation("sql", "One statement of SQL that only reads, over the tables and the questions.")
        .parameter(format_parameter())
        .request_body(Some(
            RequestBodyBuilder::new()
                .required(Some(Required::True))
                .content(
                    "application/json",
                    content(json!({ "type": "object", "required": ["sql"], "additionalProperties": false, "properties": { "sql": { "type": "string", "description": "The statement." } } })),
                )
                .build(),
        ))
        .responses(answers(formats(json!({ "type": "object" })), true));
    let live = operation("live", "Findings as they come: server-sent events named `finding`, one JSON object each.")
        .responses(answers(vec![("text/event-stream", json!({ "type": "string" }))], false));
    let tokens = operation("tokens", "Who has a token; for admins.").responses(answers(
        vec![(
            "application/json",
            json!({ "type": "object", "required": ["rows"], "properties": { "rows": { "type": "array", "items": { "type": "object", "required": ["id", "name", "role", "questions", "state"] } } } }),
        )],
        false,
    ));
    let paths = paths
        .path("/v1/explain/{finding}", PathItem::new(HttpMethod::Get, explain))
        .path("/v1/sql", PathItem::new(HttpMethod::Post, sql))
        .path("/v1/live", PathItem::new(HttpMethod::Get, live))
        .path("/v1/tokens", PathItem::new(HttpMethod::Get, tokens));
    let problem = json!({
        "type": "object", "required": ["error"],
        "properties": { "error": { "type": "object", "required": ["code", "message", "names"], "properties": {
            "code": { "type": "string" }, "message": { "type": "string" },
            "names": { "type": "array", "items": { "type": "string" }, "description": "The nearest names, or those that the text fits." },
        } } },
    });
    let components =
        ComponentsBuilder::new().schema("Problem", schema(problem)).security_scheme("token", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer))).build();
    let document = OpenApiBuilder::new()
        .info(
            InfoBuilder::new()
                .title("keytrail")
                .version(env!("CARGO_PKG_VERSION"))
                .description(Some("The questions, read-only. Each answer ends with its coverage line: what it cannot know."))
                .build(),
        )
        .paths(paths)
        .components(Some(components))
        .security(Some([SecurityRequirement::new("token", Vec::<String>::new())]))
        .build();
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["openapi"] = OPENAPI.into();
    document
}

fn operation(id: &str, doc: &str) -> OperationBuilder {
    OperationBuilder::new().operation_id(Some(id)).summary(Some(doc))
}

fn question(function: &Description) -> OperationBuilder {
    let mut operation = operation(function.name, function.doc);
    for argument in function.arguments {
        operation = operation.parameter(argument_parameter(argument));
    }
    let row = json!({
        "type": "object",
        "required": function.columns.iter().map(|column| column.name).collect::<Vec<_>>(),
        "properties": function.columns.iter().map(|column: &Column| (column.name.to_owned(), column.json_schema())).collect::<serde_json::Map<_, _>>(),
    });
    operation.parameter(format_parameter()).responses(answers(formats(row), true))
}

fn argument_parameter(argument: &Argument) -> ParameterBuilder {
    let schema = match argument.kind {
        ArgumentKind::Text => json!({ "type": "string", "minLength": 1 }),
        ArgumentKind::Time => json!({ "type": "string", "pattern": TIME }),
        ArgumentKind::Count => json!({ "type": "integer", "minimum": 1, "maximum": 16 }),
    };
    let required = if argument.required { Required::True } else { Required::False };
    parameter(argument.name, ParameterIn::Query, argument.doc(), schema).required(required)
}

fn format_parameter() -> ParameterBuilder {
    let names: Vec<_> = Format::OFFERED.iter().map(|format| format.name()).collect();
    parameter("format", ParameterIn::Query, "How the answer is written; else what Accept names.", json!({ "type": "string", "enum": names }))
        .required(Required::False)
}

fn parameter(name: &str, place: ParameterIn, doc: &str, of: Value) -> ParameterBuilder {
    ParameterBuilder::new().name(name).parameter_in(place).required(Required::True).description(Some(doc)).schema(Some(schema(of)))
}

/// Rows in every offered format.
fn formats(row: Value) -> Vec<(&'static str, Value)> {
    Format::OFFERED
        .iter()
        .map(|format| {
            let body = match format {
                Format::Json | Format::JsonArray => json!({
                    "type": "object", "required": ["rows", "coverage"],
                    "properties": { "rows": { "type": "array", "items": row }, "coverage": { "type": "string", "description": "What the answer cannot know." } },
                }),
                Format::Ndjson | Format::Csv => json!({ "type": "string" }),
                Format::Arrow | Format::Parquet => json!({ "type": "string", "format": "binary" }),
            };
            (format.media_type(), body)
        })
        .collect()
}

fn answers(bodies: Vec<(&'static str, Value)>, has_coverage: bool) -> ResponsesBuilder {
    let mut answer = ResponseBuilder::new().description("The answer.");
    for (media_type, body) in bodies {
        answer = answer.content(media_type, content(body));
    }
    if has_coverage {
        answer = answer
            .header(COVERAGE_HEADER, HeaderBuilder::new().schema(Some(schema(json!({ "type": "string" })))).description(Some("The coverage line.")).build());
    }
    let mut all = ResponsesBuilder::new().response("200", answer);
    for (status, doc) in [
        ("400", "The request cannot be read, or asks for what does not go."),
        ("401", "No token in force was shown."),
        ("403", "The token does not allow it."),
        ("404", "No such name; the nearest are named."),
        ("406", "There is no such format."),
        ("409", "The text fits several names; they are listed."),
        ("413", "The body is too long."),
        ("415", "The body is no JSON."),
        ("422", "A limit of time, rows or memory stopped it, or a value in it cannot be calculated with; the message says what to do."),
        ("429", "Too much at once; ask again."),
        ("503", "The lake is out of reach."),
    ] {
        let problem = Content::new(Some(RefOr::<Schema>::Ref(Ref::from_schema_name("Problem"))));
        all = all.response(status, ResponseBuilder::new().description(doc).content("application/json", problem));
    }
    all
}

fn content(body: Value) -> Content {
    Content::new(Some(schema(body)))
}

/// A schema as utoipa holds it. What is given is written in this file or made of columns, and is one.
fn schema(of: Value) -> RefOr<Schema> {
    serde_json::from_value::<RefOr<Schema>>(of).unwrap_or_else(|_| RefOr::T(Schema::default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_question_stands_in_the_document_with_its_arguments_and_columns() {
        let document = built();
        for function in functions() {
            let operation = &document["paths"][format!("/v1/{}", function.name)]["get"];
            let parameters: Vec<_> = operation["parameters"].as_array().unwrap().iter().map(|parameter| parameter["name"].as_str().unwrap()).collect();
            let declared: Vec<_> = function.arguments.iter().map(|argument| argument.name).chain(["format"]).collect();
            assert_eq!(parameters, declared);
            let row = &operation["responses"]["200"]["content"]["application/json"]["schema"]["properties"]["rows"]["items"];
            for column in function.columns {
                assert_eq!(row["properties"][column.name]["type"], column.json_schema()["type"], "{}.{}", function.name, column.name);
            }
        }
        assert_eq!(document["openapi"], OPENAPI);
        assert_eq!(document["security"], json!([{ "token": [] }]));
    }
}
