//! The service with a real function, `examples/echo-lambda.rs`, as its bootstrap.

mod asynchronous;
mod faults;
mod http;
mod life;
mod runtime;
mod synchronous;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

use serde_json::Value;

use super::{FunctionSpec, Invocation, Lambda, Settings};

/// Generous: only a hanging test gets here.
const LIMIT: Duration = Duration::from_secs(60);

/// A running service with a log folder of its own. Whatever happens, its processes end with the
/// test's runtime.
struct Fixture {
    lambda: Lambda,
    logs: PathBuf,
}

impl Fixture {
    async fn new(settings: Settings) -> Self {
        let logs = std::env::temp_dir().join(format!("lambda-{}", uuid::Uuid::new_v4()));
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let lambda = Lambda::start(listen, &logs, settings).await.unwrap();
        Self { lambda, logs }
    }

    /// A service with the echo function, as `change` wants it.
    async fn with_echo(settings: Settings, change: impl FnOnce(&mut FunctionSpec)) -> Self {
        let fixture = Self::new(settings).await;
        let mut spec = FunctionSpec::new("echo", bootstrap());
        spec.timeout = Duration::from_secs(60);
        change(&mut spec);
        fixture.lambda.create_function(spec).await.unwrap();
        fixture
    }

    async fn invoke(&self, event: Value) -> Invocation {
        self.lambda.invoke("echo", event.to_string().into_bytes()).await.unwrap()
    }

    async fn answer(&self, event: Value) -> Value {
        let invocation = self.invoke(event).await;
        assert_eq!(invocation.function_error, None, "{}", invocation.log_tail);
        serde_json::from_slice(&invocation.payload).unwrap()
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        let _absent = std::fs::remove_dir_all(&self.logs);
    }
}

/// The echo function's binary, next to this test's; `cargo test --lib` alone does not build it.
fn bootstrap() -> PathBuf {
    static PATH: OnceLock<PathBuf> = OnceLock::new();
    let path = PATH.get_or_init(|| {
        let test = std::env::current_exe().unwrap();
        let profile = test.parent().and_then(std::path::Path::parent).unwrap();
        let path = profile.join("examples/echo-lambda");
        if !path.is_file() {
            let mut build = Command::new(env!("CARGO"));
            build.args(["build", "--quiet", "--package", "steadfast-lab", "--example"]);
            build.arg("echo-lambda").arg("--target-dir").arg(profile.parent().unwrap());
            if profile.ends_with("release") {
                build.arg("--release");
            }
            assert!(build.status().unwrap().success(), "cannot build echo-lambda");
        }
        path
    });
    path.clone()
}

/// Waits until `condition` holds.
async fn until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let holds = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(LIMIT, holds).await.unwrap_or_else(|_| panic!("never: {what}"));
}

/// The state letter in `/proc/<pid>/stat`; `None` when the process is gone or a zombie.
fn state_of(pid: &Value) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    after_name.chars().next().filter(|state| *state != 'Z')
}

fn json(payload: &[u8]) -> Value {
    serde_json::from_slice(payload).unwrap()
}
