//! Loads, stores, atomics, asynchronous copies and addresses.

use crate::common::{d, load, one, run, warp, y};
use parans_emulator::{Device, DeviceModel, Fault, Launch};

#[test]
fn widths_signs_and_vectors() {
    let v = [0x8899_aabb_ccdd_eeff, 0, 0, 0];
    assert_eq!(y("ld.global.u8 %y0, [%in];", v), 0xff);
    assert_eq!(y("ld.global.s8 %y0, [%in];", v), 0xffff_ffff);
    assert_eq!(y("ld.global.u16 %y0, [%in+2];", v), 0xccdd);
    assert_eq!(d("ld.global.s16 %d0, [%in+2];", v), 0xffff_ffff_ffff_ccdd);
    assert_eq!(one("ld.global.s8 %z0, [%in];", v).z, 0xffff);
    assert_eq!(d("ld.global.s32 %d0, [%in+4];", v), 0xffff_ffff_8899_aabb);
    let out = one("ld.global.v4.u16 {%z0, _, %y0, %y1}, [%in];", v);
    assert_eq!((out.z, out.y, out.y1), (0xeeff, 0xaabb, 0x8899));
    let out = one("ld.global.nc.L1::no_allocate.L2::128B.v2.b32 {%y0, %y1}, [%in];", v);
    assert_eq!((out.y, out.y1), (0xccdd_eeff, 0x8899_aabb));
    assert_eq!(
        d("st.global.cs.v2.u8 [%out+32], {%x0, 7}; ld.relaxed.gpu.global.u16 %d0, [%out+32];", v),
        0x07ff
    );
    assert_eq!(
        d("st.release.gpu.global.u64 [%out+32], %a0; ld.acquire.gpu.global.u64 %d0, [%out+32];", v),
        v[0]
    );
    assert_eq!(
        y("st.volatile.global.u32 [%out+32], %x0; ld.volatile.global.u32 %y0, [%out+32];", v),
        0xccdd_eeff
    );
    assert_eq!(y("prefetch.global.L2 [%in]; ldu.global.u32 %y0, [%in+4];", v), 0x8899_aabb);
}

#[test]
fn shared_local_and_generic_addresses() {
    let body = ".shared .align 8 .b8 s[256]; mov.u32 %t1, s; shl.b32 %t2, %t0, 3; add.u32 %t1, %t1, %t2;\n\
                st.shared.u64 [%t1], %a0; cvt.u64.u32 %d1, %t1; cvta.shared.u64 %d2, %d1;\n\
                ld.u64 %d0, [%d2]; isspacep.shared %p0, %d2; isspacep.global %p1, %d2;";
    for (i, out) in warp(body, |i| [i << 33, 0, 0, 0]).into_iter().enumerate() {
        assert_eq!((out.d, out.p, out.q), ((i as u64) << 33, true, false));
    }
    let body = ".local .align 4 .b8 l[64]; mov.u64 %d1, l; cvta.local.u64 %d2, %d1; st.u32 [%d2+12], %x0;\n\
                cvta.to.local.u64 %d3, %d2; ld.local.u32 %y0, [%d3+12]; ld.local.u32 %y1, [l+12];\n\
                isspacep.local %p0, %d2; isspacep.global %p1, %in;";
    for (i, out) in warp(body, |i| [i, 0, 0, 0]).into_iter().enumerate() {
        assert_eq!((out.y, out.y1, out.p, out.q), (i as u32, i as u32, true, true));
    }
    // One instruction, lanes in different memories.
    let body = ".shared .u32 s; st.shared.u32 [s], 77; bar.sync 0; mov.u64 %d1, s; cvta.shared.u64 %d1, %d1;\n\
                and.b32 %t1, %t0, 1; setp.eq.u32 %p2, %t1, 0; selp.b64 %d2, %d1, %in, %p2; ld.u32 %y0, [%d2];";
    for (i, out) in warp(body, |i| [i, 0, 0, 0]).into_iter().enumerate() {
        assert_eq!(out.y, if i % 2 == 0 { 77 } else { i as u32 });
    }
}

#[test]
fn atomics_on_global_memory() {
    let body = "st.global.u32 [%out+32], 5; atom.global.add.u32 %y0, [%out+32], %x0; ld.global.u32 %y1, [%out+32];";
    let out = one(body, [10, 0, 0, 0]);
    assert_eq!((out.y, out.y1), (5, 15));
    let body = "st.global.u64 [%out+32], 5; red.global.max.u64 [%out+32], %a0; ld.global.u64 %d0, [%out+32];";
    assert_eq!(d(body, [10, 0, 0, 0]), 10);
    let body = "st.global.u64 [%out+32], %a0; atom.cas.b64 %d0, [%out+32], %a1, %a2; ld.global.u64 %d0, [%out+32];";
    assert_eq!((d(body, [1, 1, 9, 0]), d(body, [1, 2, 9, 0])), (9, 1));
    let body = "st.global.u16 [%out+32], 3; atom.global.cas.b16 %z0, [%out+32], %h0, %h1; ld.global.u16 %y0, [%out+32];";
    assert_eq!(y(body, [3, 9, 0, 0]), 9);
    let body = "st.global.f32 [%out+32], 0f3FC00000; atom.global.add.f32 %y1, [%out+32], 0f3FC00000; ld.global.u32 %y0, [%out+32];";
    assert_eq!(y(body, [0; 4]), 3.0f32.to_bits());
    let body = "st.global.u32 [%out+32], 4; atom.relaxed.gpu.global.inc.u32 %y1, [%out+32], 4; ld.global.u32 %y0, [%out+32];";
    assert_eq!(y(body, [0; 4]), 0);
    // All blocks on one word.
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.global .u32 sum;\n\
               .entry k() { .reg .b32 %r<3>; atom.global.add.u32 %r0, [sum], 1; red.global.add.u32 [sum], 2; ret; }";
    let (device, module) = load(ptx);
    device.launch(&module, "k", Launch::linear(50, 100), &[]).unwrap();
    let mut sum = [0; 4];
    device.read(module.global("sum").unwrap().address, &mut sum).unwrap();
    assert_eq!(u32::from_le_bytes(sum), 15_000);
}

#[test]
fn asynchronous_copies_land_when_waited_for() {
    let body = ".shared .align 16 .b8 s[512]; mov.u32 %t1, s; shl.b32 %t2, %t0, 4; add.u32 %t1, %t1, %t2;\n\
                cp.async.cg.shared.global [%t1], [%in], 16; cp.async.commit_group; WAIT\n\
                ld.shared.u64 %d0, [%t1+8];";
    let inputs: Vec<_> = (0..32).map(|i| [i, i + 100, 0, 0]).collect();
    for wait in ["cp.async.wait_group 0;", "cp.async.wait_all;"] {
        let (outs, _) = run(&body.replace("WAIT", wait), &inputs).unwrap();
        assert!(outs.iter().enumerate().all(|(i, out)| out.d == i as u64 + 100));
    }
    for wait in ["", "cp.async.wait_group 1;"] {
        let fault = run(&body.replace("WAIT", wait), &inputs).unwrap_err();
        assert!(matches!(fault, Fault::Uninitialised(_)), "{fault}");
    }
    // A source size below the copy's leaves zeros.
    let partial = body.replace("[%in], 16;", "[%in], 16, 8;").replace("WAIT", "cp.async.wait_all;");
    assert!(run(&partial, &inputs).unwrap().0.iter().all(|out| out.d == 0));
}

#[test]
fn variables_have_their_initial_values() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n\
        .global .align 4 .u32 a[4] = {1, 2, 0xffffffff};\n.const .align 8 .f64 c[2] = {1.5, 0d4000000000000000};\n\
        .global .u64 pa = generic(a)+4;\n.global .f32 f = 0f3FC00000;\n.global .align 1 .b8 bytes[3] = {1, 2, 255};\n\
        .visible .entry k(.param .u64 out) { .reg .b64 %d<4>; .reg .b32 %r<4>;\n\
        ld.param.u64 %d0, [out]; ld.global.u64 %d1, [pa]; ld.u32 %r0, [%d1]; st.global.u32 [%d0], %r0;\n\
        ld.const.f64 %d2, [c+8]; st.global.u64 [%d0+8], %d2; ld.global.u8 %r1, [bytes+2];\n\
        st.global.u32 [%d0+4], %r1; ret; }";
    let (device, module) = load(ptx);
    let out = device.alloc(16).unwrap();
    device.launch(&module, "k", Launch::linear(1, 1), &out.to_le_bytes()).unwrap();
    let mut bytes = [0; 16];
    device.read(out, &mut bytes).unwrap();
    assert_eq!(bytes[..8], [2, 0, 0, 0, 255, 0, 0, 0]);
    assert_eq!(bytes[8..], 2.0f64.to_le_bytes());
    let a = module.global("a").unwrap();
    let mut words = [9; 16];
    device.read(a.address, &mut words).unwrap();
    assert_eq!(words, [1, 0, 0, 0, 2, 0, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0]);
    assert_eq!((a.bytes, module.global("bytes").unwrap().bytes), (16, 3));
}

#[test]
fn parameters_of_every_kind() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n\
        .visible .entry k(.param .u8 a, .param .align 8 .b8 s[12], .param .u16 b, .param .u64 .ptr .global .align 4 out) {\n\
        .reg .b64 %d<4>; .reg .b32 %r<6>; ld.param.u64 %d0, [out]; ld.param.u8 %r0, [a];\n\
        ld.param.u32 %r1, [s+8]; ld.param.v2.u32 {%r2, %r3}, [s]; ld.param.u16 %r4, [b];\n\
        add.u32 %r0, %r0, %r1; add.u32 %r0, %r0, %r2; add.u32 %r0, %r0, %r3; add.u32 %r0, %r0, %r4;\n\
        mov.b64 %d1, s; cvta.param.u64 %d1, %d1; ld.u32 %r5, [%d1+4]; add.u32 %r0, %r0, %r5;\n\
        st.global.u32 [%d0], %r0; ret; }";
    let (device, module) = load(ptx);
    let entry = module.entry("k").unwrap();
    let places: Vec<_> = entry.params.iter().map(|p| (p.offset, p.size, p.align)).collect();
    assert_eq!(places, [(0, 1, 1), (8, 12, 8), (20, 2, 2), (24, 8, 8)]);
    assert_eq!(entry.param_bytes, 32);
    let out = device.alloc(4).unwrap();
    let s: Vec<u8> = [1000_u32, 200, 30].iter().flat_map(|v| v.to_le_bytes()).collect();
    let args: [&[u8]; 4] = [&[4], &s, &7_u16.to_le_bytes(), &out.to_le_bytes()];
    device.launch_args(&module, "k", Launch::linear(1, 1), &args).unwrap();
    let mut sum = [0; 4];
    device.read(out, &mut sum).unwrap();
    assert_eq!(u32::from_le_bytes(sum), 4 + 1000 + 200 + 30 + 7 + 200);
}

#[test]
fn dynamic_shared_memory_begins_after_the_static() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.extern .shared .align 16 .b8 pool[];\n.shared .u32 one;\n\
        .visible .entry k(.param .u64 out) { .reg .b64 %d<3>; .reg .b32 %r<6>; ld.param.u64 %d0, [out];\n\
        mov.u32 %r0, pool; mov.u32 %r1, one; mov.u32 %r2, %dynamic_smem_size; mov.u32 %r3, %total_smem_size;\n\
        st.shared.u32 [pool+96], 5; st.global.v4.u32 [%d0], {%r0, %r1, %r2, %r3}; ret; }";
    let (device, module) = load(ptx);
    assert_eq!(module.entry("k").unwrap().static_shared, 4);
    let out = device.alloc(16).unwrap();
    let launch = Launch::linear(1, 1).shared(100);
    device.launch(&module, "k", launch, &out.to_le_bytes()).unwrap();
    let mut bytes = [0; 16];
    device.read(out, &mut bytes).unwrap();
    let words: Vec<u32> =
        bytes.chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    assert_eq!(words, [16, 0, 100, 116]);
    let fault = device.launch(&module, "k", Launch::linear(1, 1).shared(99), &out.to_le_bytes());
    assert!(matches!(fault, Err(Fault::OutOfBounds(_))));
}

#[test]
fn grids_in_three_dimensions() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.visible .entry k(.param .u64 out) {\n\
        .reg .b64 %d<3>; .reg .b32 %r<20>; ld.param.u64 %d0, [out];\n\
        mov.u32 %r0, %ctaid.z; mov.u32 %r1, %nctaid.y; mov.u32 %r2, %ctaid.y; mad.lo.u32 %r0, %r0, %r1, %r2;\n\
        mov.u32 %r1, %nctaid.x; mov.u32 %r2, %ctaid.x; mad.lo.u32 %r0, %r0, %r1, %r2;\n\
        mov.u32 %r1, %ntid.z; mov.u32 %r2, %tid.z; mad.lo.u32 %r0, %r0, %r1, %r2;\n\
        mov.u32 %r1, %ntid.y; mov.u32 %r2, %tid.y; mad.lo.u32 %r0, %r0, %r1, %r2;\n\
        mov.u32 %r1, %ntid.x; mov.u32 %r2, %tid.x; mad.lo.u32 %r0, %r0, %r1, %r2;\n\
        mul.wide.u32 %d1, %r0, 4; add.u64 %d0, %d0, %d1; st.global.u32 [%d0], %r0; ret; }";
    let (device, module) = load(ptx);
    let launch = Launch { grid: [2, 3, 4], block: [5, 3, 2], dynamic_shared: 0 };
    let count = 24 * 30;
    let out = device.alloc(count * 4).unwrap();
    let report = device.launch(&module, "k", launch, &out.to_le_bytes()).unwrap();
    assert_eq!((report.blocks, report.warps), (24, 24));
    let mut bytes = vec![0; count as usize * 4];
    device.read(out, &mut bytes).unwrap();
    assert!(bytes.chunks(4).enumerate().all(|(i, b)| b == (i as u32).to_le_bytes()));
}

#[test]
fn many_devices_and_threads() {
    let devices: Vec<_> = (0..4).map(|_| Device::new(DeviceModel::sm_90())).collect();
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.global .u32 n;\n\
               .entry k() { red.global.add.u32 [n], 1; ret; }";
    std::thread::scope(|scope| {
        for device in &devices {
            let module = device.load(ptx).unwrap();
            for _ in 0..2 {
                let (device, module) = (device.clone(), module.clone());
                scope.spawn(move || {
                    for _ in 0..50 {
                        device.launch(&module, "k", Launch::linear(2, 33), &[]).unwrap();
                    }
                });
            }
        }
    });
    assert!(devices.iter().all(|d| d.memory_info().0 == d.memory_info().1));
}
