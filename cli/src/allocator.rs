//! The system's allocator, with an end of one line where there is no memory: Rust's own has a line
//! more or a backtrace, and a core file; a hook for it is not stable.

#![allow(unsafe_code, reason = "an allocator is an unsafe trait; this one only looks for null")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::{failure::IO, temporary};

struct Exits;

#[global_allocator]
static ALLOCATOR: Exits = Exits;

// SAFETY: Every call goes to the system's allocator as it is, and so does every result but null,
// after which nothing returns.
unsafe impl GlobalAlloc for Exits {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: The caller keeps the contract, which is the same.
        checked(unsafe { System.alloc(layout) }, layout.size())
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: The caller keeps the contract, and the block is the system's.
        unsafe { System.dealloc(block, layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        // SAFETY: The caller keeps the contract, which is the same.
        checked(unsafe { System.alloc_zeroed(layout) }, layout.size())
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: The caller keeps the contract, and the block is the system's.
        checked(unsafe { System.realloc(block, layout, size) }, size)
    }
}

/// More than any machine has: what asks for it is prepared to hear so.
const ABSURD: usize = usize::MAX >> 24;

fn checked(block: *mut u8, size: usize) -> *mut u8 {
    if block.is_null() && size < ABSURD {
        end();
    }
    block
}

/// Says so and exits, without memory.
#[cold]
fn end() -> ! {
    static ENDS: AtomicBool = AtomicBool::new(false);
    let first = !ENDS.swap(true, Ordering::Relaxed);
    if first {
        // Nobody to tell is no reason to end differently.
        let _ = rustix::io::write(rustix::stdio::stderr(), b"parans: out of memory\n");
        temporary::clean_up();
        signal_hook::low_level::exit(IO.into());
    }
    // Another thread is about to end the process, or this one came here again from above.
    std::thread::sleep(Duration::from_millis(100));
    signal_hook::low_level::exit(IO.into())
}
