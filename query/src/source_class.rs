//! `source_class(source_ip, source_host)`: what kind of place an event came from, as a function of SQL.

use std::sync::Arc;

use arrow::array::{AsArray, StringArray};
use arrow::datatypes::DataType;
use datafusion::common::DataFusionError;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use keytrail_schemas::SourceClass;

/// The function.
pub(crate) fn function() -> ScalarUDF {
    create_udf("source_class", vec![DataType::Utf8, DataType::Utf8], DataType::Utf8, Volatility::Immutable, Arc::new(classes))
}

fn classes(arguments: &[ColumnarValue]) -> Result<ColumnarValue, DataFusionError> {
    let arrays = ColumnarValue::values_to_arrays(arguments)?;
    let (Some(addresses), Some(hosts)) = (arrays.first().and_then(|a| a.as_string_opt::<i32>()), arrays.get(1).and_then(|a| a.as_string_opt::<i32>())) else {
        return Err(DataFusionError::Plan("source_class takes two texts: source_ip and source_host".to_owned()));
    };
    let classes: StringArray = addresses.iter().zip(hosts.iter()).map(|(address, host)| Some(SourceClass::of(address, host).as_str())).collect();
    Ok(ColumnarValue::Array(Arc::new(classes)))
}
