//! The functions' packages for Lambda: the same input gives the same bytes, wherever and whenever it is packed.

use std::fs::File;
use std::io::{Cursor, Write as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use steadfast_aws::functions;
use zip::result::ZipResult;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, DateTime, ZipWriter};

/// Lambda's limit for a package that is uploaded with a call, in bytes. Source: Lambda quotas.
const UPLOAD_MAX: usize = 50 * 1024 * 1024;
/// How hard it is pressed: a fixed level, since another one gives other bytes.
const LEVEL: i64 = 9;

/// A package that was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Where.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: usize,
    /// SHA-256 of it, in hexadecimal digits.
    pub digest: String,
}

/// Why a package was not written.
#[derive(Debug, thiserror::Error)]
pub enum PackageError {
    /// What should be packed is not there.
    #[error("cannot read {path}: {source}; {remedy}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        source: std::io::Error,
        /// What to do.
        remedy: &'static str,
    },
    /// The package cannot be written.
    #[error("cannot write {path}: {cause}")]
    Unwritable {
        /// The file.
        path: PathBuf,
        /// The system's words.
        cause: String,
    },
    /// Lambda would refuse it.
    #[error("{path} has {bytes} bytes, and Lambda takes {UPLOAD_MAX}: build it with --release, or set package_bucket")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: usize,
    },
}

/// Packs every function of `built`, the folder with `NAME/bootstrap` that cargo-lambda makes, to
/// `output/NAME/bootstrap.zip`.
///
/// # Errors
///
/// The first that cannot be packed; those before it are written.
pub fn functions(built: &Path, output: &Path) -> Result<Vec<Package>, PackageError> {
    let one = |function: &&functions::Function| {
        let program = built.join(function.name).join("bootstrap");
        let remedy = "build the functions first (`make package`), or name their folder with --built";
        pack(&program, "bootstrap", 0o755, &output.join(function.name).join("bootstrap.zip"), remedy)
    };
    functions::ALL.iter().map(one).collect()
}

/// Packs the bundle of certificate authorities for a layer: Lambda unpacks it to `/opt/global-bundle.pem`.
///
/// # Errors
///
/// When the bundle cannot be read, or the package cannot be written.
pub fn ca_bundle(bundle: &Path, output: &Path) -> Result<Package, PackageError> {
    let remedy = "AWS publishes it as global-bundle.pem, see \"Using SSL/TLS\" in the RDS user guide";
    pack(bundle, "global-bundle.pem", 0o644, &output.join("ca-bundle.zip"), remedy)
}

fn pack(from: &Path, name: &str, mode: u32, to: &Path, remedy: &'static str) -> Result<Package, PackageError> {
    let content =
        std::fs::read(from).map_err(|source| PackageError::Unreadable { path: from.to_owned(), source, remedy })?;
    let unwritable = |cause: String| PackageError::Unwritable { path: to.to_owned(), cause };
    let packed = archive(name, mode, &content).map_err(|error| unwritable(error.to_string()))?;
    if packed.len() > UPLOAD_MAX {
        return Err(PackageError::TooLarge { path: to.to_owned(), bytes: packed.len() });
    }
    let write = || {
        std::fs::create_dir_all(to.parent().unwrap_or(Path::new(".")))?;
        File::create(to)?.write_all(&packed)
    };
    write().map_err(|error| unwritable(error.to_string()))?;
    let digest = Sha256::digest(&packed).iter().map(|byte| format!("{byte:02x}")).collect();
    Ok(Package { path: to.to_owned(), bytes: packed.len(), digest })
}

/// A zip archive of one file, with the earliest time that the format knows instead of the file's own.
fn archive(name: &str, mode: u32, content: &[u8]) -> ZipResult<Vec<u8>> {
    let options = SimpleFileOptions::default()
        .compression_method(CompressionMethod::Deflated)
        .compression_level(Some(LEVEL))
        .last_modified_time(DateTime::default())
        .unix_permissions(mode);
    let mut archive = ZipWriter::new(Cursor::new(Vec::new()));
    archive.start_file(name, options)?;
    archive.write_all(content)?;
    Ok(archive.finish()?.into_inner())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::time::{Duration, SystemTime};

    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("steadfast-package-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).expect("a folder");
        folder
    }

    #[test]
    fn the_same_program_gives_the_same_bytes_whenever_it_was_built() {
        let folder = folder("same");
        let program = folder.join("bootstrap");
        let mut digests = Vec::new();
        for age in [0, 86_400] {
            std::fs::write(&program, b"\x7fELF of a function").expect("written");
            let built = SystemTime::now() - Duration::from_secs(age);
            File::options().write(true).open(&program).expect("opened").set_modified(built).expect("aged");
            let to = folder.join(format!("{age}.zip"));
            digests.push(pack(&program, "bootstrap", 0o755, &to, "").expect("packed").digest);
        }
        assert_eq!(digests[0], digests[1]);
        std::fs::write(&program, b"\x7fELF of another").expect("written");
        let other = pack(&program, "bootstrap", 0o755, &folder.join("other.zip"), "").expect("packed");
        assert_ne!(other.digest, digests[0]);
        std::fs::remove_dir_all(&folder).expect("removed");
    }

    #[test]
    fn the_program_is_whole_and_may_be_run() {
        let content = b"program ".repeat(1_000);
        let packed = archive("bootstrap", 0o755, &content).expect("packed");
        assert!(packed.len() < content.len() / 10);
        let mut archive = zip::ZipArchive::new(Cursor::new(packed)).expect("an archive");
        assert_eq!(archive.len(), 1);
        let mut file = archive.by_name("bootstrap").expect("the program");
        assert_eq!(file.unix_mode().map(|mode| mode & 0o777), Some(0o755));
        let mut read = Vec::new();
        file.read_to_end(&mut read).expect("inflated");
        assert_eq!(read, content);
    }

    #[test]
    fn a_function_that_was_not_built_is_named_with_the_remedy() {
        let error = functions(Path::new("/nonexistent"), Path::new("/nonexistent")).expect_err("nothing there");
        let text = error.to_string();
        assert!(text.contains("/nonexistent/health-prober/bootstrap") && text.contains("make package"), "{text}");
    }
}
