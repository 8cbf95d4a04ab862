//! Waits until the emulator serves.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

use super::error::EmulatorError;
use super::process::Process;

/// Between two questions whether the emulator is ready.
const POLL: Duration = Duration::from_millis(50);
/// More than any answer asked for here; an answer beyond it is cut.
const ANSWER_LIMIT: u64 = 64 * 1024;

/// A service the emulator runs, and a question without effect to it.
#[derive(Debug)]
pub(super) struct Service {
    /// Its name in the emulator's list and in a request's credential scope.
    pub(super) name: &'static str,
    question: Question,
}

#[derive(Debug)]
enum Question {
    /// The protocols AWS JSON 1.0 and 1.1.
    Target(&'static str),
    /// The protocol AWS query.
    Action(&'static str),
    /// A plain path.
    Path(&'static str),
}

/// Everything the lab needs and nothing else: each service more costs memory when used.
pub(super) const SERVICES: [Service; 9] = [
    Service { name: "dynamodb", question: Question::Target("DynamoDB_20120810.ListTables") },
    Service { name: "sns", question: Question::Action("Action=ListTopics&Version=2010-03-31") },
    Service { name: "sqs", question: Question::Target("AmazonSQS.ListQueues") },
    Service { name: "secretsmanager", question: Question::Target("secretsmanager.ListSecrets") },
    Service { name: "monitoring", question: Question::Action("Action=ListMetrics&Version=2010-08-01") },
    Service { name: "events", question: Question::Target("AWSEvents.ListRules") },
    Service { name: "scheduler", question: Question::Path("/schedules") },
    Service { name: "route53", question: Question::Path("/2013-04-01/hostedzone") },
    Service { name: "sts", question: Question::Action("Action=GetCallerIdentity&Version=2011-06-15") },
];

/// Waits until the emulator says that it is ready.
pub(super) async fn wait_until_ready(
    process: &mut Process,
    address: SocketAddr,
    log: &Path,
    deadline: Instant,
) -> Result<(), EmulatorError> {
    let request = format!("GET /_ministack/ready HTTP/1.1\r\nHost: {address}\r\n");
    loop {
        if let Some(status) = process.ended() {
            return Err(EmulatorError::Ended { status, log: log.to_owned() });
        }
        let reason = match exchange(address, &request, "", deadline).await {
            Ok(answer) if is_ok(&answer) => return Ok(()),
            Ok(answer) => answer,
            Err(error) => error.to_string(),
        };
        if Instant::now() >= deadline {
            return Err(EmulatorError::NotReady { address, reason });
        }
        sleep(POLL).await;
    }
}

/// Asks each service once. The emulator loads a service's code at its first request,
/// which takes up to 0.4 s on two idle cores; a drill must not measure that.
pub(super) async fn load_services(address: SocketAddr, deadline: Instant) -> Result<(), EmulatorError> {
    for service in &SERVICES {
        let (head, body) = request(address, service);
        let reason = match exchange(address, &head, body, deadline).await {
            Ok(answer) if is_ok(&answer) => continue,
            Ok(answer) => answer,
            Err(error) => error.to_string(),
        };
        return Err(EmulatorError::Service { service: service.name, reason });
    }
    Ok(())
}

fn is_ok(status_line: &str) -> bool {
    status_line.split(' ').nth(1) == Some("200")
}

/// The head and the body of a request. Its signature is not checked by the emulator.
fn request(address: SocketAddr, service: &Service) -> (String, &'static str) {
    let (line, header, body) = match service.question {
        Question::Target(target) => {
            ("POST /", format!("Content-Type: application/x-amz-json-1.1\r\nX-Amz-Target: {target}\r\n"), "{}")
        }
        Question::Action(action) => {
            ("POST /", "Content-Type: application/x-www-form-urlencoded\r\n".to_owned(), action)
        }
        Question::Path(path) => {
            let line = format!("GET {path}");
            return (head(&line, address, service.name, ""), "");
        }
    };
    (head(line, address, service.name, &header), body)
}

fn head(line: &str, address: SocketAddr, service: &str, header: &str) -> String {
    format!(
        "{line} HTTP/1.1\r\nHost: {address}\r\n{header}\
         Authorization: AWS4-HMAC-SHA256 Credential=000000000000/20260101/us-east-1/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n"
    )
}

/// Sends a request and returns the status line of its answer.
async fn exchange(address: SocketAddr, head: &str, body: &str, deadline: Instant) -> io::Result<String> {
    let conversation = async {
        let mut stream = TcpStream::connect(address).await?;
        let length = body.len();
        let request = format!("{head}Content-Length: {length}\r\nConnection: close\r\n\r\n{body}");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.take(ANSWER_LIMIT).read_to_end(&mut answer).await?;
        let answer = String::from_utf8_lossy(&answer);
        Ok(answer.lines().next().unwrap_or_default().to_owned())
    };
    match timeout_at(deadline, conversation).await {
        Ok(result) => result,
        Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, "no answer in time")),
    }
}
