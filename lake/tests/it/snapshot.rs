//! Detector state survives damage.

use keytrail_lake::{Lake, Options};

fn files(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let mut files: Vec<_> =
        std::fs::read_dir(folder.join("_state/3")).unwrap().map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|x| x == "snapshot")).collect();
    files.sort();
    files
}

#[tokio::test]
async fn the_newest_whole_snapshot_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap(), None);
    for offset in [10, 20, 30] {
        lake.put_snapshot(3, offset, vec![offset as u8; 1000]).await.unwrap();
        assert_eq!(lake.latest_snapshot(3).await.unwrap(), Some((offset, vec![offset as u8; 1000])));
    }
    assert_eq!(lake.latest_snapshot(0).await.unwrap(), None);
    let kept = files(folder.path());
    assert_eq!(kept.len(), 2, "two are kept: {kept:?}");

    // One flipped bit in the newest: the one before is taken.
    let whole = std::fs::read(&kept[1]).unwrap();
    let mut damaged = whole.clone();
    damaged[500] ^= 1;
    std::fs::write(&kept[1], &damaged).unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap(), Some((20, vec![20; 1000])));
    // A snapshot under another offset's name is none either.
    std::fs::write(&kept[1], &whole[..999]).unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap().unwrap().0, 20);
    std::fs::remove_file(&kept[1]).unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap().unwrap().0, 20);
    std::fs::write(&kept[1], &whole).unwrap();

    // A damaged pointer: they are found by listing.
    std::fs::write(folder.path().join("_state/3/pointer.json"), b"{").unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap().unwrap().0, 30);
    std::fs::write(&kept[0], b"").unwrap();
    std::fs::write(&kept[1], b"").unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap(), None, "replay from the start");
    lake.put_snapshot(3, 40, vec![4]).await.unwrap();
    assert_eq!(lake.latest_snapshot(3).await.unwrap(), Some((40, vec![4])));
}

#[tokio::test]
async fn an_empty_state_is_a_state() {
    let folder = tempfile::tempdir().unwrap();
    let lake = Lake::open(folder.path().to_str().unwrap(), Options::default()).await.unwrap();
    lake.put_snapshot(0, 0, Vec::new()).await.unwrap();
    assert_eq!(lake.latest_snapshot(0).await.unwrap(), Some((0, Vec::new())));
}
