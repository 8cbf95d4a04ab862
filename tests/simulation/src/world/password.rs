//! Passwords of roles and their secrets: a rotation changes one before the other.

use steadfast_scenario::Role;

use super::World;

/// Which password: each rotation makes the next one.
pub(crate) type Version = u32;

/// What the database wants and what the secret holds.
#[derive(Clone, Copy, Debug, Default)]
struct Password {
    wanted: Version,
    stored: Version,
}

/// The passwords of the roles.
#[derive(Debug, Default)]
pub(crate) struct Passwords {
    prober: Password,
    application: Password,
}

impl Passwords {
    fn of(&self, role: Role) -> Password {
        match role {
            Role::Prober => self.prober,
            Role::Application => self.application,
        }
    }

    fn change(&mut self, role: Role, change: impl FnOnce(&mut Password)) {
        change(match role {
            Role::Prober => &mut self.prober,
            Role::Application => &mut self.application,
        });
    }

    /// What the role's secret holds.
    pub(crate) fn stored(&self, role: Role) -> Version {
        self.of(role).stored
    }
}

impl World {
    /// A rotation begins: the database wants the next password.
    pub(super) fn rotate(&mut self, role: Role) {
        self.passwords.change(role, |password| password.wanted = password.wanted.saturating_add(1));
    }

    /// It ends: the secret holds what the database wants.
    pub(super) fn store_rotated(&mut self, role: Role) {
        self.passwords.change(role, |password| password.stored = password.wanted);
    }

    /// Whether a fresh session with this password is refused.
    pub(crate) fn refuses(&self, role: Role, known: Version) -> bool {
        self.refuses_password(role) || self.passwords.of(role).wanted != known
    }
}
