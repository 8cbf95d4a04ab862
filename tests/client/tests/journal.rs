//! Accepted commands, a torn file, a full disk, and an application that dies in between.

mod support;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use redb::StorageBackend;
use steadfast_client::journal::{Journal, JournalError};
use steadfast_client::{Client, Error, Key, Outcome, StatementError};
use support::{GENEROUS, Lab, entries};

/// A disk that can be full, and that forgets or tears what was not synced when it loses power.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    synced: Vec<u8>,
    unsynced: Vec<Change>,
    room: Option<usize>,
}

#[derive(Clone, Debug)]
enum Change {
    Length(usize),
    Write(usize, Vec<u8>),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => bytes[*offset..*offset + data.len()].copy_from_slice(data),
        }
    }
}

impl StorageBackend for Disk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().bytes.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).unwrap();
        out.copy_from_slice(&self.0.lock().unwrap().bytes[from..from + out.len()]);
        Ok(())
    }

    fn set_len(&self, length: u64) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        let length = usize::try_from(length).unwrap();
        if content.room.is_some_and(|room| length > room) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        content.change(Change::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        content.synced = content.bytes.clone();
        content.unsynced.clear();
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().change(Change::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}

impl Content {
    fn change(&mut self, change: Change) {
        change.apply(&mut self.bytes);
        self.unsynced.push(change);
    }
}

impl Disk {
    fn limit(&self, room: Option<usize>) {
        self.0.lock().unwrap().room = room;
    }

    /// All disks that a loss of power can leave at this moment, each write whole, torn in the middle or missing, as
    /// far as the writes before it arrived.
    fn after_power_loss(&self) -> Vec<Self> {
        let content = self.0.lock().unwrap();
        let mut disks = Vec::new();
        let mut bytes = content.synced.clone();
        for change in &content.unsynced {
            disks.push(bytes.clone());
            if let Change::Write(offset, data) = change {
                let mut torn = bytes.clone();
                Change::Write(*offset, data[..data.len() / 2].to_vec()).apply(&mut torn);
                disks.push(torn);
            }
            change.apply(&mut bytes);
        }
        disks.push(bytes);
        let disk = |bytes: Vec<u8>| Content { synced: bytes.clone(), bytes, ..Content::default() };
        disks.into_iter().map(|bytes| Self(Arc::new(Mutex::new(disk(bytes))))).collect()
    }
}

#[tokio::test]
async fn what_was_accepted_survives_every_torn_write() {
    let disk = Disk::default();
    let journal = Journal::open_on(disk.clone()).unwrap();
    let mut accepted: Vec<Key> = Vec::new();
    let mut tried = 0;
    for number in 0..12_u64 {
        let key = Key::fresh();
        journal.accept(key, &number).await.unwrap();
        accepted.push(key);
        if number % 3 == 2 {
            journal.cross_out(accepted.remove(0)).await.unwrap();
        }
        for torn in disk.after_power_loss() {
            let found = Journal::open_on(torn).unwrap().pending::<u64>().unwrap();
            assert_eq!(found.iter().map(|(key, _)| *key).collect::<Vec<_>>(), accepted);
            tried += 1;
        }
    }
    assert!(tried > 12, "{tried}");
    // In the middle of a write that nobody was told of, either is right, but nothing that was accepted is missing.
    disk.limit(None);
    let late = Key::fresh();
    let accepting = journal.accept(late, &99_u64);
    let watching = async {
        for _ in 0..50 {
            for torn in disk.after_power_loss() {
                let found = Journal::open_on(torn).unwrap().pending::<u64>().unwrap();
                let keys: Vec<Key> = found.into_iter().map(|(key, _)| key).filter(|key| *key != late).collect();
                assert_eq!(keys, accepted);
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::join!(accepting, watching).0.unwrap();
}

#[tokio::test]
async fn a_full_disk_accepts_nothing_and_forgets_nothing() {
    let disk = Disk::default();
    let journal = Journal::open_on(disk.clone()).unwrap();
    let kept = Key::fresh();
    journal.accept(kept, &"small").await.unwrap();
    assert!(matches!(journal.accept(kept, &"other").await, Err(JournalError::Taken(key)) if key == kept));
    journal.accept(kept, &"small").await.unwrap();
    disk.limit(Some(usize::try_from(disk.len().unwrap()).unwrap()));
    let large = "x".repeat(8 << 20);
    let refused = journal.accept(Key::fresh(), &large).await;
    assert!(matches!(refused, Err(JournalError::Storage(_))), "{refused:?}");
    drop(journal);
    disk.limit(None);
    let journal = Journal::open_on(disk).unwrap();
    assert_eq!(journal.pending::<String>().unwrap(), [(kept, "small".to_owned())]);
    journal.accept(Key::fresh(), &large).await.unwrap();
    assert_eq!(journal.pending::<String>().unwrap().len(), 2);
}

async fn apply(client: &Client, key: Key, id: i64) -> Result<Outcome<()>, Error<StatementError>> {
    client
        .transaction(key, |tx| async move { tx.execute("INSERT INTO entry VALUES ($1)", &[&id]).await.map(drop) })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn accepted_commands_are_applied_once_after_a_crash() {
    let lab = Lab::start().await;
    let file = std::env::temp_dir().join(format!("journal-{}.redb", Key::fresh()));
    let journal = Journal::open(&file).unwrap();
    let keys: Vec<Key> = (0..9).map(|_| Key::fresh()).collect();
    futures_util::future::try_join_all(keys.iter().zip(0_i64..).map(|(key, id)| journal.accept(*key, &id)))
        .await
        .unwrap();
    assert!(matches!(Journal::open(&file), Err(JournalError::Storage(_))));
    // Three are done, three applied and not crossed out, three not begun when the application dies.
    for (key, id) in keys.iter().zip(0_i64..).take(6) {
        apply(&lab.client, *key, id).await.unwrap();
        if id < 3 {
            journal.cross_out(*key).await.unwrap();
        }
    }
    drop(journal);
    lab.payments.cluster.kill_postgres("orders-1").await.unwrap();
    lab.payments.cluster.promote("orders-2").await.unwrap();

    let journal = Journal::open(&file).unwrap();
    let restarted = Client::start(lab.payments.config()).unwrap();
    restarted.keep_since(journal.oldest().unwrap());
    let pending = journal.pending::<i64>().unwrap();
    assert_eq!(pending.len(), 6);
    let mut already = 0;
    for (key, id) in pending {
        let outcome = tokio::time::timeout(GENEROUS, apply(&restarted, key, id)).await.unwrap().unwrap();
        already += u32::from(matches!(outcome, Outcome::AlreadyApplied { .. }));
        journal.cross_out(key).await.unwrap();
    }
    assert_eq!((already, entries(&lab).await), (3, 9));
    assert_eq!((journal.pending::<i64>().unwrap(), journal.oldest().unwrap()), (vec![], None));
    let admin = lab.payments.cluster.admin("orders-2").await.unwrap();
    let marked = "SELECT count(*) FROM steadfast.client WHERE oldest IS NOT NULL";
    let told = async {
        while admin.query_one(marked, &[]).await.unwrap().get::<_, i64>(0) == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GENEROUS, told).await.unwrap();
    assert!(keys[0].made() <= SystemTime::now());
    drop(journal);
    std::fs::remove_file(&file).unwrap();
}
