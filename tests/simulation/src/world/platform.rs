//! The platform: its control plane, its own failover, its events.

use serde_json::{Value, json};
use steadfast_core::topology::{ClusterStatus, Deployment, InstanceId, Member, Topology};
use steadfast_scenario::Milestone;

use super::instance::{Role, Run};
use super::{MS, Micros, Nth, SECOND, World, micros};
use crate::invariant::Invariant;
use crate::plan::Flaw;

/// How long a dead instance keeps its good name.
const NOTICES_AFTER: Micros = 10 * SECOND;

/// How long a stopped cluster is called starting.
const STARTS_WITHIN: Micros = 5 * SECOND;

/// Who asked for a failover.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    Itself,
    Steadfast,
    Operator,
}

/// What the control plane shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View {
    /// None for the short while in which no member is called the writer.
    writer: Option<Nth>,
    failing_over: bool,
    changing: bool,
    /// The word for a cluster that cannot serve.
    unusable: Option<&'static str>,
    statuses: Vec<&'static str>,
}

/// The platform's state.
pub(crate) struct Platform {
    /// Who it calls the writer.
    pub(crate) writer: Nth,
    /// Since when a failover has been in flight.
    pub(crate) in_flight: Option<Micros>,
    /// Whether that is shown already.
    in_flight_shown: bool,
    /// Whether no member is called the writer.
    nameless: bool,
    pub(crate) changing: bool,
    pub(crate) failovers_fail: bool,
    pub(crate) failovers_reverse: bool,
    pub(crate) keeps_endpoint: bool,
    /// Why the cluster is shut down.
    shut_down: Vec<&'static str>,
    /// Whether it is being started again.
    starting: bool,
    /// The target of the promotion that was called last.
    pub(crate) target: Option<Nth>,
    views: Vec<(Micros, View)>,
    events: u64,
}

impl Platform {
    pub(super) fn new(instances: usize) -> Self {
        let view = View {
            writer: Some(0),
            failing_over: false,
            changing: false,
            unusable: None,
            statuses: vec!["available"; instances],
        };
        Self {
            writer: 0,
            in_flight: None,
            in_flight_shown: false,
            nameless: false,
            changing: false,
            failovers_fail: false,
            failovers_reverse: false,
            keeps_endpoint: false,
            shut_down: Vec::new(),
            starting: false,
            target: None,
            views: vec![(0, view)],
            events: 0,
        }
    }
}

impl Platform {
    /// Whether no server may run.
    pub(crate) fn is_shut_down(&self) -> bool {
        !self.shut_down.is_empty()
    }
}

impl World {
    /// The whole cluster goes down, and its status says why.
    pub(super) fn shut_down(&mut self, status: &'static str) {
        self.platform.shut_down.push(status);
        for nth in 0..self.instances.len() {
            self.take_down(nth, Run::HostGone);
        }
    }

    /// That reason is gone; without any the servers start again.
    pub(super) fn open_up(&mut self, status: &'static str) {
        if let Some(at) = self.platform.shut_down.iter().position(|other| *other == status) {
            self.platform.shut_down.remove(at);
        }
        if self.platform.is_shut_down() {
            return;
        }
        self.platform.starting = true;
        self.agenda.after(STARTS_WITHIN, |world| {
            world.platform.starting = false;
            world.refresh_view();
        });
        for nth in 0..self.instances.len() {
            let down = self.instances.get(nth).is_some_and(|i| matches!(i.run, Run::Down | Run::HostGone));
            if down && !self.is_host_killed(nth) {
                let takes = self.dice.between(2 * SECOND, STARTS_WITHIN);
                self.start(nth, takes);
            }
        }
    }

    fn view_now(&self) -> View {
        let now = self.agenda.now();
        let starting = self.platform.starting.then_some("starting");
        let unusable = self.platform.shut_down.first().copied().or(starting);
        let statuses = self.instances.iter().map(|instance| match instance.run {
            _ if unusable.is_some() => unusable.unwrap_or_default(),
            Run::Starting => "rebooting",
            Run::Down | Run::HostGone
                if instance.gone_since.is_some_and(|since| now.saturating_sub(since) > NOTICES_AFTER) =>
            {
                "failed"
            }
            Run::Up | Run::Down | Run::HostGone | Run::Paused | Run::Resuming => "available",
        });
        View {
            writer: (!self.platform.nameless).then_some(self.platform.writer),
            failing_over: self.platform.in_flight.is_some() && self.platform.in_flight_shown,
            changing: self.platform.changing,
            unusable,
            statuses: statuses.collect(),
        }
    }

    /// Keeps what the control plane shows from now on, if that is something new.
    pub(crate) fn refresh_view(&mut self) {
        let view = self.view_now();
        let now = self.agenda.now();
        if self.platform.views.last().is_none_or(|(_, last)| *last != view) {
            self.platform.views.push((now, view));
        }
    }

    /// What a description shows: the truth of a while ago.
    pub(crate) fn view(&mut self) -> View {
        self.refresh_view();
        let lag = micros(self.plan.noise.view_lag_max);
        let lag = self.dice.between(0, lag);
        let seen = self.agenda.now().saturating_sub(lag);
        let at = self.services.stale_since.map_or(seen, |since| since.min(seen));
        let shown = self.platform.views.iter().rev().find(|(since, _)| *since <= at).or(self.platform.views.first());
        shown.map_or_else(|| self.view_now(), |(_, view)| view.clone())
    }

    /// A view as the port hands it out.
    pub(crate) fn topology(&self, view: &View) -> Topology {
        if self.is_multi_az() {
            return self.topology_of_hosts(view);
        }
        let status = match (view.unusable, view.failing_over, view.changing) {
            (Some(word), ..) => ClusterStatus::parse(word),
            (None, true, _) => ClusterStatus::FailingOver,
            (None, false, true) => ClusterStatus::Changing("modifying".to_owned()),
            (None, false, false) => ClusterStatus::Available,
        };
        let members = self.names.instances.iter().zip(&view.statuses).enumerate().map(|(nth, (id, status))| Member {
            id: id.clone(),
            az: self.names.zones.get(self.zone_of(nth)).cloned(),
            tier: 1,
            status: (*status).to_owned(),
            is_writer: Some(nth) == view.writer,
            class: "db.r6g.large".to_owned(),
            endpoint: format!("{id}.orders"),
        });
        Topology {
            cluster: self.names.cluster.clone(),
            deployment: Deployment::Cluster,
            status,
            endpoint: "orders.cluster".to_owned(),
            port: 5432,
            members: members.collect(),
        }
    }

    /// The same of a Multi-AZ DB instance: one status for the whole, which says nothing of a host that has died.
    fn topology_of_hosts(&self, view: &View) -> Topology {
        let restarts = view.writer.and_then(|writer| view.statuses.get(writer)) == Some(&"rebooting");
        let status = match (view.unusable, view.failing_over, view.changing) {
            (Some(word), ..) => word,
            (None, true, _) => "rebooting",
            (None, false, true) => "modifying",
            (None, false, false) if restarts => "rebooting",
            (None, false, false) => "available",
        };
        let members = self.names.instances.iter().enumerate().map(|(nth, id)| Member {
            id: id.clone(),
            az: self.names.zones.get(self.zone_of(nth)).cloned(),
            tier: 1,
            status: status.to_owned(),
            is_writer: Some(nth) == view.writer,
            class: "db.r6g.large".to_owned(),
            endpoint: String::new(),
        });
        Topology {
            cluster: self.names.cluster.clone(),
            deployment: Deployment::Instance,
            status: ClusterStatus::parse_instance(status),
            endpoint: "orders".to_owned(),
            port: 5432,
            members: members.collect(),
        }
    }

    /// `RebootDBInstance` with failover: whatever its caller has in mind, the role moves to the other host.
    pub(crate) fn reboot_with_failover(&mut self, asker: Asker) -> Result<(), &'static str> {
        let writer = self.platform.writer;
        let restarts = self.view_now().statuses.get(writer) == Some(&"rebooting");
        let other = (0..self.instances.len()).find(|nth| *nth != writer);
        let begun = if restarts { Err("") } else { self.fail_over(asker, other) };
        begun.map_err(|_| "InvalidDBInstanceState")
    }

    /// `FailoverDBCluster`: accepted, or refused with this error code.
    pub(crate) fn fail_over(&mut self, asker: Asker, target: Option<Nth>) -> Result<(), &'static str> {
        let second = self.plan.flaw == Some(Flaw::SecondFailover);
        let busy = self.platform.in_flight.is_some() && !second;
        if busy
            || self.platform.is_shut_down()
            || self.platform.starting
            || (self.platform.changing && asker != Asker::Itself)
        {
            return Err("InvalidDBClusterStateFault");
        }
        let writer = self.platform.writer;
        let available = |world: &Self, nth: Nth| world.view_now().statuses.get(nth) == Some(&"available");
        let target = match target {
            Some(nth) if nth != writer && available(self, nth) => nth,
            Some(_) => return Err("InvalidDBInstanceState"),
            None => (0..self.instances.len())
                .filter(|nth| *nth != writer && self.instances.get(*nth).is_some_and(|i| i.run == Run::Up && !i.frozen))
                .min_by_key(|nth| *nth)
                .ok_or("InvalidDBClusterStateFault")?,
        };
        if self.platform.in_flight.is_some() {
            self.violate(Invariant::OneFailover, "a second failover starts beside the first");
        }
        self.note(|| format!("platform: failover to {} begins, asked by {asker:?}", target + 1));
        self.watch.failovers = self.watch.failovers.saturating_add(1);
        let now = self.agenda.now();
        self.platform.in_flight = Some(now);
        self.platform.target = Some(target);
        // The answer to an accepted call still shows an idle cluster.
        let shown_after = self.dice.between(0, micros(self.plan.noise.shown_late_max));
        self.platform.in_flight_shown = shown_after == 0;
        self.agenda.after(shown_after, move |world| {
            if world.platform.in_flight == Some(now) {
                world.platform.in_flight_shown = true;
                world.refresh_view();
            }
        });
        self.refresh_view();
        self.emit("RDS-EVENT-0073", "Started failover to DB instance", Some(target));
        let longest = micros(self.plan.noise.promotion_max).max(100 * MS);
        let takes = self.dice.between(50 * MS, longest);
        let life = self.instances.get(target).map_or(0, |instance| instance.life);
        self.agenda.after(takes, move |world| world.end_failover(target, writer, life));
        Ok(())
    }

    fn end_failover(&mut self, target: Nth, old: Nth, life: u64) {
        self.platform.in_flight = None;
        let alive = self
            .instances
            .get(target)
            .is_some_and(|instance| instance.run == Run::Up && instance.life == life && !instance.frozen);
        if !alive || self.platform.failovers_fail {
            self.note(|| format!("platform: failover to {} failed", target + 1));
            self.refresh_view();
            self.emit("RDS-EVENT-0069", "Cluster failover failed", None);
            self.platform_sees_gone(old);
            return;
        }
        let cut_off = self.is_planned() && self.inside(old) > 0;
        self.count_if(cut_off, "gate opens before the role moves, and a switchover cuts somebody off");
        self.count_if(self.is_planned() && !self.is_gate_closed(old), "gate is open when the role moves");
        self.move_role(old, target);
        self.emit("RDS-EVENT-0071", "Completed failover to DB instance", Some(target));
        if self.platform.failovers_reverse {
            let takes = self.dice.between(200, 2_000) * MS;
            self.agenda.after(takes, move |world| world.reverse(target, old));
        }
    }

    fn move_role(&mut self, old: Nth, new: Nth) {
        self.note(|| format!("platform: {} is the writer", new + 1));
        self.storage.generation = self.storage.generation.saturating_add(1);
        self.platform.writer = new;
        let generation = self.storage.generation;
        if let Some(instance) = self.instances.get_mut(new) {
            instance.role = Role::Writer;
            instance.generation = generation;
        }
        self.demote(old);
        self.name_late();
        self.restart_promoted(new);
        self.refresh_view();
        self.reach(Milestone::Promoted);
        self.endpoint_follows(new);
    }

    /// The list of members is eventually consistent: for a while none of them is called the writer.
    fn name_late(&mut self) {
        let nameless = self.dice.between(0, micros(self.plan.noise.nameless_max));
        if nameless > 0 {
            self.platform.nameless = true;
            self.agenda.after(nameless, |world| {
                world.platform.nameless = false;
                world.refresh_view();
            });
        }
    }

    /// A promoted instance may restart its server before it writes.
    fn restart_promoted(&mut self, new: Nth) {
        let takes = self.dice.between(0, micros(self.plan.noise.new_writer_restarts_max));
        if takes > 0 {
            self.break_sessions(new, true);
            self.start(new, takes);
        }
    }

    fn reverse(&mut self, from: Nth, to: Nth) {
        let possible = self.platform.writer == from
            && self.platform.in_flight.is_none()
            && self.instances.get(to).is_some_and(|instance| instance.run == Run::Up && !instance.frozen);
        if possible {
            self.move_role(from, to);
            self.emit("RDS-EVENT-0070", "Failover reversed to DB instance", Some(to));
        }
    }

    /// The platform notices a dead writer, and acts on it in its own time.
    pub(crate) fn platform_sees_gone(&mut self, nth: Nth) {
        if self.platform.writer != nth {
            return;
        }
        let Some(life) = self.instances.get(nth).filter(|i| i.gone_since.is_some()).map(|i| i.life) else {
            return;
        };
        let still = move |world: &Self| {
            world.platform.writer == nth
                && world.instances.get(nth).is_some_and(|i| i.life == life && i.gone_since.is_some())
        };
        if let Some(delay) = self.plan.scenario.platform {
            self.agenda.after(micros(delay), move |world| {
                if still(world) && world.platform.in_flight.is_none() && world.fail_over(Asker::Itself, None).is_err() {
                    world.agenda.after(SECOND, move |world| world.platform_sees_gone(nth));
                }
            });
        }
        if let Some(delay) = self.plan.noise.restart_in_place {
            self.agenda.after(micros(delay), move |world| {
                let down = world.instances.get(nth).is_some_and(|instance| instance.run == Run::Down);
                if still(world) && down && world.platform.in_flight.is_none() {
                    let takes = world.dice.between(500, 5_000) * MS;
                    world.start(nth, takes);
                }
            });
        }
    }

    /// Sends an event on its way to the router.
    fn emit(&mut self, id: &str, sentence: &str, instance: Option<Nth>) {
        if self.is_multi_az() {
            return self.emit_of_hosts(id);
        }
        self.platform.events = self.platform.events.saturating_add(1);
        let named = instance.and_then(|nth| self.names.instances.get(nth)).map(InstanceId::to_string);
        let message = named.map_or_else(|| sentence.to_owned(), |name| format!("{sentence}: {name}"));
        let at = rfc3339(self.clock(0).as_millis());
        let event = json!({
            "id": format!("event-{}", self.platform.events),
            "time": at,
            "source": "aws.rds",
            "detail-type": "RDS DB Cluster Event",
            "detail": {
                "EventID": id, "SourceType": "CLUSTER", "SourceIdentifier": self.names.cluster,
                "Date": at, "Message": message,
            },
        });
        self.deliver(event);
    }

    /// The event of a Multi-AZ DB instance in place of a cluster's.
    fn emit_of_hosts(&mut self, id: &str) {
        let (id, message) = match id {
            "RDS-EVENT-0073" => ("RDS-EVENT-0013", "Multi-AZ instance failover started."),
            "RDS-EVENT-0071" => ("RDS-EVENT-0049", "Multi-AZ instance failover completed"),
            "RDS-EVENT-0069" => ("RDS-EVENT-0034", "Abandoning user requested failover"),
            _ => ("RDS-EVENT-0065", "Recovered from partial failover."),
        };
        self.platform.events = self.platform.events.saturating_add(1);
        let at = rfc3339(self.clock(0).as_millis());
        let event = json!({
            "id": format!("event-{}", self.platform.events),
            "time": at,
            "source": "aws.rds",
            "detail-type": "RDS DB Instance Event",
            "detail": {
                "EventID": id, "SourceType": "DB_INSTANCE", "SourceIdentifier": self.names.cluster,
                "Date": at, "Message": message,
            },
        });
        self.deliver(event);
    }

    fn deliver(&mut self, event: Value) {
        let way = self.delivery();
        if way.lost || self.dice.happens(self.plan.noise.events_lost) {
            return self.count(|| "event lost".to_owned());
        }
        let twice = way.doubled || self.dice.happens(self.plan.noise.events_doubled);
        self.count_if(twice, "event doubled");
        for _ in 0..=u8::from(twice) {
            let late = micros(self.plan.noise.events_late_max).saturating_add(micros(way.late)).max(500 * MS);
            let low = micros(way.late).max(50 * MS);
            let delay = self.dice.between(low, late);
            self.count_if(delay > 60 * SECOND, "event late by more than a minute");
            let event = event.clone();
            self.agenda.after(delay, move |world| world.route(event));
        }
    }
}

/// Milliseconds since the Unix epoch as AWS writes them, for times of the simulated day.
fn rfc3339(ms: u64) -> String {
    let day_ms = ms % 86_400_000;
    let (hours, rest) = (day_ms / 3_600_000, day_ms % 3_600_000);
    let (minutes, rest) = (rest / 60_000, rest % 60_000);
    // 1 800 000 000 s after the epoch is 2027-01-15T08:00:00Z.
    format!("2027-01-15T{hours:02}:{minutes:02}:{:02}.{:03}Z", rest / 1_000, rest % 1_000)
}
