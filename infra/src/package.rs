//! The functions' packages for Lambda: the same input gives the same bytes, wherever and whenever it is packed.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use flate2::write::DeflateEncoder;
use flate2::{Compression, Crc};
use sha2::{Digest as _, Sha256};
use steadfast_aws::functions;

/// Lambda's limit for a package that is uploaded with a call, in bytes. Source: Lambda quotas.
const UPLOAD_MAX: usize = 50 * 1024 * 1024;
/// How hard it is pressed: a fixed level, since another one gives other bytes.
const LEVEL: Compression = Compression::best();

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
///
/// Source: PKWARE's APPNOTE.TXT 6.3.10: a local header with the data, the central directory, and its end.
fn archive(name: &str, mode: u32, content: &[u8]) -> io::Result<Vec<u8>> {
    let too_large = |_| io::Error::new(io::ErrorKind::FileTooLarge, "more than 4 GiB");
    let mut deflated = DeflateEncoder::new(Vec::new(), LEVEL);
    deflated.write_all(content)?;
    let deflated = deflated.finish()?;
    let mut crc = Crc::new();
    crc.update(content);
    let (packed, full) = (u32::try_from(deflated.len()), u32::try_from(content.len()));
    let (packed, full) = (packed.map_err(too_large)?, full.map_err(too_large)?);
    let length = u16::try_from(name.len()).map_err(too_large)?;
    // Version 2.0, no flags, deflated, at midnight of the first day of 1980.
    let mut of_file = Vec::new();
    for short in [20_u16, 0, 8, 0, 0b10_0001] {
        of_file.extend(short.to_le_bytes());
    }
    for long in [crc.sum(), packed, full] {
        of_file.extend(long.to_le_bytes());
    }
    for short in [length, 0] {
        of_file.extend(short.to_le_bytes());
    }
    let local = [b"PK\x03\x04", of_file.as_slice(), name.as_bytes(), &deflated].concat();
    // Made on Unix, so that the upper half of the attributes is the file's mode; no comment, first disk, at offset 0.
    let made_by = (3_u16 << 8 | 20).to_le_bytes();
    let attributes = ((0o10_0000 | mode) << 16).to_le_bytes();
    let central =
        [b"PK\x01\x02", made_by.as_slice(), &of_file, &[0; 6], &attributes, &[0; 4], name.as_bytes()].concat();
    let (size, offset) = (u32::try_from(central.len()), u32::try_from(local.len()));
    let (size, offset) = (size.map_err(too_large)?, offset.map_err(too_large)?);
    let end = [b"PK\x05\x06".as_slice(), &[0; 4], &[1, 0, 1, 0], &size.to_le_bytes(), &offset.to_le_bytes(), &[0; 2]]
        .concat();
    Ok([local, central, end].concat())
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
    fn the_program_is_whole_behind_its_header_and_may_be_run() {
        let content = b"program ".repeat(1_000);
        let packed = archive("bootstrap", 0o755, &content).expect("packed");
        assert!(packed.len() < content.len() / 10);
        let data = 30 + "bootstrap".len();
        let mut read = Vec::new();
        flate2::read::DeflateDecoder::new(&packed[data..]).read_to_end(&mut read).expect("inflated");
        assert_eq!(read, content);
        let central = packed.windows(4).position(|four| four == b"PK\x01\x02").expect("a directory");
        assert_eq!(&packed[central + 38..central + 42], (0o10_0755_u32 << 16).to_le_bytes());
        assert_eq!(packed[packed.len() - 6..packed.len() - 2], u32::try_from(central).expect("small").to_le_bytes());
    }

    #[test]
    fn a_function_that_was_not_built_is_named_with_the_remedy() {
        let error = functions(Path::new("/nonexistent"), Path::new("/nonexistent")).expect_err("nothing there");
        let text = error.to_string();
        assert!(text.contains("/nonexistent/health-prober/bootstrap") && text.contains("make package"), "{text}");
    }
}
