//! What a SQLSTATE says about the server that answered it.

use crate::witness::Outcome;

/// Names the outcome of a probe that the server answered with an error.
///
/// Source: PostgreSQL manual, appendix "Error Codes".
pub fn sqlstate(code: &str) -> Outcome {
    match code {
        "57P01" | "57P02" | "57P03" => Outcome::Restarting,
        "53300" => Outcome::Saturated,
        "28P01" | "28000" => Outcome::BadCredentials,
        "53100" => Outcome::DiskFull,
        "25006" => Outcome::ReadOnly,
        // The canary's row is locked by an earlier commit of ours that has not ended.
        "55P03" => Outcome::Stalled,
        _ => Outcome::Failed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_server_and_a_wrong_password_are_no_dead_server() {
        for code in ["53300", "28P01", "28000", "57P03", "53100", "25006", "XX000"] {
            assert!(sqlstate(code).answered(), "{code}");
        }
    }
}
