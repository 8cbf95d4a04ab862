//! The path from a view to a node.

use std::collections::BTreeMap;
use std::sync::PoisonError;
use std::time::Duration;

use super::super::cluster::Cluster;
use super::super::error::ClusterError;
use crate::network::VIEWS;
use crate::proxy::Link;

/// What is wrong with each path (view, index of the node) at present.
pub(in super::super) type Paths = BTreeMap<(u8, usize), Path>;

/// What is wrong with a path.
#[derive(Debug, Clone, Copy, Default)]
pub(in super::super) struct Path {
    /// How often it is cut.
    cuts: u32,
    /// How much later everything arrives.
    delay: Duration,
}

impl Path {
    fn link(self) -> Link {
        match self {
            Self { cuts: 0, delay: Duration::ZERO } => Link::Open,
            Self { cuts: 0, delay } => Link::Delay(delay),
            Self { .. } => Link::Cut,
        }
    }
}

impl Cluster {
    /// Sets the fault of the path from a view (0 to 3) to a node; in force on return.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or a listener cannot be opened again.
    pub fn set_link(&self, view: u8, id: &str, link: Link) -> Result<(), ClusterError> {
        let node = self.node_at(self.index_of(id)?);
        let view = view.min(VIEWS - 1);
        let Some(proxy) = node.proxies.get(usize::from(view)) else {
            return Ok(());
        };
        let action = format!("set the link from view {view} to {id}");
        proxy.set_link(link).map_err(ClusterError::io(action))
    }

    /// Cuts a node off from views (0 the clients', 1 to 3 the zones'): their packets vanish. The
    /// nodes still replicate, and the control plane still reaches them. A path that is cut
    /// several times is open again when every cut of it has ended.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or a socket cannot be changed.
    pub fn cut_off(&self, id: &str, views: impl IntoIterator<Item = u8>) -> Result<(), ClusterError> {
        self.change_paths(id, views, |path| path.cuts = path.cuts.saturating_add(1))
    }

    /// Ends one [`Self::cut_off`] with the same words.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or a listener cannot be opened again.
    pub fn reconnect(&self, id: &str, views: impl IntoIterator<Item = u8>) -> Result<(), ClusterError> {
        self.change_paths(id, views, |path| path.cuts = path.cuts.saturating_sub(1))
    }

    /// Lets everything between views and a node arrive this much later, each way; zero ends it.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or a listener cannot be opened again.
    pub fn delay_path(&self, id: &str, views: impl IntoIterator<Item = u8>, by: Duration) -> Result<(), ClusterError> {
        self.change_paths(id, views, |path| path.delay = by)
    }

    fn change_paths(
        &self,
        id: &str,
        views: impl IntoIterator<Item = u8>,
        change: impl Fn(&mut Path),
    ) -> Result<(), ClusterError> {
        for view in views {
            let mut paths = self.paths.lock().unwrap_or_else(PoisonError::into_inner);
            let path = paths.entry((view, self.index_of(id)?)).or_default();
            change(path);
            self.set_link(view, id, path.link())?;
        }
        Ok(())
    }

    pub(super) fn reconnect_all(&self) -> Result<(), ClusterError> {
        self.paths.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for id in self.ids() {
            for view in 0..VIEWS {
                self.set_link(view, id, Link::Open)?;
            }
        }
        Ok(())
    }
}
