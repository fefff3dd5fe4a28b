//! The operators' token: with it, and where there is one only with it, the operators' listener may be called. A file in the data
//! directory that its owner alone can read; the commands that call a running server find it there too.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

/// The file's name in the data directory.
pub const FILE: &str = "operator.token";
/// Shorter ones are guessed. Those that we make have 64.
const LENGTH_MIN: usize = 8;

/// Why the token cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    #[error("cannot use the operators' token in {path}; check its owner and permissions")]
    Unusable {
        path: String,
        #[source]
        source: io::Error,
    },
    #[error("the operators' token in {path} is no token: write {LENGTH_MIN} or more visible ASCII characters, without spaces")]
    Malformed { path: String },
}

/// The token in this data directory, if there is one.
///
/// # Errors
/// If the file cannot be read or holds something else.
pub fn read(root: &Path) -> Result<Option<String>, TokenError> {
    let path = root.join(FILE);
    let shown = || path.display().to_string();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => return Err(TokenError::Malformed { path: shown() }),
        Err(source) => return Err(TokenError::Unusable { path: shown(), source }),
    };
    let token = text.trim();
    if token.len() < LENGTH_MIN || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(TokenError::Malformed { path: shown() });
    }
    Ok(Some(token.to_owned()))
}

/// The same for the server that starts: a file that others could read is closed to them, and one is made if `create` says so.
///
/// # Errors
/// As [`read`], and if the file cannot be written.
pub fn prepare(root: &Path, create: bool) -> Result<Option<String>, TokenError> {
    let path = root.join(FILE);
    let unusable = |source| TokenError::Unusable { path: path.display().to_string(), source };
    if let Some(token) = read(root)? {
        close(&path).map_err(unusable)?;
        return Ok(Some(token));
    }
    if !create {
        return Ok(None);
    }
    // 244 random bits.
    let token = [uuid::Uuid::new_v4(), uuid::Uuid::new_v4()].map(|half| half.simple().to_string()).concat();
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.and_then(|mut file| writeln!(file, "{token}").and_then(|()| file.sync_all())).map_err(unusable)?;
    Ok(Some(token))
}

fn close(path: &Path) -> io::Result<()> {
    if fs::metadata(path)?.mode() & 0o077 == 0 {
        return Ok(());
    }
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    tracing::warn!(path = %path.display(), "others could read the operators' token: now its owner alone can; better make a new one");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(prepare(folder.path(), false).unwrap(), None);
        let made = prepare(folder.path(), true).unwrap().unwrap();
        assert_eq!(made.len(), 64);
        assert_eq!(prepare(folder.path(), true).unwrap().as_ref(), Some(&made));
        assert_eq!(read(folder.path()).unwrap().as_ref(), Some(&made));
        let path = folder.path().join(FILE);
        let mode = || fs::metadata(&path).unwrap().mode() & 0o777;
        assert_eq!(mode(), 0o600);
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        prepare(folder.path(), false).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn what_is_no_token_is_refused_and_not_shown() {
        let folder = tempfile::tempdir().unwrap();
        for wrong in [
            &b""[..],
            b"short",
            b"two words here",
            "pässword-long".as_bytes(),
            b"\xff\xfe\xff\xfe\xff\xfe\xff\xfe",
            b"line\nline\nline",
        ] {
            fs::write(folder.path().join(FILE), wrong).unwrap();
            let error = prepare(folder.path(), true).unwrap_err().to_string();
            assert!(error.contains(FILE) && !error.contains("words"), "{error}");
        }
    }
}
