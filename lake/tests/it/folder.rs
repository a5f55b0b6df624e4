//! Places that are no lake say so, and name the path.

use keytrail_lake::{Error, Fault, Lake, Options, TableName};

async fn refusal(place: &str) -> Error {
    Lake::open(place, Options::default()).await.expect_err(place)
}

#[tokio::test]
async fn a_folder_that_may_not_be_written_is_named() {
    // The kernel's own folders refuse even root.
    let error = refusal("/proc/keytrail-lake").await;
    assert!(error.to_string().contains("/proc/keytrail-lake"), "{error}");

    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("lake");
    drop(Lake::open(place.to_str().unwrap(), Options::default()).await.unwrap());
    let mut read_only = std::fs::metadata(&place).unwrap().permissions();
    read_only.set_readonly(true);
    std::fs::set_permissions(&place, read_only.clone()).unwrap();
    std::fs::set_permissions(place.join("_state"), read_only).unwrap();
    if std::fs::write(place.join("_state/x"), b"").is_ok() {
        println!("skipped: this user may write everywhere");
        return;
    }
    let error = refusal(place.to_str().unwrap()).await;
    assert!(matches!(error, Error::ReadOnly { .. }) && error.fault() == Fault::User, "{error}");
    assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_file_in_the_lakes_place_is_named() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = refusal(file.path().to_str().unwrap()).await;
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn other_schemes_say_what_is_supported() {
    let error = refusal("s3://bucket/lake").await;
    assert!(matches!(error, Error::Location { .. }) && error.to_string().contains("file://"), "{error}");
}

#[tokio::test]
async fn a_foreign_table_is_refused_and_the_column_named() {
    use deltalake::kernel::{DataType, PrimitiveType};
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join(TableName::Findings.as_str());
    std::fs::create_dir(&place).unwrap();
    deltalake::operations::create::CreateBuilder::new()
        .with_location(place.to_str().unwrap())
        .with_column("finding_id", DataType::Primitive(PrimitiveType::Long), false, None)
        .await
        .unwrap();
    let error = refusal(folder.path().to_str().unwrap()).await;
    assert!(matches!(&error, Error::ForeignTable { table: TableName::Findings, column, .. } if column == "finding_id"), "{error}");
    assert!(error.to_string().contains(place.to_str().unwrap()), "{error}");
}

#[tokio::test]
async fn a_table_of_a_newer_format_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    drop(Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap());
    let first = folder.path().join("events/_delta_log/00000000000000000000.json");
    let text = std::fs::read_to_string(&first).unwrap();
    assert!(text.contains(r#""keytrail.format":"1""#), "{text}");
    std::fs::write(&first, text.replace(r#""keytrail.format":"1""#, r#""keytrail.format":"2""#)).unwrap();
    let error = refusal(folder.path().to_str().unwrap()).await;
    assert!(matches!(error, Error::NewerTable { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn processes_that_open_a_new_lake_at_once_share_it() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().join("a/b/lake");
    let tasks: Vec<_> = (0..6)
        .map(|_| {
            let place = place.clone();
            tokio::spawn(async move { Lake::open(place.to_str().unwrap(), Options::default()).await.map(drop) })
        })
        .collect();
    for task in tasks {
        task.await.unwrap().unwrap();
    }
}
