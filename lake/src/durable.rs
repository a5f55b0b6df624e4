//! A local folder as an object store whose writes are on the disk before they are visible.
//!
//! [`LocalFileSystem`] makes writes atomic and does not fsync them: after a loss of power a commit may be there and be empty. Here
//! the bytes are synced under a staging name, then linked or renamed into place, and then the folder is synced.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::ops::Range;
use std::path::{Path as FilePath, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload,
    PutResult, RenameOptions, Result, UploadPart,
};

/// [`LocalFileSystem`] from the root of the file system, with durable writes.
#[derive(Debug, Default)]
pub(crate) struct DurableLocal {
    inner: LocalFileSystem,
}

impl std::fmt::Display for DurableLocal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Durable{}", self.inner)
    }
}

#[async_trait]
impl ObjectStore for DurableLocal {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let path = self.inner.path_to_filesystem(location)?;
        let create = match opts.mode {
            PutMode::Create => true,
            PutMode::Overwrite => false,
            PutMode::Update(_) => return self.inner.put_opts(location, payload, opts).await,
        };
        blocking(move || put(&path, &payload, create)).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let path = self.inner.path_to_filesystem(location)?;
        if let Some(folder) = path.parent().map(FilePath::to_path_buf) {
            blocking(move || create_folder(&folder).map_err(|e| failed(&folder, e))).await?;
        }
        Ok(Box::new(Upload { inner: self.inner.put_multipart_opts(location, opts).await?, path }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }

    async fn rename_opts(&self, from: &Path, to: &Path, options: RenameOptions) -> Result<()> {
        self.inner.rename_opts(from, to, options).await
    }
}

/// Staging names end in `#` and digits, which [`LocalFileSystem`] never lists.
fn stage(path: &FilePath) -> Result<(File, PathBuf)> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(format!("#{}{:06}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed)));
        let staged = PathBuf::from(name);
        match File::options().write(true).create_new(true).open(&staged) {
            Ok(file) => return Ok((file, staged)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {
                let folder = path.parent().unwrap_or(path);
                create_folder(folder).map_err(|e| failed(folder, e))?;
            }
            Err(e) => return Err(failed(&staged, e)),
        }
    }
}

fn put(path: &FilePath, payload: &PutPayload, create: bool) -> Result<PutResult> {
    let (mut file, staged) = stage(path)?;
    let written = payload.iter().try_for_each(|bytes| file.write_all(bytes)).and_then(|()| file.sync_all());
    drop(file);
    let placed = written.and_then(|()| if create { std::fs::hard_link(&staged, path) } else { std::fs::rename(&staged, path) });
    if create || placed.is_err() {
        // What is left under a staging name is never listed; a failure to remove it is harmless.
        let _ = std::fs::remove_file(&staged);
    }
    match placed {
        Ok(()) => {
            sync_folder(path)?;
            Ok(PutResult { e_tag: None, version: None })
        }
        Err(source) if create && source.kind() == ErrorKind::AlreadyExists => {
            Err(Error::AlreadyExists { path: path.display().to_string(), source: source.into() })
        }
        Err(source) => Err(failed(path, source)),
    }
}

/// Creates a folder and those above it, each synced into its own parent.
fn create_folder(folder: &FilePath) -> std::io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    if let Some(parent) = folder.parent() {
        create_folder(parent)?;
    }
    match std::fs::create_dir(folder) {
        Ok(()) => folder.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()),
        Err(e) if e.kind() == ErrorKind::AlreadyExists => Ok(()),
        Err(e) => Err(e),
    }
}

fn sync_folder(path: &FilePath) -> Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|f| f.sync_all()).map_err(|e| failed(folder, e)))
}

fn failed(path: &FilePath, source: std::io::Error) -> Error {
    tracing::debug!(path = %path.display(), error = %source, "local store failed");
    Error::Generic { store: "local folder", source: Box::new(source) }
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|source| Error::JoinError { source })?
}

/// An upload in parts whose file is synced once it stands complete, before anything can name it.
#[derive(Debug)]
struct Upload {
    inner: Box<dyn MultipartUpload>,
    path: PathBuf,
}

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        self.inner.put_part(data)
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let done = self.inner.complete().await?;
        let path = self.path.clone();
        blocking(move || {
            File::open(&path).and_then(|f| f.sync_all()).map_err(|e| failed(&path, e))?;
            sync_folder(&path)
        })
        .await?;
        Ok(done)
    }

    async fn abort(&mut self) -> Result<()> {
        self.inner.abort().await
    }
}
