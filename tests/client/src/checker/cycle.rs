//! Cycles of dependencies: strongly connected components by Tarjan, then the mildest name that explains one.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::{Anomaly, Dependency, Edges};

type Graph = BTreeMap<usize, BTreeSet<(usize, Dependency)>>;

/// One anomaly for each component and kind of cycle: of writes, with reads, with one anti-dependency, with several.
pub(super) fn cycles(transactions: usize, edges: &Edges) -> Vec<Anomaly> {
    use Dependency::{ReadWrite, WriteRead, WriteWrite};
    let mut found = Vec::new();
    let writes = graph(edges, &[WriteWrite]);
    for component in components(transactions, &writes) {
        found.extend(shortest(&writes, &component, None).map(Anomaly::WriteCycle));
    }
    let information = graph(edges, &[WriteWrite, WriteRead]);
    for component in components(transactions, &information) {
        let cycle = shortest(&information, &component, Some(WriteRead));
        found.extend(cycle.map(Anomaly::CircularInformation));
    }
    let all = graph(edges, &[WriteWrite, WriteRead, ReadWrite]);
    for component in components(transactions, &all) {
        let single = component.iter().find_map(|from| {
            let overtaken = all.get(from)?.iter().filter(|(to, how)| *how == ReadWrite && component.contains(to));
            overtaken.clone().find_map(|(to, _)| path(&information, &component, *to, *from))
        });
        match single {
            Some(cycle) => found.push(Anomaly::SingleAntiDependency(cycle)),
            None => found.extend(shortest(&all, &component, Some(ReadWrite)).map(Anomaly::AntiDependencyCycle)),
        }
    }
    found
}

fn graph(edges: &Edges, kinds: &[Dependency]) -> Graph {
    let mut graph = Graph::new();
    for (from, to, how) in edges.iter().filter(|(_, _, how)| kinds.contains(how)) {
        graph.entry(*from).or_default().insert((*to, *how));
    }
    graph
}

/// A cycle of the component through an edge of this kind, or through any.
fn shortest(graph: &Graph, component: &BTreeSet<usize>, through: Option<Dependency>) -> Option<Vec<usize>> {
    component.iter().find_map(|from| {
        let edges = graph.get(from)?.iter();
        edges
            .filter(|(to, how)| component.contains(to) && through.is_none_or(|kind| kind == *how))
            .find_map(|(to, _)| path(graph, component, *to, *from))
    })
}

/// The shortest path inside a component.
fn path(graph: &Graph, component: &BTreeSet<usize>, from: usize, to: usize) -> Option<Vec<usize>> {
    let mut before: BTreeMap<usize, usize> = BTreeMap::new();
    let mut queue = VecDeque::from([from]);
    while let Some(node) = queue.pop_front() {
        if node == to {
            let mut path = vec![to];
            let mut at = to;
            while at != from {
                at = *before.get(&at)?;
                path.push(at);
            }
            path.reverse();
            return Some(path);
        }
        for (next, _) in graph.get(&node).into_iter().flatten() {
            if component.contains(next) && *next != from && !before.contains_key(next) {
                before.insert(*next, node);
                queue.push_back(*next);
            }
        }
    }
    None
}

/// Strongly connected components of more than one node, without recursion: histories are long.
fn components(transactions: usize, graph: &Graph) -> Vec<BTreeSet<usize>> {
    let mut search = Tarjan::new(graph, transactions);
    for node in 0..transactions {
        if search.index.get(node).is_some_and(Option::is_none) {
            search.visit(node);
        }
    }
    search.found
}

struct Tarjan<'a> {
    graph: &'a Graph,
    index: Vec<Option<usize>>,
    low: Vec<usize>,
    stack: Vec<usize>,
    on_stack: BTreeSet<usize>,
    next: usize,
    found: Vec<BTreeSet<usize>>,
}

impl<'a> Tarjan<'a> {
    fn new(graph: &'a Graph, transactions: usize) -> Self {
        let (index, low) = (vec![None; transactions], vec![0; transactions]);
        Self { graph, index, low, stack: Vec::new(), on_stack: BTreeSet::new(), next: 0, found: Vec::new() }
    }

    fn visit(&mut self, root: usize) {
        let mut path = vec![(root, self.enter(root))];
        while let Some((node, rest)) = path.last_mut() {
            let node = *node;
            if let Some(next) = rest.pop() {
                match self.index_of(next) {
                    None => {
                        let rest = self.enter(next);
                        path.push((next, rest));
                    }
                    Some(index) if self.on_stack.contains(&next) => self.lower(node, index),
                    Some(_) => {}
                }
                continue;
            }
            path.pop();
            let low = self.low.get(node).copied().unwrap_or_default();
            if let Some((parent, _)) = path.last() {
                self.lower(*parent, low);
            }
            if self.index_of(node) == Some(low) {
                self.close(node);
            }
        }
    }

    fn enter(&mut self, node: usize) -> Vec<usize> {
        if let (Some(index), Some(low)) = (self.index.get_mut(node), self.low.get_mut(node)) {
            (*index, *low) = (Some(self.next), self.next);
        }
        self.next += 1;
        self.stack.push(node);
        self.on_stack.insert(node);
        self.graph.get(&node).into_iter().flatten().map(|(next, _)| *next).collect()
    }

    fn index_of(&self, node: usize) -> Option<usize> {
        self.index.get(node).copied().flatten()
    }

    fn lower(&mut self, node: usize, to: usize) {
        if let Some(low) = self.low.get_mut(node) {
            *low = (*low).min(to);
        }
    }

    fn close(&mut self, root: usize) {
        let mut component = BTreeSet::new();
        while let Some(node) = self.stack.pop() {
            self.on_stack.remove(&node);
            component.insert(node);
            if node == root {
                break;
            }
        }
        if component.len() > 1 {
            self.found.push(component);
        }
    }
}
