//! The memories of the device: where addresses mean what, and who checks them.
//!
//! Global memory is [`global`]: one host buffer for each allocation, with a shadow byte for each
//! byte. Shared memory is [`shared`]: one buffer for each running block, with a record of the last
//! accesses of each byte, from which [`order`] finds races. Local memory lives in the frames of
//! `exec`.

pub(crate) mod global;
pub(crate) mod order;
pub(crate) mod shared;

/// Generic addresses of shared memory begin here; a window of 2^32 bytes.
pub(crate) const SHARED_WINDOW: u64 = 0x7ffe_0000_0000;
/// Generic addresses of local memory begin here; a window of 2^32 bytes.
pub(crate) const LOCAL_WINDOW: u64 = 0x7ffd_0000_0000;
/// Generic addresses of kernel parameters begin here; a window of 2^32 bytes.
pub(crate) const PARAM_WINDOW: u64 = 0x7ffc_0000_0000;
/// "Addresses" of device functions: an index above this base. No data lives there.
pub(crate) const FUNCTION_WINDOW: u64 = 0x7ffb_0000_0000;
/// Global allocations begin here: in user space, where 64-bit Linux puts neither programs (0x55...)
/// nor mappings (0x7e... and above). So a device address is never a host address by chance, and the
/// host can map pages at one.
pub(crate) const GLOBAL_BASE: u64 = 0x2000_0000_0000;
const _: () = assert!(GLOBAL_BASE < FUNCTION_WINDOW);
