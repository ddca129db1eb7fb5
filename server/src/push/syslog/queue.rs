//! What of a connection the receiver's machine has not confirmed.

use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};

/// The bytes that were written and are not confirmed by the other end's TCP.
///
/// # Errors
/// The system's.
#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "no safe interface has this request")]
pub fn unconfirmed(socket: &OwnedFd) -> io::Result<u64> {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open as long as `socket` lives, and the request (SIOCOUTQ, of the same number) writes
    // one `int`, to where one is.
    let done = unsafe { libc::ioctl(socket.as_raw_fd(), libc::TIOCOUTQ, &raw mut bytes) };
    if done < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(u64::try_from(bytes).unwrap_or(0))
}

/// Nothing is known of it here: what was written counts as confirmed.
///
/// # Errors
/// None.
#[cfg(not(target_os = "linux"))]
pub fn unconfirmed(_: &OwnedFd) -> io::Result<u64> {
    Ok(0)
}
