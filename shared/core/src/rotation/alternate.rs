//! The two users that take turns.

/// What the second user's name ends with, as in the rotation templates of Secrets Manager.
const SUFFIX: &str = "_clone";
/// PostgreSQL cuts longer names off: `NAMEDATALEN` less one, in bytes.
pub const NAME_MAX: usize = 63;

/// The user that everything belongs to: the one of the two without the suffix.
pub fn base(role: &str) -> &str {
    match role.strip_suffix(SUFFIX) {
        Some(base) if !base.is_empty() => base,
        Some(_) | None => role,
    }
}

/// The other one of the two.
pub fn alternate(role: &str) -> String {
    let base = base(role);
    if base == role { format!("{base}{SUFFIX}") } else { base.to_owned() }
}

/// Each role with the user that takes turns with it: whoever looks for sessions of a role means both.
pub fn with_alternates(roles: &[String]) -> Vec<String> {
    let mut both: Vec<String> = roles.iter().flat_map(|role| [role.clone(), alternate(role)]).collect();
    both.sort_unstable();
    both.dedup();
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_users_take_turns() {
        assert_eq!(alternate("app"), "app_clone");
        assert_eq!(alternate("app_clone"), "app");
        assert_eq!(base("app_clone"), "app");
        assert_eq!(alternate("_clone"), "_clone_clone", "a name that is nothing but the suffix is a base");
        for role in ["a", "a_clone", "_clone", "_clone_clone"] {
            assert_eq!(alternate(&alternate(role)), role);
        }
    }

    #[test]
    fn a_list_of_roles_means_both_of_each_once() {
        let roles = ["app".to_owned(), "app_clone".to_owned(), "audit".to_owned()];
        assert_eq!(with_alternates(&roles), ["app", "app_clone", "audit", "audit_clone"]);
    }
}
