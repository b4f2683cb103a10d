//! What the tests of the software device share: small kernels around a few instructions.

use parans_emulator::{Device, DeviceModel, Fault, Launch, Report};

/// The PTX of a kernel `k(in, out)` around a body, with the registers that [`Lanes::run`]
/// describes.
pub(crate) fn kernel(body: &str) -> String {
    format!(
        ".version 8.0\n.target sm_90\n.address_size 64\n\
         .visible .entry k(.param .u64 in, .param .u64 out)\n{{\n\
         .reg .b64 %a<8>, %d<8>, %in, %out, %at;\n.reg .b32 %x<8>, %y<8>, %t<4>;\n\
         .reg .b16 %h<8>, %z<8>;\n.reg .pred %p<8>;\n\
         ld.param.u64 %in, [in]; ld.param.u64 %out, [out];\n\
         mov.u32 %t0, %tid.x; mul.wide.u32 %at, %t0, 64;\n\
         add.u64 %in, %in, %at; add.u64 %out, %out, %at;\n\
         ld.global.v2.u64 {{%a0, %a1}}, [%in]; ld.global.v2.u64 {{%a2, %a3}}, [%in+16];\n\
         cvt.u32.u64 %x0, %a0; cvt.u32.u64 %x1, %a1; cvt.u32.u64 %x2, %a2; cvt.u32.u64 %x3, %a3;\n\
         cvt.u16.u64 %h0, %a0; cvt.u16.u64 %h1, %a1; cvt.u16.u64 %h2, %a2; cvt.u16.u64 %h3, %a3;\n\
         mov.u32 %y0, 0; mov.u32 %y1, 0; mov.u64 %d0, 0; mov.u16 %z0, 0;\n\
         setp.ne.u32 %p0, %y0, 0; setp.ne.u32 %p1, %y0, 0;\n\
         // the body begins on line 19\n{body}\n\
         st.global.u32 [%out], %y0; st.global.u32 [%out+4], %y1; st.global.u64 [%out+8], %d0;\n\
         st.global.u16 [%out+16], %z0; selp.u16 %z1, 1, 0, %p0; selp.u16 %z2, 1, 0, %p1;\n\
         st.global.u16 [%out+18], %z1; st.global.u16 [%out+20], %z2;\nret;\n}}\n"
    )
}

/// What one thread left in its result registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Out {
    /// `%y0`
    pub(crate) y: u32,
    /// `%y1`
    pub(crate) y1: u32,
    /// `%d0`
    pub(crate) d: u64,
    /// `%z0`
    pub(crate) z: u16,
    /// `%p0`
    pub(crate) p: bool,
    /// `%p1`
    pub(crate) q: bool,
}

/// Runs a body for several threads of one block. Thread `i` finds its inputs in `%a0..%a3` (64
/// bits), `%x0..%x3` (their low 32) and `%h0..%h3` (their low 16), and leaves results in the
/// registers of [`Out`].
pub(crate) fn run(body: &str, inputs: &[[u64; 4]]) -> Result<(Vec<Out>, Report), Fault> {
    let device = Device::new(DeviceModel::sm_90());
    let ptx = kernel(body);
    let module = device.load(&ptx).unwrap_or_else(|e| panic!("{e}\n{body}"));
    let bytes = inputs.len() as u64 * 64;
    let (from, to) = (device.alloc(bytes)?, device.alloc(bytes)?);
    device.fill(from, 0, bytes)?;
    for (i, input) in inputs.iter().enumerate() {
        for (j, value) in input.iter().enumerate() {
            device.write(from + (i * 64 + j * 8) as u64, &value.to_le_bytes())?;
        }
    }
    let args: [&[u8]; 2] = [&from.to_le_bytes(), &to.to_le_bytes()];
    let launch = Launch::linear(1, inputs.len() as u32);
    let report = device.launch_args(&module, "k", launch, &args)?;
    let outs = (0..inputs.len()).map(|i| {
        let mut bytes = [0; 22];
        device.read(to + i as u64 * 64, &mut bytes).expect("a thread wrote its results");
        let u16_at = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let u32_at = |at: usize| u32::from(u16_at(at)) | u32::from(u16_at(at + 2)) << 16;
        let d = u64::from(u32_at(8)) | u64::from(u32_at(12)) << 32;
        let (p, q) = (u16_at(18) != 0, u16_at(20) != 0);
        Out { y: u32_at(0), y1: u32_at(4), d, z: u16_at(16), p, q }
    });
    let outs = outs.collect();
    Ok((outs, report))
}

/// The results of one thread.
pub(crate) fn one(body: &str, input: [u64; 4]) -> Out {
    run(body, &[input]).unwrap_or_else(|fault| panic!("{fault}\n{body}")).0[0]
}

/// `%y0` of one thread.
pub(crate) fn y(body: &str, input: [u64; 4]) -> u32 {
    one(body, input).y
}

/// `%d0` of one thread.
pub(crate) fn d(body: &str, input: [u64; 4]) -> u64 {
    one(body, input).d
}

/// `%y0` of all 32 lanes; lane `i` has `f(i)` in its inputs.
pub(crate) fn warp(body: &str, f: impl Fn(u64) -> [u64; 4]) -> Vec<Out> {
    let inputs: Vec<_> = (0..32).map(f).collect();
    run(body, &inputs).unwrap_or_else(|fault| panic!("{fault}\n{body}")).0
}

/// The error of a body that must not load.
pub(crate) fn refused(body: &str) -> parans_emulator::ParseError {
    let device = Device::new(DeviceModel::sm_90());
    match device.load(&kernel(body)) {
        Ok(_) => panic!("loaded: {body}"),
        Err(error) => error,
    }
}

/// A device, with a module loaded.
pub(crate) fn load(ptx: &str) -> (Device, parans_emulator::Module) {
    let device = Device::new(DeviceModel::sm_90());
    let module = device.load(ptx).unwrap_or_else(|e| panic!("{e}"));
    (device, module)
}
