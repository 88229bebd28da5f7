//! A server in a process of its own, whose memory and descriptors are nobody else's.

use bytes::Bytes;
use exeunt_lifecycle::{Config, Lifecycle};
use exeunt_server::{BoxError, RequestBody, Server};
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::Frame;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io::{BufRead as _, BufReader, Read as _};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

/// How many descriptors the child may have beyond those that it begins with.
const FEW: &str = "EXEUNT_TEST_DESCRIPTORS";

/// How large the pieces of `/endless` are.
pub(crate) const PIECE: usize = 16 * 1024;

/// The server's process, which ends with this.
pub(crate) struct Served {
    child: Child,
    pub(crate) address: SocketAddr,
}

impl Served {
    /// With as many descriptors as there may be, or few.
    pub(crate) fn begin(few: Option<u64>) -> Self {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "child::is_served", "--ignored", "--nocapture", "--test-threads=1"]);
        command.envs(few.map(|few| (FEW, few.to_string())));
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let address = lines.find_map(|line| line.unwrap().split_once("serves at ")?.1.parse().ok());
        Self { child, address: address.expect("the child says where it serves") }
    }

    /// The most memory that was resident ever, in bytes (`proc_pid_status(5)`).
    pub(crate) fn peak(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// Lets this process have as many descriptors as it may; answers how many that are.
pub(crate) fn all_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    limit.maximum.unwrap_or(u64::MAX)
}

type Answer = Response<UnsyncBoxBody<Bytes, BoxError>>;

async fn answer(request: Request<RequestBody>) -> Result<Answer, BoxError> {
    let text = match request.uri().path() {
        "/endless" => {
            // Each in memory of its own.
            let pieces = futures_util::stream::repeat_with(|| Ok(Frame::data(Bytes::from(vec![7; PIECE]))));
            return Ok(Response::new(StreamBody::new(pieces).boxed_unsync()));
        }
        "/hold" => {
            let mut held = request.into_body();
            _ = held.frame().await;
            std::future::pending().await
        }
        "/collect" => request.into_body().collect().await?.to_bytes().len().to_string(),
        _ => "hello".to_owned(),
    };
    Ok(Response::new(Full::from(text).map_err(|never| match never {}).boxed_unsync()))
}

#[test]
#[ignore = "the other tests run it, as a process of its own"]
fn is_served() {
    all_descriptors();
    if let Ok(few) = std::env::var(FEW) {
        let maximum = getrlimit(Resource::Nofile).maximum;
        let open = std::fs::read_dir("/proc/self/fd").unwrap().count() as u64;
        // What the runtime and the listener need comes on top.
        let current = Some(open + 8 + few.parse::<u64>().unwrap());
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
    // Whoever has begun this has gone, or says so.
    std::thread::spawn(|| {
        _ = std::io::stdin().read(&mut [0]);
        std::process::exit(0);
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let lifecycle = Lifecycle::on_runtime(Config::default()).unwrap();
        let server = Server::bind("127.0.0.1:0").unwrap().service(tower::service_fn(answer));
        println!("serves at {}", server.local_address().as_socket_addr().unwrap());
        let run = server.run(&lifecycle);
        lifecycle.ready();
        run.await.unwrap();
    });
}
