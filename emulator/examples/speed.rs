//! How fast the software device is: an arithmetic loop, a shared-memory loop and a global copy,
//! with all checks and with the least, and what an empty launch costs. With a path: how long that
//! PTX takes to load.

use std::time::Instant;

use parans_emulator::{Checks, Device, DeviceModel, Launch};

const PTX: &str = "
.version 8.0
.target sm_90
.address_size 64
.visible .entry empty() { ret; }
.visible .entry arithmetic(.param .u64 out, .param .u32 n) {
  .reg .b32 %r<12>; .reg .b64 %d<4>; .reg .pred %p<2>;
  ld.param.u64 %d0, [out]; ld.param.u32 %r0, [n];
  mov.u32 %r1, %tid.x; mov.u32 %r2, 12345;
$loop:
  mad.lo.u32 %r2, %r2, 1664525, %r1;
  shr.u32 %r3, %r2, 7;
  xor.b32 %r2, %r2, %r3;
  mul.hi.u32 %r4, %r2, %r1;
  add.u32 %r2, %r2, %r4;
  popc.b32 %r5, %r2;
  add.u32 %r2, %r2, %r5;
  add.u32 %r0, %r0, -1;
  setp.ne.u32 %p0, %r0, 0;
  @%p0 bra $loop;
  mul.wide.u32 %d1, %r1, 4; add.u64 %d0, %d0, %d1;
  st.global.u32 [%d0], %r2;
  ret;
}
.visible .entry shared(.param .u64 out, .param .u32 n) {
  .reg .b32 %r<12>; .reg .b64 %d<4>; .reg .pred %p<2>;
  .shared .align 4 .b8 s[4096];
  ld.param.u64 %d0, [out]; ld.param.u32 %r0, [n];
  mov.u32 %r1, %tid.x; mov.u32 %r6, s; shl.b32 %r7, %r1, 2; add.u32 %r6, %r6, %r7;
  st.shared.u32 [%r6], %r1;
$loop:
  bar.sync 0;
  ld.shared.u32 %r2, [%r6];
  vote.sync.ballot.b32 %r3, %p0, -1;
  add.u32 %r2, %r2, %r3;
  st.shared.u32 [%r6], %r2;
  add.u32 %r0, %r0, -1;
  setp.ne.u32 %p0, %r0, 0;
  @%p0 bra $loop;
  ret;
}
.visible .entry copy(.param .u64 out, .param .u32 n) {
  .reg .b32 %r<12>; .reg .b64 %d<6>; .reg .pred %p<2>;
  ld.param.u64 %d0, [out]; ld.param.u32 %r0, [n];
  mov.u32 %r1, %tid.x; mul.wide.u32 %d1, %r1, 4; add.u64 %d2, %d0, %d1;
$loop:
  ld.global.u32 %r2, [%d2];
  add.u32 %r2, %r2, 1;
  st.global.u32 [%d2], %r2;
  add.u32 %r0, %r0, -1;
  setp.ne.u32 %p0, %r0, 0;
  @%p0 bra $loop;
  ret;
}
";

fn main() -> Result<(), Box<dyn std::error::Error>> {
    for (name, checks) in [("all checks", Checks::ALL), ("least checks", Checks::MINIMAL)] {
        let device = Device::new(DeviceModel::sm_90().with_checks(checks));
        let module = device.load(PTX)?;
        let out = device.alloc(4096)?;
        device.fill(out, 0, 4096)?;
        for entry in ["arithmetic", "shared", "copy"] {
            let args: [&[u8]; 2] = [&out.to_le_bytes(), &20_000_u32.to_le_bytes()];
            let mut best = f64::INFINITY;
            let mut lanes = 0;
            for _ in 0..5 {
                let start = Instant::now();
                let report = device.launch_args(&module, entry, Launch::linear(4, 256), &args)?;
                best = best.min(start.elapsed().as_secs_f64());
                lanes = report.thread_instructions;
            }
            let rate = lanes as f64 / best / 1e6;
            println!("{name:<12} {entry:<10} {rate:8.0} million thread instructions per second");
        }
        let start = Instant::now();
        for _ in 0..10_000 {
            device.launch(&module, "empty", Launch::linear(1, 32), &[])?;
        }
        let each = start.elapsed().as_secs_f64() / 1e4 * 1e6;
        println!("{name:<12} empty launch {each:.2} us");
    }
    if let Some(path) = std::env::args().nth(1) {
        let text = std::fs::read_to_string(&path)?;
        let device = Device::new(DeviceModel::sm_90());
        let start = Instant::now();
        let module = device.load(&text)?;
        println!("{path}: {} entries loaded in {:.1?}", module.entries().len(), start.elapsed());
    }
    Ok(())
}
