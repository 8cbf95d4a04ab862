//! The ways a request may name a function.

use super::error::LambdaError;
use super::spec::Settings;

/// The only version here.
pub(super) const LATEST: &str = "$LATEST";

/// The function's unqualified ARN.
pub(super) fn arn(settings: &Settings, name: &str) -> String {
    format!("arn:aws:lambda:{}:{}:function:{name}", settings.region, settings.account)
}

/// The function's name out of a name, a partial or a full ARN, each with or without a qualifier.
///
/// Fails when account, region or version are others than this service has.
pub(super) fn resolve(settings: &Settings, given: &str, qualifier: Option<&str>) -> Result<String, LambdaError> {
    let parts: Vec<&str> = given.split(':').collect();
    let (region, account, name, suffix) = match parts.as_slice() {
        [name] => (None, None, *name, None),
        [name, suffix] => (None, None, *name, Some(*suffix)),
        [account, "function", name] => (None, Some(*account), *name, None),
        [account, "function", name, suffix] => (None, Some(*account), *name, Some(*suffix)),
        ["arn", "aws", "lambda", region, account, "function", name] => (Some(*region), Some(*account), *name, None),
        ["arn", "aws", "lambda", region, account, "function", name, suffix] => {
            (Some(*region), Some(*account), *name, Some(*suffix))
        }
        _ => {
            return Err(LambdaError::InvalidParameter(format!(
                "{given} is neither a function name nor a partial or full function ARN"
            )));
        }
    };
    let elsewhere = region.is_some_and(|region| region != settings.region)
        || account.is_some_and(|account| account != settings.account);
    if elsewhere {
        return Err(LambdaError::NotFound(given.to_owned()));
    }
    if let (Some(suffix), Some(qualifier)) = (suffix, qualifier)
        && suffix != qualifier
    {
        return Err(LambdaError::InvalidParameter(
            "The derived qualifier from the function name does not match the specified qualifier.".to_owned(),
        ));
    }
    match suffix.or(qualifier) {
        None | Some(LATEST) => Ok(name.to_owned()),
        Some(other) => Err(LambdaError::NotFound(format!("{}:{other}", arn(settings, name)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_name_a_function_resolves() {
        let settings = Settings::default();
        for given in [
            "echo",
            "echo:$LATEST",
            "123456789012:function:echo",
            "arn:aws:lambda:us-east-1:123456789012:function:echo",
            "arn:aws:lambda:us-east-1:123456789012:function:echo:$LATEST",
        ] {
            assert_eq!(resolve(&settings, given, None).unwrap(), "echo", "{given}");
        }
        assert_eq!(resolve(&settings, "echo", Some(LATEST)).unwrap(), "echo");
    }

    #[test]
    fn another_region_account_or_version_is_not_found() {
        let settings = Settings::default();
        for given in ["echo:7", "999999999999:function:echo", "arn:aws:lambda:eu-west-1:123456789012:function:echo"] {
            let error = resolve(&settings, given, None).unwrap_err();
            assert!(matches!(error, LambdaError::NotFound(_)), "{given}: {error}");
        }
        let mismatch = resolve(&settings, "echo:$LATEST", Some("7")).unwrap_err();
        assert!(matches!(mismatch, LambdaError::InvalidParameter(_)), "{mismatch}");
        let nonsense = resolve(&settings, "a:b:c:d:e", None).unwrap_err();
        assert!(matches!(nonsense, LambdaError::InvalidParameter(_)), "{nonsense}");
    }
}
