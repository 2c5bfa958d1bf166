//! A process whose wall clock is hours ahead and is set back, librdkafka included, which waits by that clock.

use service::companions::CompanionBehaviour;
use testbed::WallClock;

use super::road::{Companions, ONE_AT_A_TIME, class};
use super::{apart, kafka};
use crate::databases::on_postgres;
use crate::host::{Client, id_of};
use crate::program::Server;

const HOUR: i64 = 3_600;

/// F63.
#[tokio::test(flavor = "multi_thread")]
async fn a_process_whose_wall_clock_is_off_by_hours_and_goes_back_does_its_work_and_stops_when_it_is_told_to()
{
    let Some(kafka) = kafka() else { return };
    let _alone = ONE_AT_A_TIME.lock().await;
    on_postgres(async |_, url| {
        let companions = Companions::start(&kafka, CompanionBehaviour::instant()).await;
        let clock = apart(WallClock::make).await.unwrap().expect("there is one on Linux");
        clock.is_off_by(3 * HOUR).unwrap();
        let mut told = vec![
            ("DATABASE_URL", &*url),
            ("KAFKA_BOOTSTRAP_SERVERS", &*kafka),
            ("CONTENT_SERVICE_URL", &*companions.content),
        ];
        told.extend(clock.variables().map(|(name, path)| (name, path.to_str().unwrap())));
        let folder = tempfile::tempdir().unwrap();
        let mut server = Server::told(&folder.path().join("data"), &[], &told);
        let client = Client::of(&server);
        // Kafka refuses records that are more than an hour ahead of its clock.
        for off in [3 * HOUR, HOUR, 0, -HOUR] {
            clock.is_off_by(off).unwrap();
            let accepted = client.submit(&class(2, &["spellcheck", "nlp"])).await;
            client.until(&id_of(&accepted.body), "completed_successfully").await;
        }
        server.terminate();
        let ended = tokio::task::block_in_place(|| server.ended());
        assert!(ended.success(), "{ended}");
        companions.stop().await;
    })
    .await;
}
