//! Checks of Kafka: the cluster, the topics of BOS, its consumer group.

use std::collections::BTreeMap;

use contract::Topic;
use engine::consumer::CONSUMER;

use super::NEIGHBOUR_PATIENCE;
use super::finding::{Finding, causes, in_time};
use kafka::admin::{Admin, Cluster, Error};
use kafka::group::Group;
use kafka::settings::KafkaSettings;
use kafka::topics::{TopicSpec, TopicState};
use service::config::Config;
use service::config::words::Environment;
use service::settings::kafka_settings;

/// Lag of a busy consumer group that is not reported, in records (chosen).
const BUSY: i64 = 10_000;

pub(super) async fn check(config: &Config) -> Vec<Finding> {
    let Some(settings) = kafka_settings(config) else {
        return vec![Finding::ok("event bus", "embedded log, in the database")];
    };
    let cluster = match Admin::new(&settings) {
        Ok(admin) => {
            tokio::time::timeout(super::PATIENCE, admin.with_timeout(NEIGHBOUR_PATIENCE).inspect(Topic::ALL))
                .await
        }
        Err(error) => {
            let found = kafka::settings::creation_error(&error);
            return vec![Finding::failure("kafka", found, "correct the settings kafka_…")];
        }
    };
    match cluster {
        Ok(Ok(cluster)) => {
            let mut findings = vec![brokers(config, &settings, &cluster)];
            findings.extend(topics(&cluster));
            findings.extend(in_time("consumer group", group(settings, cluster.topics)).await);
            findings
        }
        Ok(Err(error)) => vec![unavailable(&settings, &error)],
        Err(_) => vec![super::finding::silent("kafka")],
    }
}

fn unavailable(settings: &KafkaSettings, error: &Error) -> Finding {
    if let Error::Denied { denial, next_step } = error {
        let found = format!("{} answers: {denial}", settings.bootstrap_servers);
        return Finding::failure("kafka", found, next_step.as_str());
    }
    let found = format!("{} does not answer ({error})", settings.bootstrap_servers);
    let mend = "check that it runs, that KAFKA_BOOTSTRAP_SERVERS names it, and that the settings kafka_… fit it; \
        messages wait until then";
    Finding::failure("kafka", found, mend)
}

fn brokers(config: &Config, settings: &KafkaSettings, cluster: &Cluster) -> Finding {
    let found = format!("{} broker(s) at {}", cluster.brokers, settings.bootstrap_servers);
    if cluster.brokers >= 3 || config.environment != Environment::Production {
        return Finding::ok("kafka", found);
    }
    let found = format!("{found}; acknowledged messages may be lost with a machine");
    Finding::warning("kafka", found, "run three brokers, with three replicas of every topic")
}

/// One finding for the topics that are as they should be, one for those that are missing, and one for each that differs.
fn topics(cluster: &Cluster) -> Vec<Finding> {
    let wanted = TopicSpec::for_brokers(cluster.brokers);
    let mut findings = Vec::new();
    let (mut fine, mut missing) = (0, Vec::new());
    for topic in Topic::ALL {
        let Some(found) = cluster.topics.get(topic) else {
            missing.push(topic.as_str());
            continue;
        };
        let differences = wanted.differences(*topic, found);
        if differences.is_empty() {
            fine += 1;
            continue;
        }
        let found: Vec<&str> = differences.iter().map(|difference| difference.found.as_str()).collect();
        let mend: Vec<&str> = differences.iter().map(|difference| difference.mend.as_str()).collect();
        let make = if differences.iter().any(|difference| difference.breaks) {
            Finding::failure
        } else {
            Finding::warning
        };
        findings.push(make(format!("topic {topic}"), found.join("; "), mend.join("; ")));
    }
    let all = Topic::ALL.len();
    if !missing.is_empty() {
        let found = format!(
            "{} of {all} are missing, or this user may not see them: {}",
            missing.len(),
            missing.join(", ")
        );
        findings.insert(0, Finding::failure("topics", found, "run `bos topics create`"));
    }
    if fine > 0 {
        let state = if cluster.topics.values().all(|found| found.settings.is_none()) {
            "present; this user may not read their settings"
        } else {
            "as `bos topics create` makes them"
        };
        findings.insert(0, Finding::ok("topics", format!("{fine} of {all} are {state}")));
    }
    findings
}

async fn group(settings: KafkaSettings, topics: BTreeMap<Topic, TopicState>) -> Vec<Finding> {
    let read: BTreeMap<Topic, TopicState> =
        topics.into_iter().filter(|(topic, _)| Topic::READ.contains(topic)).collect();
    let inspect = move || Group::inspect(&settings, CONSUMER, &read, NEIGHBOUR_PATIENCE);
    let inspected = tokio::task::spawn_blocking(inspect).await;
    let group = match inspected {
        Ok(Ok(group)) => group,
        Ok(Err(error)) => {
            let mend = format!("check that this user may describe and read the group {CONSUMER}");
            return vec![Finding::failure("consumer group", causes(error), mend)];
        }
        Err(error) => return vec![Finding::failure("consumer group", causes(error), "run it again")],
    };
    let mut found = format!("{CONSUMER}: {} member(s), {} records behind", group.members, group.lag);
    if let Some(topic) = group.furthest_behind {
        found = format!("{found}, most of them in {topic}");
    }
    if group.unread > 0 {
        found = format!("{found}; {} partition(s) with records have no committed offset", group.unread);
    }
    vec![if group.members == 0 {
        Finding::warning("consumer group", found, "start `bos serve`")
    } else if group.state != "Stable" {
        let found = format!("{found}; its state is {}", group.state);
        Finding::warning(
            "consumer group",
            found,
            "run it again in a minute; if the state has not changed, see the logs of the members",
        )
    } else if group.lag > BUSY {
        Finding::warning(
            "consumer group",
            found,
            "check whether the lag falls; if it does not, the database is too slow",
        )
    } else {
        Finding::ok("consumer group", found)
    }]
}
