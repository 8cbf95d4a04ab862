//! Commands that survive the application's own crash: accepted durably first, applied once, then crossed out.
//!
//! The order is: [`Journal::accept`], tell the user "accepted", run [`crate::Client::transaction`] with the same key,
//! [`Journal::cross_out`]. After a crash [`Journal::pending`] has what was accepted and not crossed out; running it
//! again is safe, since the ledger knows the keys that were applied.
//!
//! The file survives what its disk survives: the process and the system, not the loss of the host. Call
//! [`crate::Client::keep_since`] with [`Journal::oldest`], so that the rows of pending keys are not pruned, and start the
//! client as [`Journal::process`], so that it releases them when it has come back. A command that is older than
//! [`crate::KEY_AGE_MAX`] when it is run again is no longer applied: its outcome is told if the ledger has it, and
//! [`crate::Error::Forgotten`] otherwise.

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, mpsc};
use std::time::SystemTime;

use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageBackend, TableDefinition};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::oneshot;
use uuid::Uuid;

use crate::key::Key;

const ACCEPTED: TableDefinition<'_, u128, &[u8]> = TableDefinition::new("accepted");
const PROCESS: TableDefinition<'_, (), u128> = TableDefinition::new("process");
/// How many commands one write to the disk may carry.
const BATCH: usize = 1_024;

/// Why a command was not accepted, or is not known to be.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// The disk is full or broken, or the file is not a journal. Nothing that was refused is accepted; what was
    /// accepted before stays so. Open the journal again when the disk is mended.
    #[error("the journal cannot be used: {0}")]
    Storage(Arc<redb::Error>),
    /// The write failed at its end: it may be on the disk all the same, and the command is pending then once the journal
    /// is opened again. Under another key it may be applied twice.
    #[error(
        "it is not known whether the journal accepted the command: {0}; open the journal again and look in pending(), \
         or come again with the same key"
    )]
    InDoubt(Arc<redb::Error>),
    /// The command cannot be stored, or what is stored is not of the type asked for.
    #[error("the command cannot be stored or read: {0}")]
    Command(Arc<serde_json::Error>),
    /// Another command was accepted under this key.
    #[error("another command was accepted under {0}")]
    Taken(Key),
    /// The journal's writer has ended. What was under way may be on the disk, as with [`Self::InDoubt`].
    #[error(
        "the journal is closed, and it is not known whether it accepted the command: open it again and look in \
         pending(), or come again with the same key"
    )]
    Closed,
}

/// A journal in one file. Dropping it waits for what was begun.
#[derive(Debug)]
pub struct Journal {
    database: Arc<Database>,
    requests: Option<mpsc::Sender<Request>>,
    writer: Option<std::thread::JoinHandle<()>>,
    process: Uuid,
}

#[derive(Debug)]
struct Request {
    change: Change,
    done: oneshot::Sender<Result<(), JournalError>>,
}

#[derive(Debug)]
enum Change {
    Accept(Key, Vec<u8>),
    CrossOut(Key),
}

impl Change {
    fn key(&self) -> Key {
        match self {
            Self::Accept(key, _) | Self::CrossOut(key) => *key,
        }
    }
}

impl Journal {
    /// Opens a journal, or makes one. Blocks while it reads; a file that was torn by a crash is brought back to what
    /// was accepted.
    ///
    /// # Errors
    ///
    /// [`JournalError::Storage`], also when another process has it open.
    pub fn open(file: &Path) -> Result<Self, JournalError> {
        Self::on(Database::create(file).map_err(storage)?)
    }

    /// The same on other storage than a file.
    ///
    /// # Errors
    ///
    /// As [`Self::open`].
    pub fn open_on(storage_backend: impl StorageBackend) -> Result<Self, JournalError> {
        Self::on(Database::builder().create_with_backend(storage_backend).map_err(storage)?)
    }

    fn on(database: Database) -> Result<Self, JournalError> {
        let made = database.begin_write().map_err(storage)?;
        made.open_table(ACCEPTED).map(drop).map_err(storage)?;
        let process = {
            let mut table = made.open_table(PROCESS).map_err(storage)?;
            let known = table.get(()).map_err(storage)?.map(|id| Uuid::from_u128(id.value()));
            let process = known.unwrap_or_else(Uuid::new_v4);
            table.insert((), process.as_u128()).map_err(storage)?;
            process
        };
        made.commit().map_err(storage)?;
        let database = Arc::new(database);
        let (requests, received) = mpsc::channel();
        let writer = std::thread::spawn({
            let database = Arc::clone(&database);
            move || write_all(&database, &received)
        });
        Ok(Self { database, requests: Some(requests), writer: Some(writer), process })
    }

    /// Who writes this journal, for [`crate::Config::process`]: the same after every restart.
    #[must_use]
    pub fn process(&self) -> Uuid {
        self.process
    }

    /// Accepts a command: when this returns, it is on the disk. Commands that come together share one write. The same
    /// command under the same key is accepted again.
    ///
    /// Safe to cancel; the command may have been accepted then, and will be in [`Self::pending`].
    ///
    /// # Errors
    ///
    /// [`JournalError`]; the command is not accepted, except that after [`JournalError::InDoubt`] and
    /// [`JournalError::Closed`] it may have been: come again with the same key, or look in [`Self::pending`] of the
    /// journal opened again.
    pub async fn accept(&self, key: Key, command: &(impl Serialize + Sync)) -> Result<(), JournalError> {
        let bytes = serde_json::to_vec(command).map_err(|error| JournalError::Command(Arc::new(error)))?;
        self.change(Change::Accept(key, bytes)).await
    }

    /// Crosses out a command that is applied, or certainly not: it is not pending any more. Safe to cancel and to
    /// repeat.
    ///
    /// # Errors
    ///
    /// [`JournalError`]; it may be pending after a crash then, which the ledger makes harmless.
    pub async fn cross_out(&self, key: Key) -> Result<(), JournalError> {
        self.change(Change::CrossOut(key)).await
    }

    /// What was accepted and not crossed out, the oldest first. Blocks while it reads.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn pending<T: DeserializeOwned>(&self) -> Result<Vec<(Key, T)>, JournalError> {
        let table = self.database.begin_read().map_err(storage)?.open_table(ACCEPTED).map_err(storage)?;
        let mut pending = Vec::new();
        for entry in table.iter().map_err(storage)? {
            let (key, bytes) = entry.map_err(storage)?;
            let command =
                serde_json::from_slice(bytes.value()).map_err(|error| JournalError::Command(Arc::new(error)))?;
            pending.push((Key::from(Uuid::from_u128(key.value())), command));
        }
        Ok(pending)
    }

    /// When the oldest pending command's key was made.
    ///
    /// # Errors
    ///
    /// [`JournalError`].
    pub fn oldest(&self) -> Result<Option<SystemTime>, JournalError> {
        let table = self.database.begin_read().map_err(storage)?.open_table(ACCEPTED).map_err(storage)?;
        let first = table.first().map_err(storage)?;
        Ok(first.map(|(key, _)| Key::from(Uuid::from_u128(key.value())).made()))
    }

    async fn change(&self, change: Change) -> Result<(), JournalError> {
        let (done, answer) = oneshot::channel();
        let requests = self.requests.as_ref().ok_or(JournalError::Closed)?;
        requests.send(Request { change, done }).map_err(|_| JournalError::Closed)?;
        answer.await.map_err(|_| JournalError::Closed)?
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        drop(self.requests.take());
        if let Some(writer) = self.writer.take()
            && writer.join().is_err()
        {
            tracing::error!("the journal's writer has panicked");
        }
    }
}

/// Every write carries all that has come meanwhile.
fn write_all(database: &Database, requests: &mpsc::Receiver<Request>) {
    let mut doubts = HashMap::new();
    while let Ok(first) = requests.recv() {
        let batch: Vec<Request> = std::iter::once(first).chain(requests.try_iter().take(BATCH - 1)).collect();
        let written = write(database, &batch);
        for (at, request) in batch.into_iter().enumerate() {
            let answer = match &written {
                Ok(answers) => answers.get(at).cloned().unwrap_or(Err(JournalError::Closed)),
                Err(error) => Err(error.clone()),
            };
            let answer = remember(&mut doubts, request.change.key(), answer);
            answer_to(request, answer);
        }
    }
}

/// What was in doubt stays so for its key when a later try does not even begin to write.
fn remember(
    doubts: &mut HashMap<Key, JournalError>,
    key: Key,
    answer: Result<(), JournalError>,
) -> Result<(), JournalError> {
    match &answer {
        Ok(()) => drop(doubts.remove(&key)),
        Err(error @ JournalError::InDoubt(_)) => drop(doubts.insert(key, error.clone())),
        Err(JournalError::Taken(_)) => return answer,
        Err(JournalError::Storage(_) | JournalError::Command(_) | JournalError::Closed) => {}
    }
    doubts.get(&key).cloned().map_or(answer, Err)
}

fn answer_to(request: Request, answer: Result<(), JournalError>) {
    if request.done.send(answer).is_err() {
        tracing::debug!("nobody waits for the journal's answer");
    }
}

/// All of them or none: an error says that nothing of this batch is on the disk, or that it is in doubt.
fn write(database: &Database, batch: &[Request]) -> Result<Vec<Result<(), JournalError>>, JournalError> {
    let transaction = database.begin_write().map_err(storage)?;
    let mut answers = Vec::with_capacity(batch.len());
    {
        let mut table = transaction.open_table(ACCEPTED).map_err(storage)?;
        for request in batch {
            answers.push(match &request.change {
                Change::Accept(key, bytes) => {
                    let id = key.as_uuid().as_u128();
                    let taken = table.get(id).map_err(storage)?.is_some_and(|known| known.value() != bytes.as_slice());
                    if taken {
                        Err(JournalError::Taken(*key))
                    } else {
                        table.insert(id, bytes.as_slice()).map(drop).map_err(storage)
                    }
                }
                Change::CrossOut(key) => table.remove(key.as_uuid().as_u128()).map(drop).map_err(storage),
            });
        }
    }
    // A full disk shows here at the latest.
    if let Some(error) = answers.iter().find_map(|answer| match answer {
        Err(error @ JournalError::Storage(_)) => Some(error.clone()),
        Ok(()) | Err(_) => None,
    }) {
        return Err(error);
    }
    // It may fail after the last byte was written.
    transaction.commit().map_err(|error| JournalError::InDoubt(Arc::new(error.into())))?;
    Ok(answers)
}

fn storage(error: impl Into<redb::Error>) -> JournalError {
    JournalError::Storage(Arc::new(error.into()))
}
