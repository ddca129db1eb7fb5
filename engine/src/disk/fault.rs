//! Maps whose files shrink or go bad under their readers.
//!
//! Reading a mapped page that the file no longer has, or that the disk can't read, is not an error but
//! a signal, SIGBUS, which ends the process. Here it becomes a flag:
//!
//! ```text
//!   a reader touches the page ─► SIGBUS ─► whose address is it?
//!                                            │            │
//!                                   a map of ours      somebody else's
//!                                            │            │
//!               mark the map as faulted, put zeroes    the handler that was there before
//!               in its place: the reader goes on       decides, as if this one did not exist
//! ```
//!
//! What the reader then makes of the zeroes is worth nothing: it asks [`Registered::faulted`] when it
//! has read, and answers an error instead. The mark is set before the zeroes appear, so that who saw
//! one of them also sees the mark.
//!
//! The handler runs between any two instructions of a thread that may hold any lock. It takes none,
//! allocates nothing, and looks the address up in a table that only grows: chunks of slots that are
//! never freed, each slot with a version that tells whether it changed while it was read. The slot of
//! the map that faulted can't change: its reader still has it.

use parking_lot::Mutex;
use std::io;
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicUsize, Ordering, fence};

/// Slots of a chunk: 32 KiB.
const CHUNK_SLOTS: usize = 1024;
/// Together a million maps; Linux allows a process 65,530 unless told otherwise (`vm.max_map_count`).
const CHUNKS_MAX: usize = 1024;

/// A mapped range. The version is odd while the slot stands for a map.
struct Slot {
    version: AtomicUsize,
    start: AtomicUsize,
    len: AtomicUsize,
    faulted: AtomicBool,
}

impl Slot {
    const fn free() -> Slot {
        Slot {
            version: AtomicUsize::new(0),
            start: AtomicUsize::new(0),
            len: AtomicUsize::new(0),
            faulted: AtomicBool::new(false),
        }
    }

    /// The range, if the slot stands for one that `address` is in.
    fn holds(&self, address: usize) -> Option<(usize, usize)> {
        let version = self.version.load(Ordering::Acquire);
        if version.is_multiple_of(2) {
            return None;
        }
        let (start, len) = (self.start.load(Ordering::Relaxed), self.len.load(Ordering::Relaxed));
        fence(Ordering::Acquire);
        let same = self.version.load(Ordering::Relaxed) == version;
        (same && address.checked_sub(start)? < len).then_some((start, len))
    }
}

type Chunk = [Slot; CHUNK_SLOTS];

static CHUNKS: [AtomicPtr<Chunk>; CHUNKS_MAX] =
    [const { AtomicPtr::new(ptr::null_mut()) }; CHUNKS_MAX];
/// Slots that have ever been in use.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Slots below [`USED`] that are free. Never touched by the handler.
static FREE: Mutex<Vec<usize>> = Mutex::new(Vec::new());
/// What handled the signal before.
static BEFORE: OnceLock<libc::sigaction> = OnceLock::new();

fn slot(index: usize) -> Option<&'static Slot> {
    let chunk = CHUNKS.get(index / CHUNK_SLOTS)?.load(Ordering::Acquire);
    // SAFETY: a pointer in the table is null or came from `Box::leak` and stays valid for good.
    unsafe { chunk.as_ref() }?.get(index % CHUNK_SLOTS)
}

/// A range of memory whose faults are caught, until it is dropped.
#[derive(Debug)]
pub(super) struct Registered(usize);

impl Registered {
    /// Catches faults in a range that a file is mapped to. It has to be dropped before the range is
    /// unmapped.
    ///
    /// # Errors
    /// More maps than the table has room for, or a system that refuses the handler.
    pub(super) fn new(start: *const u8, len: usize) -> io::Result<Registered> {
        install()?;
        let mut free = FREE.lock();
        let index = match free.pop() {
            Some(index) => index,
            None => {
                let index = USED.load(Ordering::Relaxed);
                let chunk = CHUNKS
                    .get(index / CHUNK_SLOTS)
                    .ok_or_else(|| io::Error::other("too many files are mapped"))?;
                if chunk.load(Ordering::Relaxed).is_null() {
                    let new = Box::leak(Box::new([const { Slot::free() }; CHUNK_SLOTS]));
                    chunk.store(new, Ordering::Release);
                }
                USED.store(index + 1, Ordering::Release);
                index
            }
        };
        if let Some(slot) = slot(index) {
            slot.start.store(start.expose_provenance(), Ordering::Relaxed);
            slot.len.store(len, Ordering::Relaxed);
            slot.faulted.store(false, Ordering::Relaxed);
            slot.version.fetch_add(1, Ordering::Release);
        }
        Ok(Registered(index))
    }

    /// Was a page of it missing? To be asked after reading: what was read before may be zeroes.
    pub(super) fn faulted(&self) -> bool {
        // What was read before this was really read before this.
        fence(Ordering::Acquire);
        slot(self.0).is_some_and(|slot| slot.faulted.load(Ordering::Relaxed))
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        if let Some(slot) = slot(self.0) {
            slot.version.fetch_add(1, Ordering::Release);
            // What the next user of the slot writes comes after this.
            fence(Ordering::Release);
        }
        FREE.lock().push(self.0);
    }
}

/// Installs the handler, once a process.
fn install() -> io::Result<()> {
    static INSTALLED: Mutex<bool> = Mutex::new(false);
    let mut installed = INSTALLED.lock();
    if *installed {
        return Ok(());
    }
    // SAFETY: all-zero bytes are a valid `sigaction`: no mask, no flags, the default action.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    let mut before = action;
    let handler: extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void) = on_fault;
    action.sa_sigaction = handler as *const () as libc::sighandler_t;
    // On the thread's own stack for signals, if it has one: the fault may come with little stack left.
    action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
    // SAFETY: both point to a `sigaction`; the handler does only what a handler may do.
    if unsafe { libc::sigaction(libc::SIGBUS, &raw const action, &raw mut before) } != 0 {
        return Err(io::Error::last_os_error());
    }
    let _ = BEFORE.set(before);
    *installed = true;
    Ok(())
}

/// The handler. When it returns, the instruction that faulted is run again.
extern "C" fn on_fault(
    signal: libc::c_int,
    info: *mut libc::siginfo_t,
    _context: *mut libc::c_void,
) {
    // SAFETY: the system hands over a valid `siginfo_t`.
    let info = unsafe { &*info };
    // Only a fault has an address; a signal that somebody sent (its code is not positive) has none.
    // SAFETY: the field is there for a SIGBUS of the kernel's.
    let address = (info.si_code > 0).then(|| unsafe { info.si_addr() }.addr());
    if let Some((slot, start, len)) = address.and_then(find) {
        slot.faulted.store(true, Ordering::SeqCst);
        // SAFETY: the range is mapped by us and its reader, this thread, still holds it; readers of a
        // map are prepared for any bytes in it.
        let zeroes = unsafe {
            libc::mmap(
                ptr::with_exposed_provenance_mut(start),
                len,
                libc::PROT_READ,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED | libc::MAP_NORESERVE,
                -1,
                0,
            )
        };
        if zeroes != libc::MAP_FAILED {
            return;
        }
    }
    // Not ours, or nothing can be done: the next round is for who was there before.
    // SAFETY: an all-zero `sigaction` is the default action; `sigaction` may be called in a handler.
    unsafe {
        let default = std::mem::zeroed();
        libc::sigaction(signal, BEFORE.get().unwrap_or(&default), ptr::null_mut());
    }
}

fn find(address: usize) -> Option<(&'static Slot, usize, usize)> {
    (0..USED.load(Ordering::Acquire)).find_map(|index| {
        let slot = slot(index)?;
        slot.holds(address).map(|(start, len)| (slot, start, len))
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::super::{Disk as _, Map, RealDisk};
    use std::fs::{self, File, OpenOptions};
    use std::os::unix::process::ExitStatusExt as _;
    use std::path::Path;

    const LEN: usize = 64 << 10;

    fn filled(path: &Path, byte: u8) -> Map {
        fs::write(path, vec![byte; LEN]).unwrap();
        RealDisk.map(path).unwrap()
    }

    fn cut(path: &Path, len: u64) {
        OpenOptions::new().write(true).open(path).unwrap().set_len(len).unwrap();
    }

    #[test]
    fn a_file_cut_under_its_map_is_told_and_ends_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let map = filled(&path, 7);
        let (other, clone) = (filled(&dir.path().join("b"), 9), map.clone());
        assert_eq!((map[LEN - 1], map.faulted()), (7, false));
        cut(&path, 8192);
        // What is still there can be read.
        assert_eq!((map[0], map.faulted()), (7, false));
        assert_eq!((map[LEN - 1], map.faulted()), (0, true));
        assert!(clone.faulted());
        // From then on nothing of it is to be believed, and everything can be touched.
        assert!(map.iter().all(|byte| *byte == 0));
        assert!(other.iter().all(|byte| *byte == 9) && !other.faulted());
    }

    #[test]
    fn a_file_that_is_deleted_or_replaced_stays_what_was_mapped() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let map = filled(&path, 7);
        fs::write(dir.path().join("b"), vec![8; LEN]).unwrap();
        fs::rename(dir.path().join("b"), &path).unwrap();
        assert!(map.iter().all(|byte| *byte == 7));
        let again = RealDisk.map(&path).unwrap();
        fs::remove_file(&path).unwrap();
        assert!(again.iter().all(|byte| *byte == 8));
        assert!(!map.faulted() && !again.faulted());
    }

    #[test]
    fn many_readers_of_many_maps_fault_at_once() {
        let dir = tempfile::tempdir().unwrap();
        let threads: Vec<_> = (0..8u8)
            .map(|number| {
                let path = dir.path().join(number.to_string());
                std::thread::spawn(move || {
                    for round in 0..100u64 {
                        let map = filled(&path, number + 1);
                        let kept = round % 16 * 4096;
                        cut(&path, kept);
                        let readers: Vec<_> = (0..3)
                            .map(|_| {
                                let map = map.clone();
                                std::thread::spawn(move || {
                                    // Whoever has seen a zero also sees the mark.
                                    let zero = map.contains(&0);
                                    zero && map.faulted()
                                })
                            })
                            .collect();
                        assert!(readers.into_iter().all(|reader| reader.join().unwrap()));
                        fs::remove_file(&path).unwrap();
                    }
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    /// A fault elsewhere ends the process by its signal, as it did before there was a handler.
    #[test]
    fn a_fault_in_a_map_of_somebody_else_is_not_taken() {
        const CHILD: &str = "DAYBOOK_TEST_FOREIGN_FAULT";
        let Some(dir) = std::env::var_os(CHILD) else {
            let dir = tempfile::tempdir().unwrap();
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "--nocapture"])
                .arg("disk::fault::tests::a_fault_in_a_map_of_somebody_else_is_not_taken")
                .env(CHILD, dir.path())
                .status()
                .unwrap();
            assert_eq!(status.signal(), Some(libc::SIGBUS));
            return;
        };
        let dir = Path::new(&dir);
        let ours = filled(&dir.join("ours"), 1);
        let path = dir.join("theirs");
        fs::write(&path, vec![2; LEN]).unwrap();
        // SAFETY: that the file is cut is what is tested.
        let theirs = unsafe { memmap2::Mmap::map(&File::open(&path).unwrap()) }.unwrap();
        cut(&path, 0);
        assert_eq!((theirs[LEN - 1], ours[0]), (0, 1), "it should not have come here");
    }
}
