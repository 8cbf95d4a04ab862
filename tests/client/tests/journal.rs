//! Accepted commands, a torn file, a full disk, and an application that dies in between.

#![expect(clippy::unwrap_used, reason = "a test ends where its ground is missing")]

mod support;

use std::io;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use redb::StorageBackend;
use steadfast_client::journal::{Journal, JournalError};
use steadfast_client::{Client, Error, Key, Outcome, StatementError};
use support::{Lab, entries};

/// The longest that anything is waited for: a machine may stand still for seconds.
const GENEROUS: Duration = Duration::from_secs(120);

/// A disk that can be full, and that forgets or tears what was not synced when it loses power.
#[derive(Clone, Debug, Default)]
struct Disk(Arc<Mutex<Content>>);

#[derive(Debug, Default)]
struct Content {
    bytes: Vec<u8>,
    /// All that was ever done to it, in order.
    log: Vec<Deed>,
    room: Option<usize>,
    /// Whether it writes and then says that it did not.
    lies: bool,
}

#[derive(Clone, Debug)]
enum Deed {
    Length(usize),
    Write(usize, Vec<u8>),
    Sync,
}

impl Deed {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Self::Length(length) => bytes.resize(*length, 0),
            Self::Write(offset, data) => {
                // A file grows when it is written behind its end, as it does where the longer length was forgotten.
                bytes.resize(bytes.len().max(offset + data.len()), 0);
                bytes[*offset..*offset + data.len()].copy_from_slice(data);
            }
            Self::Sync => {}
        }
    }

    /// The first half of it.
    fn torn(&self) -> Self {
        match self {
            Self::Write(offset, data) => Self::Write(*offset, data[..data.len() / 2].to_vec()),
            whole @ (Self::Length(_) | Self::Sync) => whole.clone(),
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
        content.note(Deed::Length(length));
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut content = self.0.lock().unwrap();
        if content.lies {
            return Err(io::Error::other("lost its power"));
        }
        content.note(Deed::Sync);
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.lock().unwrap().note(Deed::Write(usize::try_from(offset).unwrap(), data.to_vec()));
        Ok(())
    }
}

impl Content {
    fn note(&mut self, deed: Deed) {
        deed.apply(&mut self.bytes);
        self.log.push(deed);
    }
}

impl Disk {
    fn of(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Content { bytes, ..Content::default() })))
    }

    fn limit(&self, room: Option<usize>) {
        self.0.lock().unwrap().room = room;
    }

    fn lie(&self, lies: bool) {
        self.0.lock().unwrap().lies = lies;
    }

    /// How much has been done to it.
    fn deeds(&self) -> usize {
        self.0.lock().unwrap().log.len()
    }

    /// What a loss of power after so many deeds can leave: all that was synced, and of the rest everything, the last
    /// one torn in the middle, or any one of them missing.
    fn after_power_loss(&self, deeds: usize) -> Vec<Self> {
        let log = self.0.lock().unwrap().log[..deeds].to_vec();
        let synced = log.iter().rposition(|deed| matches!(deed, Deed::Sync)).map_or(0, |at| at + 1);
        let (safe, rest) = log.split_at(synced);
        let mut disk = Vec::new();
        safe.iter().for_each(|deed| deed.apply(&mut disk));
        let left = |deeds: &[&[Deed]]| {
            let mut bytes = disk.clone();
            deeds.iter().copied().flatten().for_each(|deed| deed.apply(&mut bytes));
            Self::of(bytes)
        };
        let mut disks = vec![left(&[rest])];
        if let Some((last, before)) = rest.split_last() {
            disks.push(left(&[before, &[last.torn()]]));
        }
        disks.extend((0..rest.len()).map(|missing| left(&[&rest[..missing], &rest[missing + 1..]])));
        disks
    }
}

/// Whatever moment the power fails at: what was acknowledged stands, and of what was under way either all or nothing.
#[tokio::test]
async fn what_was_accepted_survives_every_torn_write() {
    let disk = Disk::default();
    let journal = Journal::open_on(disk.clone()).unwrap();
    let mut accepted: Vec<Key> = Vec::new();
    // After how many deeds it was acknowledged, and what was pending then.
    let mut acknowledged = vec![(disk.deeds(), accepted.clone())];
    for number in 0..12_u64 {
        let key = Key::fresh();
        journal.accept(key, &number).await.unwrap();
        accepted.push(key);
        acknowledged.push((disk.deeds(), accepted.clone()));
        if number % 3 == 2 {
            journal.cross_out(accepted.remove(0)).await.unwrap();
            acknowledged.push((disk.deeds(), accepted.clone()));
        }
    }
    let mut tried = 0;
    for pair in acknowledged.windows(2) {
        let ((before, stood), (after, stands)) = (&pair[0], &pair[1]);
        for deeds in *before..=*after {
            for torn in disk.after_power_loss(deeds) {
                let found = Journal::open_on(torn).unwrap().pending::<u64>().unwrap();
                let found: Vec<Key> = found.into_iter().map(|(key, _)| key).collect();
                let right = if deeds == *after { found == *stands } else { found == *stood || found == *stands };
                assert!(right, "after {deeds} deeds {found:?} is pending, not {stood:?} or {stands:?}");
                tried += 1;
            }
        }
    }
    assert!(tried > 100, "only {tried} disks");
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

#[tokio::test]
async fn a_commit_that_fails_at_its_end_is_in_doubt_until_the_key_comes_again() {
    let disk = Disk::default();
    let journal = Journal::open_on(disk.clone()).unwrap();
    let (kept, doubtful) = (Key::fresh(), Key::fresh());
    journal.accept(kept, &1_u64).await.unwrap();
    disk.lie(true);
    // It stays in doubt while the journal can write no more.
    for _ in 0..2 {
        let told = journal.accept(doubtful, &2_u64).await;
        assert!(matches!(told, Err(JournalError::InDoubt(_))), "{told:?}");
        assert!(told.unwrap_err().to_string().contains("come again with the same key"));
    }
    drop(journal);
    disk.lie(false);
    let journal = Journal::open_on(disk).unwrap();
    let found = journal.pending::<u64>().unwrap();
    assert!(found == [(kept, 1)] || found == [(kept, 1), (doubtful, 2)], "{found:?}");
    journal.accept(doubtful, &2_u64).await.unwrap();
    assert_eq!(journal.pending::<u64>().unwrap(), [(kept, 1), (doubtful, 2)]);
}

/// Waits until so many processes hold rows of the ledger back.
async fn held_back(lab: &Lab, writer: &str, processes: i64) {
    let admin = lab.payments.cluster.admin(writer).await.unwrap();
    let marked = "SELECT count(*) FROM steadfast.client WHERE oldest IS NOT NULL";
    let told = async {
        while admin.query_one(marked, &[]).await.unwrap().get::<_, i64>(0) != processes {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(GENEROUS, told).await.unwrap();
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
    let accept = |(key, id): (&Key, i64)| {
        let (journal, key) = (&journal, *key);
        async move { journal.accept(key, &id).await }
    };
    futures_util::future::try_join_all(keys.iter().zip(0..).map(accept)).await.unwrap();
    assert!(matches!(Journal::open(&file), Err(JournalError::Storage(_))));
    // Three are done, three applied and not crossed out, three not begun when the application dies.
    for (key, id) in keys.iter().zip(0_i64..).take(6) {
        apply(&lab.client, *key, id).await.unwrap();
        if id < 3 {
            journal.cross_out(*key).await.unwrap();
        }
    }
    // What it still had to ask for when it died is known to whoever prunes.
    let config = || lab.payments.config().process(journal.process());
    let first = Client::start(config()).unwrap();
    first.keep_since(journal.oldest().unwrap());
    held_back(&lab, "orders-1", 1).await;
    drop(first);
    let config = config();
    drop(journal);
    lab.payments.cluster.kill_postgres("orders-1").await.unwrap();
    lab.payments.cluster.promote("orders-2").await.unwrap();

    let journal = Journal::open(&file).unwrap();
    let restarted = Client::start(config).unwrap();
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
    // It has come back, and holds back nothing any more.
    restarted.keep_since(journal.oldest().unwrap());
    held_back(&lab, "orders-2", 0).await;
    assert!(keys[0].made() <= SystemTime::now());
    drop(journal);
    std::fs::remove_file(&file).unwrap();
}
