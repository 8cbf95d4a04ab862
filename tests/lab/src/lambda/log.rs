//! Function logs: one file per function, one live channel, and the tail of each invocation.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, mpsc};

use tokio::net::unix::pipe;
use tokio::sync::broadcast;

use super::error::LambdaError;
use super::{epoch_ms, lock};

/// `X-Amz-Log-Result` carries this much, in bytes.
const TAIL: usize = 4096;
/// Longer lines are split, as CloudWatch Logs splits events (256 KB).
const LONGEST_LINE: usize = 256 * 1024;
/// Slow readers of the live channel lose lines beyond this many.
const LIVE_LINES: usize = 4096;

/// One line of a function's log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// The function's name.
    pub function: Arc<str>,
    /// The invocation under way; `None` during init and between invocations.
    pub request_id: Option<Arc<str>>,
    /// When the line was read, in Unix epoch milliseconds.
    pub at_ms: u64,
    /// The line, without its line end.
    pub line: String,
}

enum Entry {
    Line { function: Arc<str>, text: String },
    End,
}

/// Where all lines go. A thread writes the files, so that no invocation waits for a disk.
#[derive(Debug)]
pub(super) struct LogSink {
    entries: mpsc::Sender<Entry>,
    live: broadcast::Sender<LogLine>,
    writer: Mutex<Option<std::thread::JoinHandle<()>>>,
}

impl LogSink {
    pub(super) fn start(folder: &Path) -> Result<Self, LambdaError> {
        std::fs::create_dir_all(folder).map_err(|source| LambdaError::LogFolder { path: folder.to_owned(), source })?;
        let (entries, received) = mpsc::channel();
        let folder = folder.to_owned();
        let writer = std::thread::Builder::new()
            .name("lambda-log".to_owned())
            .spawn(move || write_files(&folder, &received))
            .map_err(|source| LambdaError::Thread { name: "lambda-log", source })?;
        let live = broadcast::Sender::new(LIVE_LINES);
        Ok(Self { entries, live, writer: Mutex::new(Some(writer)) })
    }

    pub(super) fn subscribe(&self) -> broadcast::Receiver<LogLine> {
        self.live.subscribe()
    }

    /// Returns when every line so far is in its file.
    pub(super) async fn finish(&self) {
        let writer = lock(&self.writer).take();
        if self.entries.send(Entry::End).is_ok()
            && let Some(writer) = writer
        {
            drop(tokio::task::spawn_blocking(move || writer.join()).await);
        }
    }

    fn add(&self, stream: &str, line: LogLine) {
        let text = format!("{} {stream} {}\n", line.at_ms, line.line);
        // Both fail only when nobody listens: at the end, or without subscribers.
        drop(self.entries.send(Entry::Line { function: Arc::clone(&line.function), text }));
        drop(self.live.send(line));
    }
}

fn write_files(folder: &Path, entries: &mpsc::Receiver<Entry>) {
    let mut files: BTreeMap<Arc<str>, File> = BTreeMap::new();
    while let Ok(Entry::Line { function, text }) = entries.recv() {
        let path: PathBuf = folder.join(format!("{function}.log"));
        let written = match files.get_mut(&function) {
            Some(file) => file.write_all(text.as_bytes()),
            None => OpenOptions::new().create(true).append(true).open(&path).and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                files.insert(function, file);
                Ok(())
            }),
        };
        if let Err(error) = written {
            tracing::warn!(path = %path.display(), %error, "cannot write a function log");
        }
    }
}

/// The log of one execution environment.
#[derive(Debug)]
pub(super) struct LogStream {
    sink: Arc<LogSink>,
    function: Arc<str>,
    /// Eight characters that tell this environment's lines from others in the same file.
    stream: String,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    request_id: Option<Arc<str>>,
    unfinished: Vec<u8>,
    tail: String,
}

impl LogStream {
    pub(super) fn new(sink: Arc<LogSink>, function: Arc<str>) -> Self {
        let stream = uuid::Uuid::new_v4().simple().to_string().chars().take(8).collect();
        Self { sink, function, stream, state: Mutex::default() }
    }

    /// The stream's name: the eight characters in every line of this environment.
    pub(super) fn name(&self) -> &str {
        &self.stream
    }

    /// Begins an invocation: the tail starts here.
    pub(super) fn begin(&self, request_id: &str) {
        let mut state = lock(&self.state);
        state.request_id = Some(request_id.into());
        state.tail.clear();
        self.add(&mut state, format!("START RequestId: {request_id} Version: $LATEST"));
    }

    /// Ends the invocation and returns its last 4 KB.
    pub(super) fn end(&self, report: &str) -> String {
        let mut state = lock(&self.state);
        if let Some(request_id) = state.request_id.clone() {
            self.add(&mut state, format!("END RequestId: {request_id}"));
            self.add(&mut state, format!("REPORT RequestId: {request_id}\t{report}"));
        }
        state.request_id = None;
        std::mem::take(&mut state.tail)
    }

    /// Adds a line of the platform's own.
    pub(super) fn note(&self, line: String) {
        self.add(&mut lock(&self.state), line);
    }

    /// The last lines so far.
    pub(super) fn tail(&self) -> String {
        lock(&self.state).tail.clone()
    }

    fn read(&self, bytes: &[u8]) {
        let mut state = lock(&self.state);
        let mut rest = bytes;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            let (line, after) = rest.split_at(end);
            state.unfinished.extend_from_slice(line);
            self.flush(&mut state);
            rest = after.get(1..).unwrap_or_default();
        }
        state.unfinished.extend_from_slice(rest);
        if state.unfinished.len() >= LONGEST_LINE {
            self.flush(&mut state);
        }
    }

    fn flush(&self, state: &mut State) {
        let bytes = std::mem::take(&mut state.unfinished);
        let line = String::from_utf8_lossy(&bytes).trim_end_matches('\r').to_owned();
        self.add(state, line);
    }

    fn add(&self, state: &mut State, line: String) {
        state.tail.push_str(&line);
        state.tail.push('\n');
        if state.tail.len() > TAIL {
            let cut = state.tail.ceil_char_boundary(state.tail.len() - TAIL);
            state.tail.drain(..cut);
        }
        let request_id = state.request_id.clone();
        let function = Arc::clone(&self.function);
        self.sink.add(&self.stream, LogLine { function, request_id, at_ms: epoch_ms(), line });
    }
}

/// What a process writes to stdout and stderr: one pipe, so that their order is kept.
#[derive(Debug)]
pub(super) struct Output {
    pipe: Arc<pipe::Receiver>,
    stream: Arc<LogStream>,
    /// Held while bytes are taken from the pipe and handed on, so that their order is kept.
    reading: Arc<Mutex<()>>,
    reader: tokio::task::JoinHandle<()>,
}

impl Output {
    /// Reads `pipe` into `stream` from now on.
    pub(super) fn new(pipe: io::PipeReader, stream: Arc<LogStream>) -> io::Result<Self> {
        let pipe = Arc::new(pipe::Receiver::from_owned_fd(OwnedFd::from(pipe))?);
        let reading = Arc::new(Mutex::new(()));
        let reader = tokio::spawn(read_on(Arc::clone(&pipe), Arc::clone(&stream), Arc::clone(&reading)));
        Ok(Self { pipe, stream, reading, reader })
    }

    /// Takes everything that the process has written up to now.
    pub(super) fn drain(&self) {
        let _held = lock(&self.reading);
        let mut buffer = [0; 16 * 1024];
        // Straight from the pipe: the runtime may not have heard of the last bytes yet.
        while let Ok(read @ 1..) = rustix::io::read(self.pipe.as_fd(), &mut buffer) {
            self.stream.read(buffer.get(..read).unwrap_or_default());
        }
    }

    /// Takes the rest, including a last line without an end, once the process is gone.
    pub(super) fn finish(&self) {
        self.drain();
        let mut state = lock(&self.stream.state);
        if !state.unfinished.is_empty() {
            self.stream.flush(&mut state);
        }
    }
}

impl Drop for Output {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

async fn read_on(pipe: Arc<pipe::Receiver>, stream: Arc<LogStream>, reading: Arc<Mutex<()>>) {
    let mut buffer = vec![0; 16 * 1024];
    while pipe.readable().await.is_ok() {
        let _held = lock(&reading);
        match pipe.try_read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => stream.read(buffer.get(..read).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => break,
        }
    }
}
