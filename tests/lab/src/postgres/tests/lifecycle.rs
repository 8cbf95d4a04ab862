//! Nothing outlives a lab.

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_after_a_lab() {
    let lab = lab().await;
    lab.cluster.freeze("orders-2").await.unwrap();
    lab.cluster.kill_host("orders-3").await.unwrap();
    let directory = lab.cluster.ca_file().parent().unwrap().to_owned();
    let processes = processes_in(&directory);
    assert!(!processes.is_empty());
    drop(lab);
    // Zombies would still be listed.
    for process in processes {
        assert!(!Path::new("/proc").join(&process).exists(), "{process} is left");
    }
    assert!(!directory.exists());
}

const HELD_LAB: &str = "STEADFAST_TEST_HELD_LAB";

/// The body of a process that [`a_killed_lab_leaves_no_process`] kills.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hold_a_lab() {
    let Some(file) = std::env::var_os(HELD_LAB) else {
        return;
    };
    let lab = lab().await;
    lab.cluster.freeze("orders-2").await.unwrap();
    let directory = lab.cluster.ca_file().parent().unwrap().to_str().unwrap();
    let text = format!("{directory}\n{}", lab.logs.display());
    std::fs::write(&file, text).unwrap();
    std::future::pending::<()>().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_lab_leaves_no_process() {
    let file = std::env::temp_dir().join(format!("held-{}", uuid::Uuid::new_v4().simple()));
    let mut holder = tokio::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "postgres::tests::lifecycle::hold_a_lab"])
        .env(HELD_LAB, &file)
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let told = async {
        loop {
            let text = std::fs::read_to_string(&file).unwrap_or_default();
            if let Some((lab, logs)) = text.split_once('\n') {
                return (PathBuf::from(lab), PathBuf::from(logs));
            }
            tokio::task::yield_now().await;
        }
    };
    let (directory, logs) = timeout(GENEROUS, told).await.unwrap();
    assert!(!processes_in(&directory).is_empty());
    holder.kill().await.unwrap();
    let gone = async {
        while !processes_in(&directory).is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(GENEROUS, gone).await.unwrap();
    // The next lab removes what this one left.
    let removed = async {
        // Another test's lab may be removing it at this moment.
        while directory.exists() {
            drop(super::super::directory::Directory::create().unwrap());
            tokio::time::sleep(POLL).await;
        }
    };
    timeout(GENEROUS, removed).await.unwrap();
    std::fs::remove_dir_all(&logs).unwrap();
    std::fs::remove_file(&file).unwrap();
}

/// The pids that work in a directory or were started with a file in it.
fn processes_in(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let path = entry.path();
        let place = std::fs::read_link(path.join("cwd")).unwrap_or_default();
        let command = std::fs::read(path.join("cmdline")).unwrap_or_default();
        let command = String::from_utf8_lossy(&command).into_owned();
        if place.starts_with(directory) || command.contains(directory.to_str().unwrap()) {
            found.push(entry.file_name().into_string().unwrap());
        }
    }
    found
}
