//! The operating system user that PostgreSQL runs as: it refuses to run as root.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use super::error::ClusterError;

const NOBODY: u32 = 65534;

/// An unprivileged user, and how to start programs as that user.
#[derive(Debug, Clone, Copy)]
pub(super) struct Account {
    /// None when the lab itself is unprivileged and the user need not change.
    change_to: Option<(u32, u32)>,
}

impl Account {
    /// As root `postgres` if that user exists, else nobody; otherwise the present user.
    pub(super) fn choose() -> Self {
        if !rustix::process::geteuid().is_root() {
            return Self { change_to: None };
        }
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        Self { change_to: Some(ids_of("postgres", &passwd).unwrap_or((NOBODY, NOBODY))) }
    }

    /// A command that runs as this user and dies with the thread that starts it.
    pub(super) fn command(self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        if let Some((user, group)) = self.change_to {
            command.arg(format!("--reuid={user}")).arg(format!("--regid={group}")).arg("--clear-groups");
        }
        command.args(["--pdeathsig", "KILL", "--"]).arg(program);
        command.env_clear();
        if let Some(path) = std::env::var_os("PATH") {
            command.env("PATH", path);
        }
        command.env("LC_ALL", "C").env("TZ", "UTC");
        command
    }

    /// Makes this user the owner of a file or directory.
    pub(super) fn own(self, path: &Path) -> Result<(), ClusterError> {
        let Some((user, group)) = self.change_to else {
            return Ok(());
        };
        std::os::unix::fs::chown(path, Some(user), Some(group))
            .map_err(ClusterError::io(format!("chown {}", path.display())))
    }
}

fn ids_of(name: &str, passwd: &str) -> Option<(u32, u32)> {
    let line = passwd.lines().find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    let user = fields.next()?.parse().ok()?;
    let group = fields.next()?.parse().ok()?;
    Some((user, group))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_passwd() {
        let passwd = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104::/var/lib:/bin/sh\nbad:x\n";
        assert_eq!(ids_of("postgres", passwd), Some((101, 104)));
        assert_eq!(ids_of("bad", passwd), None);
        assert_eq!(ids_of("none", passwd), None);
    }
}
