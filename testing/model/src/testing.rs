//! Explores a model completely, or one with a flaw up to the first violated property.

use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker as _, Expectation, HasDiscoveries, Model};

const THREADS: usize = 2;

/// Visits every state: each `always` property holds in all of them, and each `sometimes` property in at least
/// one, so that none holds vacuously. `unreachable` names the `sometimes` properties that cannot be reached
/// with these rules.
pub(crate) fn assert_holds<M>(model: M, unreachable: &[&str])
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync,
    M::Action: Clone + Debug + PartialEq + Send + Sync,
{
    let checker = model.checker().threads(THREADS).spawn_bfs().join();
    println!("{} states, maximum depth {}", checker.unique_state_count(), checker.max_depth());
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

/// The property that the checker finds violated first.
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
    let [(name, path)] = failures.as_slice() else {
        panic!("exactly one property is violated: {failures:?}")
    };
    println!("{name}, violated by {:?}", path.clone().into_actions());
    name
}
