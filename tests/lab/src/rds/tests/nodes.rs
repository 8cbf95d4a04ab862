//! Nodes held in memory: roles and health, and gates in front of promotions and returns.

use std::collections::BTreeMap;
use std::sync::Mutex;

use tokio::sync::watch;

use super::super::{NodeHealth, Nodes, NodesError};

pub(super) struct MemoryNodes {
    state: Mutex<Memory>,
    gate: watch::Sender<bool>,
    return_gate: watch::Sender<bool>,
}

struct Memory {
    names: Vec<String>,
    writer: String,
    health: BTreeMap<String, NodeHealth>,
    endpoint: Option<String>,
    done: Vec<String>,
    refuses: bool,
}

impl MemoryNodes {
    pub(super) fn new(names: &[&str]) -> Self {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let running = names.iter().map(|name| (name.clone(), NodeHealth::Running));
        Self {
            state: Mutex::new(Memory {
                writer: names[0].clone(),
                health: running.collect(),
                names,
                endpoint: None,
                done: Vec::new(),
                refuses: false,
            }),
            gate: watch::Sender::new(true),
            return_gate: watch::Sender::new(true),
        }
    }

    pub(super) fn hold_promotions(&self, hold: bool) {
        self.gate.send_replace(!hold);
    }

    pub(super) fn hold_rejoins(&self, hold: bool) {
        self.return_gate.send_replace(!hold);
    }

    pub(super) fn refuse(&self, refuses: bool) {
        self.state.lock().unwrap().refuses = refuses;
    }

    pub(super) fn set_health(&self, instance: &str, health: NodeHealth) {
        let mut state = self.state.lock().unwrap();
        state.health.insert(instance.to_owned(), health);
    }

    pub(super) fn endpoint(&self) -> Option<String> {
        self.state.lock().unwrap().endpoint.clone()
    }

    /// All requests that were carried out, in order.
    pub(super) fn done(&self) -> Vec<String> {
        self.state.lock().unwrap().done.clone()
    }

    fn carry_out(
        &self,
        operation: &'static str,
        instance: &str,
        change: impl FnOnce(&mut Memory),
    ) -> Result<(), NodesError> {
        let mut state = self.state.lock().unwrap();
        let lost = operation == "rejoin" && state.health[instance] == NodeHealth::HostDown;
        if state.refuses || lost {
            return Err(NodesError {
                operation,
                instance: instance.to_owned(),
                reason: "it was told to refuse, or its host is lost".to_owned(),
            });
        }
        change(&mut state);
        state.done.push(format!("{operation} {instance}"));
        Ok(())
    }
}

impl Nodes for MemoryNodes {
    fn instances(&self) -> Vec<String> {
        self.state.lock().unwrap().names.clone()
    }

    async fn writer(&self) -> Option<String> {
        Some(self.state.lock().unwrap().writer.clone())
    }

    async fn health(&self, instance: &str) -> NodeHealth {
        self.state.lock().unwrap().health[instance]
    }

    async fn promote(&self, target: &str) -> Result<(), NodesError> {
        let mut gate = self.gate.subscribe();
        gate.wait_for(|open| *open).await.unwrap();
        self.carry_out("promote", target, |state| {
            let old = std::mem::replace(&mut state.writer, target.to_owned());
            if state.health[&old] != NodeHealth::HostDown {
                state.health.insert(old, NodeHealth::Down);
            }
        })
    }

    async fn rejoin(&self, instance: &str) -> Result<(), NodesError> {
        let mut gate = self.return_gate.subscribe();
        gate.wait_for(|open| *open).await.unwrap();
        self.carry_out("rejoin", instance, |state| {
            state.health.insert(instance.to_owned(), NodeHealth::Running);
        })
    }

    async fn restart_in_place(&self, instance: &str) -> Result<(), NodesError> {
        let mut gate = self.gate.subscribe();
        gate.wait_for(|open| *open).await.unwrap();
        self.carry_out("restart", instance, |state| {
            state.health.insert(instance.to_owned(), NodeHealth::Running);
        })
    }

    async fn set_cluster_endpoint(&self, instance: &str) {
        self.state.lock().unwrap().endpoint = Some(instance.to_owned());
    }
}
