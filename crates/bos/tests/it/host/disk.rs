use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Client, id_of};
use crate::program::{Server, plain_batch};

/// A small disk of its own, unmounted at the end.
struct Disk {
    at: tempfile::TempDir,
}

impl Disk {
    /// `None` if this user may not mount.
    fn of_megabytes(size: u32) -> Option<Self> {
        let at = tempfile::tempdir().unwrap();
        let mount = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={size}m"), "bos-test"])
            .arg(at.path())
            .output();
        mount.is_ok_and(|ran| ran.status.success()).then_some(Self { at })
    }

    fn path(&self) -> &Path {
        self.at.path()
    }

    fn ballast(&self) -> PathBuf {
        self.path().join("ballast")
    }

    /// Fills the disk to the last byte.
    fn fill(&self) {
        let mut ballast = File::options().create(true).append(true).open(self.ballast()).unwrap();
        let mut piece = vec![0; 1 << 20];
        while !piece.is_empty() {
            if ballast.write_all(&piece).is_err() {
                piece.truncate(piece.len() / 2);
            }
        }
    }

    fn free(&self) {
        std::fs::remove_file(self.ballast()).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.path()).status();
    }
}

#[tokio::test]
async fn with_a_full_disk_writes_are_refused_and_reads_served_until_there_is_space_again() {
    let Some(disk) = Disk::of_megabytes(24) else {
        return testbed::left_out("full-disk", "a full disk: run the tests as a user who may mount");
    };
    let data = disk.path().join("data");
    let server = Server::on(&data, &[]);
    let client = Client::of(&server);
    let mut acknowledged = vec![client.accepted("while there is space").await];

    disk.fill();
    // Space that the database has already allocated may still hold a few batches.
    let refused = loop {
        let answer = client.submit(&plain_batch("while there is none", 500)).await;
        if answer.status != 202 {
            break answer;
        }
        acknowledged.push(id_of(&answer.body));
    };
    assert_eq!((refused.status, refused.asks_to_wait), (503, true), "{}", refused.body);
    assert_eq!(refused.body["code"], "unavailable", "{}", refused.body);
    assert_eq!(refused.body["retryable"], true);
    client.shows(&acknowledged).await;
    assert_eq!(client.get("/v1/batch").await.status, 200);
    assert_eq!(client.get("/healthz").await.status, 200);

    disk.free();
    let mut whole = plain_batch("after", 3);
    whole["phases"] = serde_json::json!(["spellcheck", "nlp"]);
    let after = client.submit(&whole).await;
    assert_eq!(after.status, 202, "{}", after.body);
    acknowledged.push(id_of(&after.body));
    client.until(&id_of(&after.body), "completed_successfully").await;
    for batch in &acknowledged[..acknowledged.len() - 1] {
        client.until(batch, "ready").await;
    }

    server.kill();
    let server = Server::on(&data, &[]);
    Client::of(&server).shows(&acknowledged).await;
}
