//! Functions of PostgreSQL that answer the same here whatever they are asked: who has no locks, sequences and types of its own need not look.

use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::{ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility};
use datafusion::prelude::SessionContext;
use datafusion_postgres::pgwire::api::auth::DefaultServerParameterProvider;

/// Registers them.
pub fn register(context: &SessionContext) {
    // SQLAlchemy reads PostgreSQL's number out of it, and goes no further where there is none.
    let version = format!("PostgreSQL {} (keytrail {})", DefaultServerParameterProvider::default().server_version, env!("CARGO_PKG_VERSION"));
    for (name, answer) in [
        ("version", ScalarValue::from(version.as_str())),
        // asyncpg's pool calls it when a connection is given back.
        ("pg_advisory_unlock_all", ScalarValue::Utf8(None)),
        ("pg_type_is_visible", ScalarValue::Boolean(Some(true))),
        ("pg_get_serial_sequence", ScalarValue::Utf8(None)),
        ("pg_get_viewdef", ScalarValue::Utf8(None)),
    ] {
        let signature = Signature::one_of(vec![TypeSignature::Nullary, TypeSignature::VariadicAny], Volatility::Stable);
        context.register_udf(ScalarUDF::new_from_impl(Fixed { name, signature, answer }));
    }
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct Fixed {
    name: &'static str,
    signature: Signature,
    answer: ScalarValue,
}

impl ScalarUDFImpl for Fixed {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.answer.data_type())
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(ColumnarValue::Scalar(self.answer.clone()))
    }
}
