//! A throw-away PostgreSQL.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::chown;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::process::{Pid, Signal, getuid, kill_process};

use super::super::Writer;
use super::PATIENCE;

const USER: &str = "steadfast";
const PASSWORD: &str = "p:a's\\s";
/// The numeric id of nobody, as PostgreSQL does not run as root.
const NOBODY: u32 = 65534;

pub(super) struct Postgres {
    directory: PathBuf,
    address: SocketAddr,
    child: Option<Child>,
    pub(super) tls: Option<Arc<rustls::ClientConfig>>,
}

impl Postgres {
    pub(super) async fn start() -> Self {
        Self::start_with(|_| (String::new(), None)).await
    }

    /// `prepare` may put files into the data directory; it returns more configuration.
    pub(super) async fn start_with(prepare: impl FnOnce(&Path) -> (String, Option<Arc<rustls::ClientConfig>>)) -> Self {
        let directory = std::env::temp_dir().join(format!("rds-data-{}", uuid::Uuid::new_v4().simple()));
        let mut this = Self { directory: directory.clone(), address: free_address(), child: None, tls: None };
        std::fs::create_dir(&directory).unwrap();
        let password_file = directory.join("password");
        std::fs::write(&password_file, PASSWORD).unwrap();
        own(&directory);
        own(&password_file);
        let data = directory.join("data");
        let made = command("initdb")
            .args(["-U", USER, "-A", "scram-sha-256", "-E", "UTF8"])
            .args(["--locale=C", "--no-sync", "--pwfile"])
            .arg(&password_file)
            .arg("-D")
            .arg(&data)
            .output()
            .unwrap();
        assert!(made.status.success(), "{made:?}");
        let (more, tls) = prepare(&data);
        let settings = format!(
            "listen_addresses = '{}'\nport = {}\nunix_socket_directories = ''\nfsync = off\n{more}",
            this.address.ip(),
            this.address.port()
        );
        let file = data.join("postgresql.auto.conf");
        std::fs::write(&file, settings).unwrap();
        own(&file);
        this.tls = tls;
        this.launch().await;
        this
    }

    /// Starts the server process and waits until it takes connections.
    pub(super) async fn launch(&mut self) {
        let log = std::fs::File::create(self.directory.join("log")).unwrap();
        let child = command("postgres")
            .arg("-D")
            .arg(self.directory.join("data"))
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        self.child = Some(child);
        let ready = async {
            while self.try_connect().await.is_err() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, ready).await.is_err() {
            let log = std::fs::read_to_string(self.directory.join("log"));
            panic!("PostgreSQL did not start: {log:?}");
        }
    }

    /// Ends the server at once, as a crash does.
    pub(super) fn crash(&mut self) {
        if let Some(mut child) = self.child.take() {
            if let Some(pid) = Pid::from_raw(child.id().cast_signed()) {
                let _ = kill_process(pid, Signal::QUIT);
            }
            let _ = child.wait();
        }
    }

    pub(super) fn writer(&self, instance: &str) -> Writer {
        Writer {
            address: self.address,
            server_name: "localhost".to_owned(),
            tls: self.tls.clone(),
            instance: instance.to_owned(),
        }
    }

    pub(super) fn secret(&self) -> String {
        serde_json::json!({ "username": USER, "password": PASSWORD }).to_string()
    }

    /// A connection that does not pass through the server under test.
    pub(super) async fn connect(&self) -> tokio_postgres::Client {
        self.try_connect().await.unwrap()
    }

    async fn try_connect(&self) -> Result<tokio_postgres::Client, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::Config::new()
            .host(self.address.ip().to_string())
            .port(self.address.port())
            .user(USER)
            .password(PASSWORD)
            .dbname("postgres")
            .connect(tokio_postgres::NoTls)
            .await?;
        tokio::spawn(connection);
        Ok(client)
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.crash();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

/// Hands a file to the user that PostgreSQL runs as.
pub(super) fn own(path: &Path) {
    if getuid().is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

fn free_address() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap()
}

fn command(program: &str) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL"]);
    if getuid().is_root() {
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
    }
    command.arg("--").arg(server_binaries().join(program)).stdin(Stdio::null()).current_dir("/");
    command
}

fn server_binaries() -> PathBuf {
    if let Ok(output) = Command::new("pg_config").arg("--bindir").output() {
        let path = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        if path.join("initdb").exists() {
            return path;
        }
    }
    PathBuf::from("/usr/lib/postgresql/15/bin")
}
