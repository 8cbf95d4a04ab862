//! Looks for every password in everything that was written.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::RotationResult;
use crate::assembly::{Lab, call, names};
use crate::drill::DrillError;

/// The emulator is Secrets Manager itself.
const EMULATOR: &str = "ministack";

/// Searches logs, state table and notices, and notes where a password stands.
pub(super) async fn search(
    lab: &Lab,
    logs: &Path,
    passwords: &BTreeSet<String>,
    result: &mut RotationResult,
) -> Result<(), DrillError> {
    let mut texts = Vec::new();
    for file in files(logs)? {
        let bytes = std::fs::read(&file).map_err(|source| DrillError::Read { path: file.clone(), source })?;
        texts.push((file.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()));
    }
    texts.push(("the state table".to_owned(), state_table(lab).await?));
    texts.push(("notices".to_owned(), notices(lab).await?));
    result.secrets_looked_for = passwords.len().try_into().unwrap_or(u64::MAX);
    for (place, text) in texts {
        result.bytes_searched += u64::try_from(text.len()).unwrap_or(0);
        let found = passwords.iter().filter(|password| text.contains(password.as_str())).count();
        if found > 0 {
            result.secrets_found_in_output += u64::try_from(found).unwrap_or(u64::MAX);
            result.found_in.push(place);
        }
    }
    Ok(())
}

fn files(folder: &Path) -> Result<Vec<PathBuf>, DrillError> {
    let failed = |source| DrillError::Read { path: folder.to_owned(), source };
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let is_emulator = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(EMULATOR));
        if path.is_dir() {
            found.extend(files(&path)?);
        } else if !is_emulator {
            found.push(path);
        }
    }
    Ok(found)
}

async fn state_table(lab: &Lab) -> Result<String, DrillError> {
    let client = aws_sdk_dynamodb::Client::new(&lab.aws);
    let scan = client.scan().table_name(names::TABLE).consistent_read(true).into_paginator().items().send();
    let items = scan.collect::<Result<Vec<_>, _>>().await.map_err(call("Scan"))?;
    Ok(format!("{items:?}"))
}

async fn notices(lab: &Lab) -> Result<String, DrillError> {
    let client = aws_sdk_sqs::Client::new(&lab.aws);
    let mut text = String::new();
    loop {
        let receive = client.receive_message().queue_url(&lab.resources.notices_url).max_number_of_messages(10);
        let received = receive.send().await.map_err(call("ReceiveMessage"))?.messages.unwrap_or_default();
        if received.is_empty() {
            return Ok(text);
        }
        for message in received {
            text.push_str(message.body().unwrap_or_default());
            if let Some(handle) = message.receipt_handle() {
                let delete = client.delete_message().queue_url(&lab.resources.notices_url).receipt_handle(handle);
                delete.send().await.map_err(call("DeleteMessage"))?;
            }
        }
    }
}
