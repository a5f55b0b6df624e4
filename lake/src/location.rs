//! Where a lake is: a folder or a URL, and the object store behind it.

use std::path::Path as FilePath;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use url::Url;

use crate::durable::DurableLocal;
use crate::{Error, Result};

/// A lake's place: the store that holds it, and its URL there.
#[derive(Debug, Clone)]
pub(crate) struct Location {
    /// The store, rooted where the URL's path starts.
    pub(crate) store: Arc<dyn ObjectStore>,
    /// The lake's folder; ends in `/`.
    pub(crate) url: Url,
}

impl Location {
    /// Reads a plain path or a `file://` URL, and creates the folder.
    pub(crate) fn open(text: &str) -> Result<Self> {
        let path = local_path(text)?;
        let shown = path.display().to_string();
        std::fs::create_dir_all(&path).map_err(|e| Error::storage(&shown, "create the folder", e))?;
        let path = path.canonicalize().map_err(|e| Error::storage(&shown, "open the folder", e))?;
        let url = Url::from_directory_path(&path).map_err(|()| Error::Location { url: text.to_owned(), message: "it is not an absolute path".to_owned() })?;
        Ok(Self { store: Arc::new(DurableLocal::default()), url })
    }

    /// A store that the caller brings, for places that this crate cannot open by itself.
    pub(crate) fn with_store(url: &Url, store: Arc<dyn ObjectStore>) -> Self {
        let mut url = url.clone();
        if !url.path().ends_with('/') {
            url.set_path(&format!("{}/", url.path()));
        }
        Self { store, url }
    }

    /// The URL of a folder of the lake.
    pub(crate) fn folder(&self, name: &str) -> Result<Url> {
        self.url.join(&format!("{name}/")).map_err(|e| Error::Location { url: self.url.to_string(), message: e.to_string() })
    }

    /// The store as seen from within a folder of the lake.
    pub(crate) fn within(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        let path = Path::from_url_path(url.path()).map_err(|e| Error::Location { url: url.to_string(), message: e.to_string() })?;
        Ok(Arc::new(PrefixStore::new(self.store.clone(), path)))
    }
}

/// A URL as a person reads it: a local one as its path.
pub(crate) fn shown(url: &Url) -> String {
    url.to_file_path().map_or_else(|()| url.to_string(), |path| path.display().to_string())
}

fn local_path(text: &str) -> Result<std::path::PathBuf> {
    let wrong = |message: String| Err(Error::Location { url: text.to_owned(), message });
    if text.is_empty() {
        return wrong("it is empty: give a folder or a file:// URL".to_owned());
    }
    match Url::parse(text) {
        // One letter is a drive, not a scheme.
        Ok(url) if url.scheme().len() > 1 && text.contains("://") => match url.scheme() {
            "file" => url.to_file_path().or_else(|()| wrong("a file:// URL needs an absolute path, such as file:///var/lib/keytrail/lake".to_owned())),
            scheme => wrong(format!("the scheme {scheme:?} is not supported by this build: give a folder or a file:// URL")),
        },
        _ => Ok(FilePath::new(text).to_path_buf()),
    }
}

#[cfg(test)]
mod tests {
    use super::local_path;

    #[test]
    fn paths_and_file_urls_are_read_and_others_say_what_is_supported() {
        assert_eq!(local_path("lake").unwrap(), std::path::Path::new("lake"));
        assert_eq!(local_path("file:///a%20b/lake").unwrap(), std::path::Path::new("/a b/lake"));
        for text in ["s3://bucket/lake", "gs://b", "http://x/y", ""] {
            let message = local_path(text).unwrap_err().to_string();
            assert!(message.contains("file://"), "{message}");
        }
    }
}
