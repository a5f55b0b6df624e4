//! Templates of times as PostgreSQL writes them (`YYYY-MM-DD HH24:MI:SS.US`), for the functions that the engine has with `%Y-%m-%d`: the same text would
//! else be taken for what it is not, and given back as it stands. Source: PostgreSQL 16, "Data Type Formatting Functions", table 9.31.

use std::fmt::Write as _;

use arrow::datatypes::{DataType, FieldRef};
use datafusion::common::config::ConfigOptions;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::{ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature};
use datafusion::prelude::SessionContext;

/// What a template may have, the longer before what it begins with; and what that is to the engine.
const PARTS: [(&str, &str); 25] = [
    ("YYYY", "%Y"),
    ("YY", "%y"),
    ("HH24", "%H"),
    ("HH12", "%I"),
    ("HH", "%I"),
    ("MI", "%M"),
    ("MM", "%m"),
    ("Month", "%B"),
    ("Mon", "%b"),
    ("DDD", "%j"),
    ("DD", "%d"),
    ("Day", "%A"),
    ("Dy", "%a"),
    ("IYYY", "%G"),
    ("IW", "%V"),
    ("ID", "%u"),
    ("SS", "%S"),
    ("MS", "%3f"),
    ("US", "%6f"),
    ("AM", "%p"),
    ("PM", "%p"),
    ("am", "%P"),
    ("pm", "%P"),
    ("OF", "%:z"),
    ("TZ", "%Z"),
];

/// Registers them in place of the engine's own, which they go on to.
pub fn register(context: &SessionContext) {
    let state = context.state();
    for name in ["to_timestamp", "to_char", "to_date"] {
        if let Some(inner) = state.scalar_functions().get(name) {
            context.register_udf(ScalarUDF::new_from_impl(Templated { inner: inner.as_ref().clone() }));
        }
    }
}

/// The template in the engine's words; one that has a `%` is so already.
fn translated(template: &str) -> Result<String> {
    if template.contains('%') {
        return Ok(template.to_owned());
    }
    let (mut told, mut rest) = (String::new(), template);
    while let Some(next) = rest.chars().next() {
        if let Some((part, own)) = PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            told.push_str(own);
            rest = rest.get(part.len()..).unwrap_or_default();
        } else if let Some((text, after)) = rest.strip_prefix('"').and_then(|rest| rest.split_once('"')) {
            told.push_str(text);
            rest = after;
        } else if next.is_ascii_alphabetic() && next != 'T' {
            let known = PARTS.iter().fold(String::new(), |mut all, (part, _)| {
                let _ = write!(all, " {part}");
                all
            });
            return exec_err!("the template {template:?} has {rest:?}, which is not known here; known are{known}, and text in double quotes");
        } else {
            told.push(next);
            rest = rest.get(next.len_utf8()..).unwrap_or_default();
        }
    }
    Ok(told)
}

/// A function of the engine that takes templates after its first argument.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Templated {
    inner: ScalarUDF,
}

impl ScalarUDFImpl for Templated {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn aliases(&self) -> &[String] {
        self.inner.aliases()
    }

    fn signature(&self) -> &Signature {
        self.inner.signature()
    }

    fn return_type(&self, types: &[DataType]) -> Result<DataType> {
        self.inner.return_type(types)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        self.inner.return_field_from_args(args)
    }

    fn coerce_types(&self, types: &[DataType]) -> Result<Vec<DataType>> {
        self.inner.coerce_types(types)
    }

    fn with_updated_config(&self, config: &ConfigOptions) -> Option<ScalarUDF> {
        Some(ScalarUDF::new_from_impl(Self { inner: self.inner.inner().with_updated_config(config)? }))
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        for argument in args.args.iter_mut().skip(1) {
            if let ColumnarValue::Scalar(scalar) = argument
                && let Some(Some(template)) = scalar.try_as_str()
            {
                let told = Some(translated(template)?);
                *scalar = match scalar.data_type() {
                    DataType::Utf8View => ScalarValue::Utf8View(told),
                    DataType::LargeUtf8 => ScalarValue::LargeUtf8(told),
                    _ => ScalarValue::Utf8(told),
                };
            }
        }
        self.inner.invoke_with_args(args)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_of_postgresql_is_told_in_the_engines_words() {
        assert_eq!(translated("YYYY-MM-DD HH24:MI:SS.US").unwrap(), "%Y-%m-%d %H:%M:%S.%6f");
        assert_eq!(translated("DD Mon YY, HH12:MI AM").unwrap(), "%d %b %y, %I:%M %p");
        assert_eq!(translated("YYYY\"w\"IW").unwrap(), "%Yw%V");
        assert_eq!(translated("YYYY-MM-DDTHH24:MI").unwrap(), "%Y-%m-%dT%H:%M");
        assert_eq!(translated("%Y-%m-%dT%H").unwrap(), "%Y-%m-%dT%H", "the engine's own");
        assert!(translated("YYYY J").unwrap_err().to_string().contains("has \"J\", which is not known here"));
    }

    #[tokio::test]
    async fn functions_take_both_kinds() {
        let context = SessionContext::new();
        register(&context);
        let asked = "SELECT to_char(to_timestamp('2026-10-28 01:02:03.000004', 'YYYY-MM-DD HH24:MI:SS.US'), 'DD.MM.YYYY HH24:MI:SS.US') AS a, \
                     to_char(to_timestamp('2026-01-01 00:00', '%Y-%m-%d %H:%M'), 'YYYY') AS b, CAST(to_date('28.10.2026', 'DD.MM.YYYY') AS VARCHAR) AS c";
        let rows = context.sql(asked).await.unwrap().collect().await.unwrap();
        let shown = arrow::util::pretty::pretty_format_batches(&rows).unwrap().to_string();
        assert!(shown.contains("28.10.2026 01:02:03.000004") && shown.contains("2026-10-28"), "{shown}");
        assert!(context.sql("SELECT to_char(now(), 'Q')").await.unwrap().collect().await.unwrap_err().to_string().contains("known are YYYY"));
    }
}
