//! keytrail
fn main(){}
