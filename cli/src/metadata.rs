//! Owner, permissions and times: an output has its input's, as gzip and zstd keep them.

use std::{
    fs::{self, File, FileTimes},
    io,
};

/// The permissions to create an output with, before the system takes the umask away from them. What
/// belongs to a file with an owner of its own is nobody else's to read until it is complete.
#[cfg(unix)]
pub(crate) fn initial_mode(like: Option<&fs::Metadata>) -> u32 {
    use std::os::unix::fs::MetadataExt;
    match like {
        Some(like) if like.is_file() => 0o600,
        // A device or a pipe that few may read makes a file that few may read.
        Some(like) => like.mode() & 0o666,
        None => 0o666,
    }
}

/// Gives a complete output what its input has, as far as it is allowed: a file system without
/// owners, modes or times is no reason to lose the output.
///
/// Set-user-ID, set-group-ID and sticky bits are never kept. The owner comes before the
/// permissions, so that no wrong owner or group ever has them.
pub(crate) fn copy(file: &File, like: &fs::Metadata) -> io::Result<()> {
    if !like.is_file() {
        return Ok(());
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::{MetadataExt, PermissionsExt, fchown};
        let _ = fchown(file, None, Some(like.gid()));
        let _ = fchown(file, Some(like.uid()), None);
        let mut mode = like.mode() & 0o777;
        if file.metadata()?.gid() != like.gid() {
            // Another group gets nothing, and others no more than the group had: its members are
            // among them now.
            mode &= 0o700 | mode >> 3 & 0o007;
        }
        let _ = file.set_permissions(fs::Permissions::from_mode(mode));
    }
    #[cfg(not(unix))]
    let _ = file.set_permissions(like.permissions());
    if let (Ok(accessed), Ok(modified)) = (like.accessed(), like.modified()) {
        let _ = file.set_times(FileTimes::new().set_accessed(accessed).set_modified(modified));
    }
    Ok(())
}
