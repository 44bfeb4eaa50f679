//! Tells of changes in the directories that a bundle was read from, and in those that it may reappear in.
//! Never reads a file, and never the only net: a slow poll catches what a file system does not tell.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use notify::event::{AccessKind, AccessMode, ModifyKind};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};

use crate::source::matters_in_root;

/// What matters in a directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Interest {
    /// Every name: it holds files of the bundle.
    everything: bool,
    /// The names of a bundle's folders: it is the bundle's root.
    root: bool,
    /// These names: the bundle's root is below one of them.
    names: BTreeSet<OsString>,
}

impl Interest {
    fn covers(&self, name: &OsStr) -> bool {
        self.everything || (self.root && matters_in_root(name)) || self.names.contains(name)
    }
}

type Interests = BTreeMap<PathBuf, Interest>;

/// The directories that are watched. Without events from the operating system it watches nothing.
pub(super) struct Watches {
    watcher: Option<RecommendedWatcher>,
    interests: Arc<RwLock<Interests>>,
    /// Paths whose directory was removed or renamed: their watches are gone, even if the path leads to the same
    /// inode again.
    lost: Arc<Mutex<BTreeSet<PathBuf>>>,
    /// Which directory each path was when its watch began.
    watched: BTreeMap<PathBuf, (u64, u64)>,
    warned: bool,
}

impl Watches {
    /// Calls `changed` after each change that matters, from a thread of its own.
    pub(super) fn new(changed: impl Fn() + Send + 'static) -> Self {
        let interests = Arc::<RwLock<Interests>>::default();
        let lost = Arc::<Mutex<BTreeSet<PathBuf>>>::default();
        let (known, losing) = (Arc::clone(&interests), Arc::clone(&lost));
        let made = notify::recommended_watcher(move |event: notify::Result<Event>| {
            let interests = known.read().unwrap_or_else(PoisonError::into_inner);
            if let Ok(event) = &event
                && let EventKind::Remove(_) | EventKind::Modify(ModifyKind::Name(_)) = event.kind
            {
                let gone = event.paths.iter().filter(|path| interests.contains_key(*path)).cloned();
                losing.lock().unwrap_or_else(PoisonError::into_inner).extend(gone);
            }
            if event.map_or(true, |event| matters(&event, &interests)) {
                changed();
            }
        });
        let mut this = Self { watcher: None, interests, lost, watched: BTreeMap::new(), warned: false };
        match made {
            Ok(watcher) => this.watcher = Some(watcher),
            Err(error) => this.warn(&error),
        }
        this
    }

    /// Watches the directories of a bundle, and no others any more. Whether any watch is new: then a change may
    /// have been missed before it began.
    pub(super) fn follow(&mut self, bundle: &Path, directories: &BTreeSet<PathBuf>) -> bool {
        let wanted = interests(bundle, directories);
        let identities: BTreeMap<PathBuf, (u64, u64)> = wanted
            .keys()
            .filter_map(|path| {
                fs::metadata(path).ok().map(|found| (path.clone(), (found.dev(), found.ino())))
            })
            .collect();
        *self.interests.write().unwrap_or_else(PoisonError::into_inner) = wanted;
        let Some(watcher) = &mut self.watcher else { return false };
        let lost = std::mem::take(&mut *self.lost.lock().unwrap_or_else(PoisonError::into_inner));
        let gone: Vec<PathBuf> = self
            .watched
            .iter()
            .filter(|(path, identity)| lost.contains(*path) || identities.get(*path) != Some(identity))
            .map(|(path, _)| path.clone())
            .collect();
        for path in gone {
            self.watched.remove(&path);
            // Fails when the directory is gone, and its watch with it.
            let _ = watcher.unwatch(&path);
        }
        let mut new = false;
        let mut failed = None;
        for (path, identity) in identities {
            if self.watched.contains_key(&path) {
                continue;
            }
            match watcher.watch(&path, RecursiveMode::NonRecursive) {
                Ok(()) => {
                    self.watched.insert(path, identity);
                    new = true;
                }
                Err(error) => failed = Some(error),
            }
        }
        if let Some(error) = failed {
            self.warn(&error);
        }
        new
    }

    fn warn(&mut self, error: &notify::Error) {
        if !self.warned {
            self.warned = true;
            tracing::warn!(%error, "not every directory of the bundle can be watched; it is looked at now and then");
        }
    }
}

/// Whether an event is about something that matters. Reading is none: we read the bundle ourselves.
fn matters(event: &Event, interests: &Interests) -> bool {
    match event.kind {
        EventKind::Access(AccessKind::Close(AccessMode::Write)) => {}
        EventKind::Access(_) => return false,
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => {}
    }
    event.need_rescan()
        || event.paths.iter().any(|path| {
            let within = |directory: &Path| interests.get(directory);
            interests.contains_key(path)
                || path
                    .parent()
                    .and_then(within)
                    .zip(path.file_name())
                    .is_some_and(|(interest, name)| interest.covers(name))
        })
}

/// The directories to watch: those of the files, the root itself, and those in which the root may be replaced.
fn interests(bundle: &Path, directories: &BTreeSet<PathBuf>) -> Interests {
    let mut interests = Interests::new();
    for directory in directories {
        interests.entry(directory.clone()).or_default().everything = true;
    }
    let root = std::path::absolute(bundle).unwrap_or_else(|_| bundle.to_owned());
    if let Some((parent, name)) = nearest(&root) {
        interests.entry(parent).or_default().names.insert(name);
    }
    if let Ok(real) = fs::canonicalize(&root) {
        if let Some((parent, name)) = nearest(&real) {
            interests.entry(parent).or_default().names.insert(name);
        }
        interests.entry(real).or_default().root = true;
    }
    interests
}

/// The nearest directory above a path that exists, links resolved, and the name in it that leads to the path.
fn nearest(path: &Path) -> Option<(PathBuf, OsString)> {
    let mut below = path;
    loop {
        let above = below.parent()?;
        if let Ok(real) = fs::canonicalize(above) {
            return Some((real, below.file_name()?.to_owned()));
        }
        below = above;
    }
}
