use std::{
    net::{Ipv4Addr, TcpListener, TcpStream},
    panic, thread,
};

use super::*;
use crate::{left_out, tests::watch_signals};

/// One test for several properties, because a start takes seconds.
#[test]
fn a_server_behind_a_proxy_recovers_from_each_fault_and_a_panic_ends_it_and_its_folder() {
    if !release::on_machine() {
        return left_out(
            "kafka",
            "kills and restarts of a Kafka: run `cargo xtask test` without BOS_TEST_KAFKA",
        );
    }
    watch_signals();
    let proxy = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let proxy_port = proxy.local_addr().unwrap().port();
    let mut server = Server::start_behind(proxy_port).unwrap();
    let (port, folder) = (server.port(), server.folder.path().to_path_buf());
    assert_eq!(server.bootstrap_servers(), format!("127.0.0.1:{proxy_port}"));
    let mark = folder.join("data/mark");
    fs::write(&mark, "").unwrap();

    server.pause().unwrap();
    metadata::brokers(port).unwrap_err();
    server.resume().unwrap();
    server.wait_until_ready().unwrap();

    server.kill().unwrap();
    server.check().unwrap_err();
    metadata::brokers(port).unwrap_err();
    server.restart().unwrap();
    assert_eq!(metadata::brokers(port).unwrap(), 1, "the server directly, on its own port");
    assert!(mark.exists());

    let run = thread::spawn(move || {
        let _held = server;
        panic::resume_unwind(Box::new("the run panics"));
    });
    run.join().unwrap_err();
    assert!(!folder.exists());
    TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap_err();
}
