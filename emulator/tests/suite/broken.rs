//! Kernels that are wrong on purpose: each is caught, with its place.

use crate::common::{kernel, run};
use parans_emulator::{Access, Checks, Device, DeviceModel, Fault, Launch, Report, Space};

/// The body of [`kernel`] begins on this line.
const FIRST: u32 = 19;

fn fault_of(body: &str, threads: usize) -> Fault {
    match run(body, &vec![[0; 4]; threads]) {
        Ok(_) => panic!("not caught: {body}"),
        Err(fault) => fault,
    }
}

#[track_caller]
fn at(access: &Access, space: Space, thread: u32, line: u32) {
    assert_eq!((access.space, access.at.thread, access.at.line), (space, [thread, 0, 0], line));
    assert_eq!((access.at.kernel.as_str(), access.at.block), ("k", [0; 3]));
}

#[test]
fn a_store_one_past_the_end() {
    // 32 threads of 64 bytes: the last stores 4 bytes at 64.
    match fault_of("add.u64 %d0, %out, 4;\nst.global.u32 [%d0+60], 1;", 32) {
        Fault::OutOfBounds(access) => {
            at(&access, Space::Global, 31, FIRST + 1);
            assert!(access.nearest.contains("0 bytes after the end of"), "{access}");
        }
        fault => panic!("{fault}"),
    }
    assert!(matches!(fault_of("st.global.u8 [%out+-1], 1;", 1), Fault::OutOfBounds(_)));
    assert!(matches!(fault_of("ld.global.u32 %y0, [0];", 1), Fault::OutOfBounds(_)));
    // A vector of which only the end is outside.
    let body = "st.global.v2.u64 [%out+56], {%a0, %a1};";
    assert!(matches!(fault_of(body, 1), Fault::Misaligned(_)));
}

#[test]
fn misaligned_accesses() {
    match fault_of("ld.global.u32 %y0, [%in+2];", 1) {
        Fault::Misaligned(access) => at(&access, Space::Global, 0, FIRST),
        fault => panic!("{fault}"),
    }
    let body = ".shared .align 16 .b8 s[64]; mov.u32 %t1, 8; st.shared.v4.u32 [%t1], {%x0, %x0, %x0, %x0};";
    assert!(matches!(fault_of(body, 1), Fault::Misaligned(_)));
}

#[test]
fn reads_of_what_was_never_written() {
    match fault_of("ld.global.u32 %y0, [%out];", 3) {
        Fault::Uninitialised(access) => at(&access, Space::Global, 0, FIRST),
        fault => panic!("{fault}"),
    }
    // Only one byte of the word.
    let body = "st.global.u16 [%out], 1;\nst.global.u8 [%out+2], 1;\nld.global.u32 %y0, [%out];";
    assert!(matches!(fault_of(body, 1), Fault::Uninitialised(_)));
    let body = ".shared .u32 s[4];\nst.shared.u32 [s], 1;\nld.shared.u32 %y0, [s+4];";
    match fault_of(body, 1) {
        Fault::Uninitialised(access) => at(&access, Space::Shared, 0, FIRST + 2),
        fault => panic!("{fault}"),
    }
    let body = ".local .u32 s[4];\nst.local.u32 [s], 1;\nld.local.u32 %y0, [s+4];";
    match fault_of(body, 1) {
        Fault::Uninitialised(access) => at(&access, Space::Local, 0, FIRST + 2),
        fault => panic!("{fault}"),
    }
    assert!(matches!(fault_of("red.global.add.u32 [%out], 1;", 1), Fault::Uninitialised(_)));
}

#[test]
fn local_bytes_never_written_are_faults_where_they_decide_something() {
    let local = |body: &str| fault_of(&format!(".local .align 8 .b8 s[16];\n{body}"), 2);
    for (body, line) in [
        // A branch, an address, a stored word, an atomic, a shuffle.
        ("ld.local.u32 %y0, [s];\nsetp.eq.u32 %p2, %y0, 1;\n@%p2 bra L;\nL:", 1),
        ("ld.local.u64 %d0, [s];\nadd.u64 %d0, %d0, 8;\nld.global.u32 %y0, [%d0];", 1),
        ("mov.u32 %y1, 1;\nld.local.u32 %y0, [s+4];\nadd.u32 %y1, %y0, %y1;", 2),
        ("ld.local.u8 %z2, [s];\ncvt.u32.u16 %y0, %z2;", 1),
        ("ld.local.u32 %t1, [s];\nred.global.max.u32 [%out], %t1;", 1),
        ("ld.local.u32 %t1, [s];\nshfl.sync.idx.b32 %t2, %t1, 0, 31, 3;", 1),
        // Copied, it stays what it was; the fault is that of the last read.
        (
            "ld.local.u32 %t1, [s];\nst.local.u32 [s+4], 1;\nst.local.u32 [s+4], %t1;\n\
          ld.local.u32 %y0, [s+4];",
            4,
        ),
        // One lane is enough.
        ("setp.eq.u32 %p2, %t0, 1;\n@!%p2 st.local.u32 [s], 1;\nld.local.u32 %y0, [s];", 3),
    ] {
        match local(body) {
            Fault::Uninitialised(access) => {
                let (space, found) = (access.space, access.at.line);
                assert_eq!((space, found), (Space::Local, FIRST + line), "{body}");
            }
            fault => panic!("{fault}: {body}"),
        }
    }
}

#[test]
fn local_bytes_never_written_may_be_copied() {
    let y = |body: &str| {
        let body = format!(".local .align 8 .b8 s[16];\n{body}");
        run(&body, &[[0; 4]]).unwrap_or_else(|fault| panic!("{fault}\n{body}")).0[0].y
    };
    // The padding of a struct byte by byte: a u8 at 0 and a u16 at 2.
    let copy = "st.local.u8 [s], 7; st.local.u16 [s+2], 9; ld.local.u8 %z2, [s+1]; \
                st.local.u8 [s+5], %z2; st.global.u8 [%out+24], %z2; ld.local.u16 %z3, [s+2]; \
                st.local.u16 [s+6], %z3; ld.local.u16 %z4, [s+6]; cvt.u32.u16 %y0, %z4;";
    assert_eq!(y(copy), 9);
    // A register that was spilled in part, of which that part is used.
    assert_eq!(y("st.local.u16 [s], 9; ld.local.u32 %y0, [s]; and.b32 %y0, %y0, 0xffff;"), 9);
    // Overwritten, or not chosen.
    assert_eq!(y("ld.local.u32 %y0, [s]; mov.u32 %y0, 3;"), 3);
    assert_eq!(y("ld.local.u32 %y1, [s]; selp.b32 %y0, %y1, 4, %p0; mov.u32 %y1, 0;"), 4);
    assert_eq!(y("ld.local.v2.u32 {%t1, %t2}, [s]; st.local.v2.u32 [s+8], {%t1, %t2};"), 0);
}

#[test]
fn accesses_outside_shared_and_local_memory() {
    let body = ".shared .u32 s[4]; st.shared.u32 [s+16], 1;";
    assert!(matches!(fault_of(body, 1), Fault::OutOfBounds(a) if a.space == Space::Shared));
    let body = ".local .u32 s[4]; .local .u32 t[4]; st.local.u32 [s+16], 1;";
    assert!(matches!(fault_of(body, 1), Fault::OutOfBounds(a) if a.space == Space::Local));
    let body = ".local .u32 s[4]; mov.u64 %d0, s; cvta.local.u64 %d0, %d0; st.u32 [%d0+-4], 1;";
    assert!(matches!(fault_of(body, 1), Fault::OutOfBounds(_)));
}

fn device() -> Device {
    Device::new(DeviceModel::sm_90())
}

#[test]
fn a_failed_assertion_says_what_the_source_states() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n\
        .extern .func __assertfail(.param .b64 m, .param .b64 f, .param .b32 l, .param .b64 n,\n\
        .param .b64 s);\n\
        .global .b8 message[6] = {120, 32, 62, 32, 48, 0};\n\
        .global .b8 file[5] = {97, 46, 99, 117, 0};\n\
        .global .b8 name[2] = {107, 0};\n\
        .visible .entry k(.param .u32 x) {\n\
        .reg .b64 %d<4>; .reg .b32 %r<3>; .reg .pred %p<2>;\n\
        ld.param.u32 %r1, [x]; mov.u32 %r2, %tid.x; add.u32 %r1, %r1, %r2;\n\
        setp.ne.u32 %p1, %r1, 0; @%p1 bra OK;\n\
        mov.u64 %d1, message; cvta.global.u64 %d1, %d1; mov.u64 %d2, file; mov.u64 %d3, name;\n\
        { .param .b64 p0; .param .b64 p1; .param .b32 p2; .param .b64 p3; .param .b64 p4;\n\
        st.param.b64 [p0], %d1; st.param.b64 [p1], %d2; st.param.b32 [p2], 42;\n\
        st.param.b64 [p3], %d3; st.param.b64 [p4], 1;\n\
        call.uni __assertfail, (p0, p1, p2, p3, p4); }\n\
        OK: ret; }";
    let device = device();
    let module = device.load(ptx).unwrap();
    let launch = |x: u32| device.launch(&module, "k", Launch::linear(1, 32), &x.to_le_bytes());
    launch(1).unwrap();
    match launch((-3_i32) as u32).unwrap_err() {
        Fault::Assert(failed) => {
            assert_eq!((failed.message.as_str(), failed.file.as_str()), ("x > 0", "a.cu"));
            assert_eq!((failed.function.as_str(), failed.source_line), ("k", 42));
            assert_eq!((failed.at.thread, failed.at.line), ([3, 0, 0], 17));
        }
        fault => panic!("{fault}"),
    }
    // Another function without a body is refused, and so is one of that name with other arguments.
    for (from, to) in [("__assertfail", "__other"), (".param .b32 l,", ".param .b64 l,")] {
        assert!(device.load(&ptx.replace(from, to)).is_err(), "{to}");
    }
}

#[test]
fn use_after_free() {
    let device = device();
    let module = device.load(&kernel("")).unwrap();
    let (from, to) = (device.alloc(64).unwrap(), device.alloc(64).unwrap());
    device.fill(from, 0, 64).unwrap();
    device.free(to).unwrap();
    let args: [&[u8]; 2] = [&from.to_le_bytes(), &to.to_le_bytes()];
    let fault = device.launch_args(&module, "k", Launch::linear(1, 1), &args).unwrap_err();
    assert!(matches!(&fault, Fault::UseAfterFree(a) if a.address == to), "{fault}");
    assert!(fault.to_string().contains("freed allocation of 64 bytes"), "{fault}");
    // A new allocation does not hide it.
    let _ = device.alloc(64).unwrap();
    let fault = device.launch_args(&module, "k", Launch::linear(1, 1), &args).unwrap_err();
    assert!(matches!(fault, Fault::UseAfterFree(_)), "{fault}");
}

#[test]
fn an_unloaded_module_has_no_variables() {
    let device = device();
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.global .u32 g;\n\
               .entry k() { st.global.u32 [g], 1; ret; }";
    let module = device.load(ptx).unwrap();
    device.launch(&module, "k", Launch::linear(1, 1), &[]).unwrap();
    device.unload(&module);
    let fault = device.launch(&module, "k", Launch::linear(1, 1), &[]).unwrap_err();
    assert!(matches!(fault, Fault::UseAfterFree(_)), "{fault}");
    let (free, total) = device.memory_info();
    assert_eq!(free, total);
}

#[test]
fn writes_to_constants() {
    let device = device();
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.const .u32 c = 7;\n\
               .entry k() { .reg .b64 %a; mov.u64 %a, c; st.global.u32 [%a], 1; ret; }";
    let module = device.load(ptx).unwrap();
    let fault = device.launch(&module, "k", Launch::linear(1, 1), &[]).unwrap_err();
    assert!(matches!(fault, Fault::ReadOnly(_)), "{fault}");
}

/// Each thread stores to shared memory; then reads its neighbour's; between them `sync`.
fn neighbours(sync: &str) -> String {
    format!(
        ".shared .u32 s[96];\nmov.u32 %t1, s; shl.b32 %t2, %t0, 2; add.u32 %t1, %t1, %t2;\n\
         st.shared.u32 [%t1], %t0;\n{sync}\nxor.b32 %t2, %t2, 4; mov.u32 %t3, s; add.u32 %t3, %t3, %t2;\n\
         ld.shared.u32 %y0, [%t3];"
    )
}

#[test]
fn a_missing_barrier() {
    match fault_of(&neighbours(""), 96) {
        Fault::Race { access, other_thread, .. } => {
            at(&access, Space::Shared, 0, FIRST + 5);
            assert_eq!(other_thread, Some([1, 0, 0]));
        }
        fault => panic!("{fault}"),
    }
    for sync in ["bar.sync 0;", "barrier.sync 3;", "bar.warp.sync -1;", "bar.sync 1, 96;"] {
        let (outs, _) =
            run(&neighbours(sync), &[[0; 4]; 96]).unwrap_or_else(|f| panic!("{sync} {f}"));
        assert!(outs.iter().enumerate().all(|(i, out)| out.y == i as u32 ^ 1));
    }
    // A barrier of the warp is not one of the block.
    let across = neighbours("bar.warp.sync -1;").replace("%t2, 4;", "%t2, 128;");
    // Here the first warp runs first, and finds that nobody has written.
    assert!(matches!(fault_of(&across, 64), Fault::Uninitialised(_)));
    assert!(run(&neighbours("bar.sync 0;").replace("%t2, 4;", "%t2, 128;"), &[[0; 4]; 64]).is_ok());
    // Nor does a barrier of part of the warp reach the others.
    let part = "and.b32 %t3, %t0, 30; mov.u32 %y1, 3; shl.b32 %y1, %y1, %t3; bar.warp.sync %y1;";
    assert!(run(&neighbours(part), &[[0; 4]; 32]).is_ok());
    let wider = neighbours(part).replace("%t2, 4;", "%t2, 8;");
    assert!(matches!(fault_of(&wider, 32), Fault::Race { .. }));
}

#[test]
fn a_missing_barrier_before_the_next_store() {
    let body = neighbours("bar.sync 0;") + "\nst.shared.u32 [%t1], 5;";
    assert!(matches!(fault_of(&body, 64), Fault::Race { .. }));
    let body = neighbours("bar.sync 0;") + "\nbar.sync 0; st.shared.u32 [%t1], 5;";
    assert!(run(&body, &[[0; 4]; 64]).is_ok());
}

#[test]
fn two_lanes_that_store_different_values() {
    let body = ".shared .u32 s; st.shared.u32 [s], %t0;";
    assert!(matches!(fault_of(body, 2), Fault::Race { .. }));
    let body = ".shared .u32 s; st.shared.u32 [s], 7; ld.shared.u32 %y0, [s];";
    // The same value is fine to store, but not to read without a barrier.
    assert!(matches!(fault_of(body, 2), Fault::Race { .. }));
    let body = ".shared .u32 s; st.shared.u32 [s], 7; bar.warp.sync 3; ld.shared.u32 %y0, [s];";
    assert!(run(body, &[[0; 4]; 2]).is_ok());
    let body = ".shared .u32 s; st.shared.u32 [s], 0; bar.sync 0; red.shared.add.u32 [s], 1;";
    assert!(matches!(fault_of(body, 64), Fault::Race { .. }), "two warps store");
}

#[test]
fn atomics_do_not_race() {
    let body = ".shared .u32 s; setp.eq.u32 %p2, %t0, 0; @%p2 st.shared.u32 [s], 0; bar.sync 0;\n\
                atom.shared.add.u32 %y0, [s], 1; bar.sync 0; ld.shared.u32 %y1, [s];";
    let (outs, _) = run(body, &[[0; 4]; 96]).unwrap_or_else(|f| panic!("{f}"));
    assert!(outs.iter().all(|out| out.y1 == 96));
    let unordered = body.replace("1; bar.sync 0;", "1;");
    assert!(matches!(fault_of(&unordered, 96), Fault::Race { .. }));
}

#[test]
fn an_unguarded_divergent_vote() {
    let body = "setp.lt.u32 %p2, %t0, 5;\n@!%p2 bra $skip;\n\
                vote.sync.ballot.b32 %y0, %p2, 0xffffffff;\n$skip:";
    match fault_of(body, 32) {
        Fault::InvalidSync { at, mask, .. } => {
            assert_eq!((at.line, at.thread, mask), (FIRST + 2, [0; 3], u32::MAX));
        }
        fault => panic!("{fault}"),
    }
    let good = body.replace("0xffffffff", "0x1f");
    assert!(run(&good, &[[0; 4]; 32]).is_ok());
    // The others are not gone: they wait at a barrier that the voters never reach.
    let stuck = body.to_owned() + " bar.sync 0;";
    match fault_of(&stuck, 32) {
        Fault::InvalidSync { at, reason, .. } => {
            assert_eq!(at.line, FIRST + 2);
            assert!(reason.contains(&format!("line {}", FIRST + 3)), "{reason}");
        }
        fault => panic!("{fault}"),
    }
}

#[test]
fn a_lane_that_its_mask_does_not_name() {
    let body = "vote.sync.ballot.b32 %y0, %p0, 0x7fffffff;";
    assert!(matches!(fault_of(body, 32), Fault::InvalidSync { at, .. } if at.thread == [31, 0, 0]));
    // Lanes that never existed may be named.
    assert!(run("vote.sync.ballot.b32 %y0, %p0, -1;", &[[0; 4]; 7]).is_ok());
}

#[test]
fn exited_lanes_in_a_mask_are_a_matter_of_the_checks() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.global .u32 g;\n\
        .entry k() { .reg .b32 %r<3>; .reg .pred %p<2>; mov.u32 %r0, %tid.x;\n\
        setp.gt.u32 %p0, %r0, 4; @%p0 exit; vote.sync.ballot.b32 %r1, !%p0, -1;\n\
        setp.eq.u32 %p1, %r0, 0; @%p1 st.global.u32 [g], %r1; ret; }";
    let launch = |checks| -> Result<u32, Fault> {
        let device = Device::new(DeviceModel::sm_90().with_checks(checks));
        let module = device.load(ptx).unwrap();
        device.launch(&module, "k", Launch::linear(1, 32), &[])?;
        let mut bytes = [0; 4];
        device.read(module.global("g").unwrap().address, &mut bytes)?;
        Ok(u32::from_le_bytes(bytes))
    };
    assert!(matches!(launch(Checks::ALL), Err(Fault::InvalidSync { .. })));
    assert_eq!(launch(Checks::MINIMAL), Ok(0b11111));
}

#[test]
fn barriers_that_not_all_reach() {
    // The two halves wait at different barriers.
    let body =
        "setp.lt.u32 %p2, %t0, 32; @%p2 bra $low; bar.sync 1; bra $end; $low: bar.sync 2; $end:";
    assert!(matches!(fault_of(body, 64), Fault::BarrierDivergence { .. }));
    // One warp, diverged at an aligned barrier.
    let body =
        "setp.lt.u32 %p2, %t0, 16; @%p2 bra $low;\nbar.sync 0; bra $end;\n$low: bar.sync 0; $end:";
    assert!(matches!(fault_of(body, 32), Fault::BarrierDivergence { .. }));
    let unaligned = body.replace("bar.sync", "barrier.sync");
    assert!(run(&unaligned, &[[0; 4]; 32]).is_ok());
    // Threads that have returned do not count.
    let body = "setp.lt.u32 %p2, %t0, 40; @%p2 bra $wait; bra $out; $wait: barrier.sync 0; $out:";
    assert!(run(body, &[[0; 4]; 64]).is_ok());
}

#[test]
fn barrier_reductions_count_predicates() {
    let body = "setp.lt.u32 %p2, %t0, 40; bar.red.popc.u32 %y0, 0, %p2;\n\
                bar.red.and.pred %p0, 1, %p2; bar.red.or.pred %p1, 2, %p2;";
    let (outs, report) = run(body, &[[0; 4]; 64]).unwrap();
    assert!(outs.iter().all(|out| (out.y, out.p, out.q) == (40, false, true)));
    assert_eq!(report.barriers, 3);
}

#[test]
fn producers_arrive_and_consumers_wait() {
    // Warp 0 produces and goes on; warp 1 waits for it.
    let body = ".shared .u32 s[32]; and.b32 %t1, %t0, 31; shl.b32 %t1, %t1, 2; mov.u32 %t2, s;\n\
                add.u32 %t1, %t1, %t2; setp.ge.u32 %p2, %t0, 32; @%p2 bra $consumer;\n\
                st.shared.u32 [%t1], %t0; bar.arrive 1, 64; bra $end;\n\
                $consumer: bar.sync 1, 64; ld.shared.u32 %y0, [%t1];\n$end:";
    let (outs, _) = run(body, &[[0; 4]; 64]).unwrap_or_else(|f| panic!("{f}"));
    assert!((32..64).all(|i| outs[i].y == i as u32 - 32));
}

#[test]
fn traps_and_bad_launches() {
    assert!(matches!(fault_of("trap;", 1), Fault::Trap(at) if at.line == FIRST));
    let device = device();
    let module = device.load(&kernel("")).unwrap();
    let wrong = |entry: &str, launch: Launch, params: &[u8]| {
        matches!(device.launch(&module, entry, launch, params), Err(Fault::InvalidLaunch(_)))
    };
    assert!(wrong("nothing", Launch::linear(1, 1), &[0; 16]));
    assert!(wrong("k", Launch::linear(1, 1), &[0; 15]));
    assert!(wrong("k", Launch::linear(0, 1), &[0; 16]));
    assert!(wrong("k", Launch::linear(1, 1025), &[0; 16]));
    assert!(wrong("k", Launch::linear(1, 1).shared(228 << 10), &[0; 16]));
}

#[test]
fn a_report_is_only_of_launches_that_end() {
    let report: Report = run("", &[[0; 4]; 32]).unwrap().1;
    assert_eq!((report.blocks, report.warps), (1, 1));
}
