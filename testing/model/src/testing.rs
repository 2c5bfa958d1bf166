//! Walking through a model in whole, and through one with a flaw up to the first thing that goes wrong.

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model};

const THREADS: usize = 2;

/// Visits every state: what must always hold does, and what must happen somewhere does, so that nothing holds in vain.
/// `unreachable` names what cannot happen by these rules.
pub(crate) fn assert_holds<M>(model: M, unreachable: &[&str])
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.checker().threads(THREADS).spawn_bfs().join();
    println!("{} states, {} steps to the furthest", checker.unique_state_count(), checker.max_depth());
    for property in checker.model().properties() {
        match property.expectation {
            Expectation::Sometimes if !unreachable.contains(&property.name) => {
                drop(checker.assert_any_discovery(property.name));
            }
            Expectation::Sometimes | Expectation::Always | Expectation::Eventually => {
                checker.assert_no_discovery(property.name);
            }
        }
    }
}

/// The property that the checker finds broken first.
pub(crate) fn found<M>(model: M) -> &'static str
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.checker().finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let failures: Vec<_> = checker
        .model()
        .properties()
        .iter()
        .filter(|property| property.expectation != Expectation::Sometimes)
        .filter_map(|property| Some((property.name, checker.discovery(property.name)?)))
        .collect();
    let [(name, path)] = failures.as_slice() else { panic!("one property is broken: {failures:?}") };
    println!("{name}, broken by {:?}", path.clone().into_actions());
    name
}
