//! What the demo says of a simulated estate: findings against labels. The estate itself is `keytrail-estate`.

pub mod score;
