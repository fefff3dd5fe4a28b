//! The file of a backup: a tar archive that ends with its manifest, and the manifest's checksum.
//!
//! ```text
//!  log/…  instance  postgres/credentials  postgres/cluster/…  manifest.json  manifest.sha256
//! ```
//! The manifest lists every file with size and checksum, so a file that was truncated, changed or added is detected before
//! anything is used.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context, bail, ensure};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tar::{Archive, Builder, EntryType, Header};

const MANIFEST: &str = "manifest.json";
const CHECKSUM: &str = "manifest.sha256";
/// Format that this version writes, and the newest that it reads.
const FORMAT: u32 = 1;
/// Block size of a tar archive in bytes; an archive ends with two empty blocks.
const BLOCK: u64 = 512;
/// Upper bound on the manifest's size in bytes; it lists a few thousand files.
const MANIFEST_MAX: u64 = 256 << 20;
const BUFFER_BYTES: usize = 1 << 20;

/// The contents of a backup.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Manifest {
    pub format: u32,
    /// Version of the program that wrote it.
    pub version: String,
    pub made_at_ms: i64,
    /// The embedded log; `None` if the log is Kafka.
    pub log: Option<LogPart>,
    /// The private PostgreSQL; `None` if the database is configured.
    pub database: Option<DatabasePart>,
    pub directories: Vec<String>,
    pub files: Vec<FilePart>,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LogPart {
    pub partitions: i32,
}

/// PostgreSQL's files are usable only with the same major version and architecture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DatabasePart {
    pub postgres_major: u32,
    pub architecture: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FilePart {
    pub path: String,
    pub size: u64,
    pub sha256: String,
}

/// An archive being written. It gets its final name only when complete; dropped before that, it leaves nothing behind.
pub(super) struct ArchiveWriter<'a> {
    tar: Builder<BufWriter<File>>,
    target: PathBuf,
    draft: PathBuf,
    go_on: &'a (dyn Fn() -> bool + Sync),
    directories: Vec<String>,
    files: Vec<FilePart>,
}

impl<'a> ArchiveWriter<'a> {
    /// Begins an archive; the file must not exist yet.
    pub fn create(target: &Path, go_on: &'a (dyn Fn() -> bool + Sync)) -> anyhow::Result<Self> {
        ensure!(!target.try_exists()?, "{} exists already: choose another name", target.display());
        let folder = folder_of(target);
        ensure!(folder.is_dir(), "there is no folder {}: create it, or choose another place for the backup", folder.display());
        let draft = beside(target, "part");
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft);
        let file = file.with_context(|| format!("cannot create a file in {}", folder.display()))?;
        let tar = Builder::new(BufWriter::with_capacity(BUFFER_BYTES, file));
        Ok(Self { tar, target: target.to_owned(), draft, go_on, directories: Vec::new(), files: Vec::new() })
    }

    /// A path in the same folder for a file that is needed only during the writing.
    pub fn aside(&self) -> PathBuf {
        beside(&self.target, "log")
    }

    pub fn directory(&mut self, name: &str) -> anyhow::Result<()> {
        let mut header = header_of(EntryType::Directory, 0);
        self.tar.append_data(&mut header, name, io::empty()).with_context(|| self.cannot_write())?;
        self.directories.push(name.to_owned());
        Ok(())
    }

    /// Adds a file with its current size: what is appended afterwards is left out, and what is truncated is filled with zeros.
    /// Returns `false` if the file does not exist.
    pub fn file(&mut self, name: &str, path: &Path) -> anyhow::Result<bool> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        };
        let size = file.metadata().with_context(|| format!("cannot look at {}", path.display()))?.len();
        self.append(name, size, file)?;
        Ok(true)
    }

    pub fn bytes(&mut self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        self.append(name, bytes.len() as u64, bytes)
    }

    fn append(&mut self, name: &str, size: u64, from: impl Read) -> anyhow::Result<()> {
        ensure!((self.go_on)(), "interrupted by a signal");
        let mut source = Exact { from, left: size, hash: Sha256::new() };
        let mut header = header_of(EntryType::Regular, size);
        self.tar.append_data(&mut header, name, &mut source).with_context(|| format!("{name}: {}", self.cannot_write()))?;
        let sha256 = hex(source.hash);
        self.files.push(FilePart { path: name.to_owned(), size, sha256 });
        Ok(())
    }

    /// Writes the manifest, and renames the archive to its final name once it is on disk.
    pub fn finish(mut self, log: Option<LogPart>, database: Option<DatabasePart>, made_at_ms: i64) -> anyhow::Result<Manifest> {
        let manifest = Manifest {
            format: FORMAT,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            made_at_ms,
            log,
            database,
            directories: std::mem::take(&mut self.directories),
            files: std::mem::take(&mut self.files),
        };
        let text = serde_json::to_vec_pretty(&manifest)?;
        self.bytes(MANIFEST, &text)?;
        self.bytes(CHECKSUM, hex(Sha256::new_with_prefix(&text)).as_bytes())?;
        let written =
            self.tar.finish().and_then(|()| self.tar.get_mut().flush()).and_then(|()| self.tar.get_ref().get_ref().sync_all());
        written.with_context(|| self.cannot_write())?;
        ensure!(!self.target.try_exists()?, "{} was created meanwhile: choose another name", self.target.display());
        fs::rename(&self.draft, &self.target).with_context(|| self.cannot_write())?;
        File::open(folder_of(&self.target)).and_then(|folder| folder.sync_all()).with_context(|| self.cannot_write())?;
        Ok(manifest)
    }

    fn cannot_write(&self) -> String {
        format!("cannot write {}", self.target.display())
    }
}

/// The folder that will hold the archive.
fn folder_of(target: &Path) -> &Path {
    target.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."))
}

impl Drop for ArchiveWriter<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.draft);
        let _ = fs::remove_file(self.aside());
    }
}

/// Reads an archive to its end and compares it with its manifest.
///
/// # Errors
/// If it cannot be read, is incomplete, or was changed.
pub(super) fn verify(path: &Path, go_on: &dyn Fn() -> bool) -> anyhow::Result<Manifest> {
    let damaged = |what: &str| format!("{} is no whole backup: {what}", path.display());
    let file = File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    let length = file.metadata()?.len();
    let mut archive = Archive::new(BufReader::with_capacity(BUFFER_BYTES, file));
    let mut found: BTreeMap<String, FilePart> = BTreeMap::new();
    let (mut manifest, mut checksum, mut end) = (None, None, 0);
    for entry in archive.entries()? {
        ensure!(go_on(), "interrupted by a signal");
        let mut entry = entry.with_context(|| damaged("it is truncated or not an archive"))?;
        let name = safe_name(&entry.path()?).with_context(|| damaged("it holds a path that leads outside the data directory"))?;
        let kind = entry.header().entry_type();
        let size = entry.size();
        end = entry.raw_file_position() + size.next_multiple_of(BLOCK);
        if kind == EntryType::Directory {
            continue;
        }
        ensure!(kind == EntryType::Regular, damaged(&format!("{name} is neither file nor directory")));
        if name == MANIFEST || name == CHECKSUM {
            let mut text = Vec::new();
            (&mut entry).take(MANIFEST_MAX).read_to_end(&mut text).with_context(|| damaged("it is cut off"))?;
            *(if name == MANIFEST { &mut manifest } else { &mut checksum }) = Some(text);
            continue;
        }
        let mut hash = Sha256::new();
        let read = io::copy(&mut entry, &mut hash).with_context(|| damaged("it is cut off"))?;
        ensure!(read == size, damaged("it is cut off"));
        let part = FilePart { path: name.clone(), size, sha256: hex(hash) };
        ensure!(found.insert(name.clone(), part).is_none(), damaged(&format!("it holds {name} twice")));
    }
    let (Some(manifest), Some(checksum)) = (manifest, checksum) else {
        bail!(damaged("its manifest, the last entry, is missing"))
    };
    ensure!(hex(Sha256::new_with_prefix(&manifest)).as_bytes() == checksum, damaged("its manifest was altered"));
    ensure!(length == end + 2 * BLOCK, damaged("its end is truncated, or something was appended"));
    let manifest = read_manifest(&manifest).with_context(|| format!("cannot use {}", path.display()))?;
    for part in &manifest.files {
        let same = found.remove(&part.path).is_some_and(|found| found == *part);
        ensure!(same, damaged(&format!("{} is missing or was changed", part.path)));
    }
    ensure!(found.is_empty(), damaged("it holds files that its manifest does not name"));
    Ok(manifest)
}

fn read_manifest(text: &[u8]) -> anyhow::Result<Manifest> {
    #[derive(Deserialize)]
    struct Format {
        format: u32,
    }
    let Format { format } = serde_json::from_slice(text).context("its manifest cannot be read")?;
    ensure!(format <= FORMAT, "it was written by a newer KartShoppe (format {format}, this one knows up to {FORMAT})");
    serde_json::from_slice(text).context("its manifest cannot be read")
}

/// Writes the files of a verified archive to the paths that `place` returns. The files are compared once more: the archive may
/// have been replaced since.
///
/// # Errors
/// If something cannot be written, or differs from the verified archive.
pub(super) fn extract(
    path: &Path,
    manifest: &Manifest,
    go_on: &dyn Fn() -> bool,
    place: &dyn Fn(&str) -> Option<PathBuf>,
) -> anyhow::Result<()> {
    let known: BTreeMap<&str, &FilePart> = manifest.files.iter().map(|part| (part.path.as_str(), part)).collect();
    let mut archive = Archive::new(BufReader::with_capacity(BUFFER_BYTES, File::open(path)?));
    let mut left = known.len();
    for entry in archive.entries()? {
        ensure!(go_on(), "interrupted by a signal");
        let mut entry = entry?;
        let name = safe_name(&entry.path()?).context("the backup was changed while it was read")?;
        let Some(target) = place(&name) else { continue };
        let cannot_write = || format!("cannot write {}", target.display());
        if entry.header().entry_type() == EntryType::Directory {
            fs::create_dir_all(&target).with_context(cannot_write)?;
            continue;
        }
        let Some(part) = known.get(name.as_str()) else { continue };
        if let Some(folder) = target.parent() {
            fs::create_dir_all(folder).with_context(cannot_write)?;
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&target).with_context(cannot_write)?;
        let mut source = Exact { from: &mut entry, left: part.size, hash: Sha256::new() };
        io::copy(&mut source, &mut file).with_context(cannot_write)?;
        ensure!(hex(source.hash) == part.sha256, "{name} of the backup was changed while it was read");
        left -= 1;
    }
    ensure!(left == 0, "the backup was changed while it was read");
    Ok(())
}

/// The path, if it stays inside the folder that it is unpacked to.
fn safe_name(path: &Path) -> Option<String> {
    let is_plain = path.components().all(|part| matches!(part, Component::Normal(_)));
    path.to_str().filter(|name| is_plain && !name.is_empty()).map(|name| name.trim_end_matches('/').to_owned())
}

/// Exactly this many bytes; zeros where the source has fewer.
struct Exact<R> {
    from: R,
    left: u64,
    hash: Sha256,
}

impl<R: Read> Read for Exact<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let Some(buffer) = buffer.get_mut(..wanted).filter(|buffer| !buffer.is_empty()) else { return Ok(0) };
        let mut read = self.from.read(buffer)?;
        if read == 0 {
            buffer.fill(0);
            read = wanted;
        }
        self.hash.update(buffer.get(..read).unwrap_or_default());
        self.left -= read as u64;
        Ok(read)
    }
}

fn header_of(kind: EntryType, size: u64) -> Header {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(if kind == EntryType::Directory { 0o700 } else { 0o600 });
    header
}

fn beside(target: &Path, ending: &str) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(format!(".{}.{ending}", std::process::id()));
    PathBuf::from(name)
}

fn hex(hash: Sha256) -> String {
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn always() -> bool {
        true
    }

    fn archive(folder: &Path) -> PathBuf {
        let target = folder.join("backup.tar");
        let mut writer = ArchiveWriter::create(&target, &always).unwrap();
        writer.directory("postgres/cluster").unwrap();
        writer.bytes("instance", b"shop").unwrap();
        let file = folder.join("file");
        fs::write(&file, vec![7; 3_000]).unwrap();
        assert!(writer.file("log/a", &file).unwrap());
        assert!(!writer.file("log/b", &folder.join("gone")).unwrap());
        writer.finish(Some(LogPart { partitions: 4 }), None, 0).unwrap();
        target
    }

    #[test]
    fn what_was_put_in_comes_out_and_no_half_archive_stays() {
        let folder = tempfile::tempdir().unwrap();
        let target = archive(folder.path());
        let manifest = verify(&target, &always).unwrap();
        assert_eq!(manifest.files.len(), 2);
        let out = folder.path().join("out");
        extract(&target, &manifest, &always, &|name| Some(out.join(name))).unwrap();
        assert_eq!(fs::read(out.join("log/a")).unwrap(), vec![7; 3_000]);
        assert!(out.join("postgres/cluster").is_dir());
        assert!(ArchiveWriter::create(&target, &always).is_err(), "nothing is written over");
        let other = folder.path().join("other.tar");
        let mut writer = ArchiveWriter::create(&other, &|| false).unwrap();
        assert!(writer.bytes("instance", b"shop").is_err());
        drop(writer);
        let names: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(names.len(), 3, "{names:?}");
    }

    #[test]
    fn every_cut_and_every_changed_byte_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let whole = fs::read(archive(folder.path())).unwrap();
        let bad = folder.path().join("bad.tar");
        let is_refused = |bytes: &[u8]| {
            fs::write(&bad, bytes).unwrap();
            verify(&bad, &always).is_err()
        };
        for cut in (0..whole.len()).step_by(97).chain([whole.len() - 1]) {
            assert!(is_refused(whole.get(..cut).unwrap()), "cut at {cut}");
        }
        assert!(is_refused(&[whole.as_slice(), b"more"].concat()));
        // Bytes without meaning may change: the padding of blocks, and unused header fields.
        let needles: [&[u8]; 4] = [b"shop", b"log/a", &[7; 3_000], b"\"partitions\": 4"];
        for needle in needles {
            let at = whole.windows(needle.len()).position(|window| window == needle).unwrap();
            let mut changed = whole.clone();
            *changed.get_mut(at + needle.len() / 2).unwrap() ^= 1;
            assert!(is_refused(&changed), "{at}");
        }
    }
}
