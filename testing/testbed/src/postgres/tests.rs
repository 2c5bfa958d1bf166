use std::{
    io::{ErrorKind, Read, Write},
    net::{Ipv4Addr, TcpStream},
    panic,
    sync::mpsc,
};

use super::*;
use crate::{left_out, tests::watch_signals};

/// A server from the machine's programs, because these tests download nothing.
fn server() -> Option<Server> {
    if binaries::on_machine().is_none() {
        left_out("postgres-of-the-machine", "kills and restarts of a PostgreSQL: install postgresql");
        return None;
    }
    watch_signals();
    Some(Server::start().unwrap())
}

fn connect(port: u16) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
    stream.set_read_timeout(Some(Duration::from_millis(200)))?;
    Ok(stream)
}

/// Sends an `SSLRequest`, which a backend of the server must answer. The answer is `N`: no TLS.
fn asked(port: u16) -> std::io::Result<u8> {
    let mut stream = connect(port)?;
    stream.write_all(&[0, 0, 0, 8, 4, 210, 22, 47])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

#[test]
fn a_server_is_ready_when_the_pid_file_of_its_own_process_says_so() {
    let said = "17\n/data\n1\n6543\n\n127.0.0.1\n 1 2\nready   \n";
    assert!(is_ready(said, 17));
    assert!(!is_ready(said, 18), "left by an earlier process");
    assert!(!is_ready(&said.replace("ready", "starting"), 17));
    assert!(!is_ready("17\n", 17));
}

#[test]
fn a_panic_ends_the_server_and_removes_its_folder() {
    let Some(server) = server() else { return };
    let (tell, told) = mpsc::channel();
    let run = thread::spawn(move || {
        connect(server.port).unwrap();
        assert!(data(server.folder.path()).is_dir());
        tell.send((server.port, server.folder.path().to_path_buf())).unwrap();
        panic::resume_unwind(Box::new("the run panics"));
    });
    run.join().unwrap_err();
    let (port, folder) = told.recv().expect("the server was ready");
    assert!(!folder.exists());
    connect(port).unwrap_err();
}

#[test]
fn a_server_restarts_on_its_data_and_port_after_each_fault() {
    let Some(mut server) = server() else { return };
    let mark = data(server.folder.path()).join("mark");
    fs::write(&mark, "").unwrap();
    for fault in [Server::kill, Server::stop_immediately, |_: &mut Server| Ok(())] {
        fault(&mut server).unwrap();
        server.restart().unwrap();
        assert_eq!(asked(server.port).unwrap(), b'N');
        assert!(mark.exists());
    }
}

#[test]
fn a_frozen_server_does_not_answer_until_it_is_resumed_and_can_be_dropped() {
    let Some(mut server) = server() else { return };
    server.pause().unwrap();
    let silence = asked(server.port).unwrap_err().kind();
    assert!(matches!(silence, ErrorKind::WouldBlock | ErrorKind::TimedOut), "{silence}");
    server.resume().unwrap();
    assert_eq!(asked(server.port).unwrap(), b'N');
    server.pause().unwrap();
    let folder = server.folder.path().to_path_buf();
    drop(server);
    assert!(!folder.exists());
}

#[test]
fn a_standby_runs_beside_its_primary_and_can_be_promoted_after_its_kill() {
    let Some(mut primary) = server() else { return };
    let standby = primary.standby().unwrap();
    assert_eq!((asked(primary.port).unwrap(), asked(standby.port).unwrap()), (b'N', b'N'));
    let follows = data(standby.folder.path()).join("standby.signal");
    assert!(follows.exists());
    primary.kill().unwrap();
    standby.promote().unwrap();
    assert!(!follows.exists());
    assert_eq!(asked(standby.port).unwrap(), b'N');
}
