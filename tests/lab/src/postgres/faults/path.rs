//! The path from a view to a node.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use super::super::cluster::Cluster;
use super::super::error::ClusterError;
use crate::network::VIEWS;
use crate::proxy::Link;

/// How often each path (view, index of the node) is cut at present.
pub(in super::super) type Cuts = BTreeMap<(u8, usize), u32>;

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
        for view in views {
            let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
            *cuts.entry((view, self.index_of(id)?)).or_default() += 1;
            self.set_link(view, id, Link::Cut)?;
        }
        Ok(())
    }

    /// Ends one [`Self::cut_off`] with the same words.
    ///
    /// # Errors
    /// [`ClusterError`] when the node is unknown or a listener cannot be opened again.
    pub fn reconnect(&self, id: &str, views: impl IntoIterator<Item = u8>) -> Result<(), ClusterError> {
        for view in views {
            let mut cuts = self.cuts.lock().unwrap_or_else(PoisonError::into_inner);
            let left = cuts.entry((view, self.index_of(id)?)).or_default();
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.set_link(view, id, Link::Open)?;
            }
        }
        Ok(())
    }

    pub(super) fn reconnect_all(&self) -> Result<(), ClusterError> {
        self.cuts.lock().unwrap_or_else(PoisonError::into_inner).clear();
        for id in self.ids() {
            for view in 0..VIEWS {
                self.set_link(view, id, Link::Open)?;
            }
        }
        Ok(())
    }
}
