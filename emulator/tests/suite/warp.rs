//! Instructions across lanes, and divergence.

use crate::common::{load, one, warp};
use parans_emulator::{DeviceModel, Fault, Launch};

fn lane(i: u64) -> [u64; 4] {
    [i, i * i, i % 4, 0]
}

#[test]
fn votes() {
    let body = "setp.lt.u32 %p2, %x0, 5; vote.sync.ballot.b32 %y0, %p2, -1;\n\
                vote.sync.any.pred %p0, %p2, -1; vote.sync.all.pred %p1, %p2, -1;\n\
                vote.sync.ballot.b32 %y1, !%p2, 0xffffffff;";
    for out in warp(body, lane) {
        assert_eq!((out.y, out.y1, out.p, out.q), (0x1f, !0x1f, true, false));
    }
    let uni = "setp.lt.u32 %p2, %x0, 50; vote.sync.uni.pred %p0, %p2, -1;\n\
               vote.sync.all.pred %p1, %p2, -1;";
    assert!(warp(uni, lane).iter().all(|out| out.p && out.q));
    // Each half votes for itself.
    let halves = "setp.lt.u32 %p2, %x0, 20; setp.lt.u32 %p3, %x0, 16;\n\
                  selp.b32 %t1, 0xffff, 0xffff0000, %p3; vote.sync.ballot.b32 %y0, %p2, %t1;\n\
                  vote.sync.all.pred %p0, %p2, %t1;";
    for (i, out) in warp(halves, lane).into_iter().enumerate() {
        let low = i < 16;
        assert_eq!((out.y, out.p), (if low { 0xffff } else { 0xf_0000 }, low));
    }
}

#[test]
fn shuffles_in_every_mode() {
    let shfl = |mode: &str, b: &str, c: &str| {
        let body = format!("shfl.sync.{mode}.b32 %y0|%p0, %x1, {b}, {c}, -1;");
        warp(&body, lane).iter().map(|out| (out.y, out.p)).collect::<Vec<_>>()
    };
    let square = |i: usize| (i * i) as u32;
    for (i, got) in shfl("idx", "7", "31").into_iter().enumerate() {
        assert_eq!(got, (49, true), "lane {i}");
    }
    for (i, got) in shfl("up", "3", "0").into_iter().enumerate() {
        assert_eq!(got, if i >= 3 { (square(i - 3), true) } else { (square(i), false) });
    }
    for (i, got) in shfl("down", "3", "31").into_iter().enumerate() {
        assert_eq!(got, if i < 29 { (square(i + 3), true) } else { (square(i), false) });
    }
    for (i, got) in shfl("bfly", "5", "31").into_iter().enumerate() {
        assert_eq!(got, (square(i ^ 5), true));
    }
    // Segments of 8: the mask in bits 8 to 12 of c is 0b11000.
    for (i, got) in shfl("idx", "2", "0x181f").into_iter().enumerate() {
        assert_eq!(got, (square((i & !7) + 2), true));
    }
    for (i, got) in shfl("down", "6", "0x1807").into_iter().enumerate() {
        let inside = i % 8 + 6 < 8;
        assert_eq!(got, (square(if inside { i + 6 } else { i }), inside));
    }
    for (i, got) in shfl("up", "6", "0x1800").into_iter().enumerate() {
        let inside = i % 8 >= 6;
        assert_eq!(got, (square(if inside { i - 6 } else { i }), inside));
    }
}

#[test]
fn matches_reductions_and_elections() {
    let body = "match.any.sync.b32 %y0, %x2, -1; match.all.sync.b32 %y1|%p0, %x2, -1;\n\
                match.all.sync.b64 %t1|%p1, 5, -1; cvt.u64.u32 %d0, %t1;";
    for (i, out) in warp(body, lane).into_iter().enumerate() {
        assert_eq!(out.y, 0x1111_1111 << (i % 4));
        assert_eq!((out.y1, out.p, out.q, out.d), (0, false, true, 0xffff_ffff));
    }
    let sums = "redux.sync.add.u32 %y0, %x0, -1; redux.sync.max.s32 %y1, %x0, -1;\n\
                redux.sync.xor.b32 %t1, %x0, -1; cvt.u64.u32 %d0, %t1;";
    assert!(warp(sums, lane).iter().all(|o| (o.y, o.y1, o.d) == (496, 31, 0)));
    let min =
        "sub.u32 %t1, 5, %x0; redux.sync.min.s32 %y0, %t1, -1; redux.sync.min.u32 %y1, %t1, -1;";
    assert!(warp(min, lane).iter().all(|o| (o.y, o.y1) == (-26_i32 as u32, 0)));
    let elect = "elect.sync %y0|%p0, 0xfffffff0; ";
    let guarded = format!("setp.ge.u32 %p2, %x0, 4; @!%p2 bra $skip; {elect} $skip: ");
    for (i, out) in warp(&guarded, lane).into_iter().enumerate() {
        assert_eq!((out.y, out.p), if i < 4 { (0, false) } else { (4, i == 4) });
    }
    let active = "activemask.b32 %y0; setp.lt.u32 %p2, %x0, 3; @%p2 activemask.b32 %y1;";
    for (i, out) in warp(active, lane).into_iter().enumerate() {
        assert_eq!((out.y, out.y1), (u32::MAX, if i < 3 { 7 } else { 0 }));
    }
}

#[test]
fn special_registers() {
    let body = "mov.u32 %y0, %laneid; mov.u32 %t1, %lanemask_lt; mov.u32 %t2, %lanemask_ge;\n\
                xor.b32 %y1, %t1, %t2; mov.u32 %t1, %lanemask_le; mov.u32 %t2, %lanemask_gt;\n\
                xor.b32 %t1, %t1, %t2; mov.u32 %t2, %lanemask_eq; mov.b64 %d0, {%t2, %t1};";
    for (i, out) in warp(body, lane).into_iter().enumerate() {
        assert_eq!(out.y, i as u32);
        assert_eq!(out.y1, u32::MAX, "lt and ge are complements");
        assert_eq!(out.d, 0xffff_ffff << 32 | 1 << i);
    }
    let out = one("mov.u32 %y0, %ntid.x; mov.u32 %y1, WARP_SZ; mov.u64 %d0, %clock64;", [0; 4]);
    assert_eq!((out.y, out.y1), (1, 32));
}

#[test]
fn branches_diverge_and_meet_again() {
    // Loops of different length, then a vote of all: it can only work where all have met.
    let body = "mov.u32 %t1, 0;\n$loop: add.u32 %y0, %y0, %t1; add.u32 %t1, %t1, 1;\n\
                setp.le.u32 %p2, %t1, %x0; @%p2 bra $loop;\n\
                activemask.b32 %y1; vote.sync.all.pred %p0, %p2, -1;";
    for (i, out) in warp(body, lane).into_iter().enumerate() {
        assert_eq!((out.y, out.y1), ((i * (i + 1) / 2) as u32, u32::MAX));
    }
    // An if with an else, inside it an early way out.
    let body = "setp.lt.u32 %p2, %x0, 16; @%p2 bra $then; mov.u32 %y0, 2; bra $end;\n\
                $then: setp.eq.u32 %p3, %x0, 3; @%p3 bra $leave; mov.u32 %y0, 1;\n\
                $end: activemask.b32 %y1;\n$leave:";
    for (i, out) in warp(body, lane).into_iter().enumerate() {
        let expected = match i {
            3 => (0, 0),
            0..16 => (1, !8),
            _ => (2, !8),
        };
        assert_eq!((out.y, out.y1), expected, "lane {i}");
    }
    // A switch.
    let body = "$table: .branchtargets $a, $b, $c, $b;\nbrx.idx %x2, $table;\n\
                $a: mov.u32 %y0, 10; bra $end;\n$b: mov.u32 %y0, 20; bra $end;\n\
                $c: mov.u32 %y0, 30;\n$end: activemask.b32 %y1;";
    for (i, out) in warp(body, lane).into_iter().enumerate() {
        assert_eq!((out.y, out.y1), ([10, 20, 30, 20][i % 4], u32::MAX));
    }
}

#[test]
fn lanes_on_other_paths_are_waited_for() {
    // The two sides of the branch each do something, and a vote of all is in a common part that
    // only one side falls into; the other jumps to it.
    let body = "setp.lt.u32 %p2, %x0, 9; @%p2 bra $low; mov.u32 %y1, 1; bra $vote;\n\
                $low: mov.u32 %y1, 2;\n$vote: vote.sync.ballot.b32 %y0, %p2, -1;";
    assert!(warp(body, lane).iter().all(|out| out.y == 0x1ff));
    // bar.warp.sync in both sides of a branch matches.
    let body = "setp.lt.u32 %p2, %x0, 9; @%p2 bra $low; bar.warp.sync -1; mov.u32 %y0, 1; bra $end;\n\
                $low: bar.warp.sync -1; mov.u32 %y0, 2;\n$end:";
    for (i, out) in warp(body, lane).into_iter().enumerate() {
        assert_eq!(out.y, if i < 9 { 2 } else { 1 });
    }
}

const LOCK: &str = "
.version 8.0
.target sm_70
.address_size 64
.global .u32 lock = 0;
.global .u32 count = 0;
.visible .entry k() {
  .reg .b32 %r<4>; .reg .pred %p<2>;
$try:
  atom.global.cas.b32 %r0, [lock], 0, 1;
  setp.ne.u32 %p0, %r0, 0;
  @%p0 bra $try;
  ld.volatile.global.u32 %r1, [count];
  add.u32 %r1, %r1, 1;
  st.volatile.global.u32 [count], %r1;
  membar.gl;
  atom.global.exch.b32 %r2, [lock], 0;
  ret;
}";

#[test]
fn a_spin_lock_between_lanes_of_a_warp_ends() {
    let (device, module) = load(LOCK);
    device.launch(&module, "k", Launch::linear(4, 96), &[]).unwrap();
    let mut count = [0; 4];
    device.read(module.global("count").unwrap().address, &mut count).unwrap();
    assert_eq!(u32::from_le_bytes(count), 384);
}

#[test]
fn a_warp_that_waits_for_another_gets_its_turn() {
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.global .u32 out;\n\
        .visible .entry k() { .reg .b32 %r<4>; .reg .pred %p<2>; .shared .u32 flag;\n\
        mov.u32 %r0, %tid.x; setp.eq.u32 %p0, %r0, 0; @%p0 st.volatile.shared.u32 [flag], 0;\n\
        bar.sync 0; setp.ge.u32 %p0, %r0, 32; @%p0 bra $set;\n\
        $wait: nanosleep.u32 20; ld.volatile.shared.u32 %r1, [flag]; setp.eq.u32 %p1, %r1, 0;\n\
        @%p1 bra $wait; st.global.u32 [out], %r1; ret;\n\
        $set: st.volatile.shared.u32 [flag], 5; ret; }";
    let (device, module) = load(ptx);
    device.launch(&module, "k", Launch::linear(1, 64), &[]).unwrap();
    let mut out = [0; 4];
    device.read(module.global("out").unwrap().address, &mut out).unwrap();
    assert_eq!(out, [5, 0, 0, 0]);
}

#[test]
fn a_loop_without_end_meets_the_watchdog() {
    let device = parans_emulator::Device::new(DeviceModel::sm_90().with_instruction_limit(100_000));
    let ptx = ".version 8.0\n.target sm_70\n.address_size 64\n.entry k() {\n$l: bra $l;\n}";
    let module = device.load(ptx).unwrap();
    let fault = device.launch(&module, "k", Launch::linear(1, 32), &[]).unwrap_err();
    assert!(
        matches!(&fault, Fault::InstructionLimit { at, limit: 100_000 } if at.line == 5),
        "{fault}"
    );
}

const CALLS: &str = "
.version 8.0
.target sm_70
.address_size 64
.func (.param .b32 r) twice(.param .b32 x) {
  .reg .b32 %a<2>;
  ld.param.b32 %a0, [x];
  shl.b32 %a1, %a0, 1;
  st.param.b32 [r], %a1;
  ret;
}
.func (.param .b32 r) factorial(.param .b32 x) {
  .reg .b32 %a<4>; .reg .pred %p<2>;
  ld.param.b32 %a0, [x];
  setp.gt.u32 %p0, %a0, 1;
  @%p0 bra $more;
  st.param.b32 [r], 1;
  ret;
$more:
  add.u32 %a1, %a0, -1;
  { .param .b32 in; .param .b32 out;
    st.param.b32 [in], %a1;
    call.uni (out), factorial, (in);
    ld.param.b32 %a2, [out];
  }
  mul.lo.u32 %a3, %a0, %a2;
  st.param.b32 [r], %a3;
  ret;
}
.func endless() { call.uni endless; ret; }
.global .u64 table[2] = {twice, factorial};
.visible .entry k(.param .u64 out) {
  .reg .b64 %o<4>; .reg .b32 %r<9>;
  ld.param.u64 %o0, [out];
  mov.u32 %r0, %tid.x;
  mul.wide.u32 %o1, %r0, 8;
  add.u64 %o0, %o0, %o1;
  rem.u32 %r1, %r0, 11;
  { .param .b32 in; .param .b32 out1;
    st.param.b32 [in], %r1;
    call.uni (out1), factorial, (in);
    ld.param.b32 %r2, [out1];
  }
  st.global.u32 [%o0], %r2;
  and.b32 %r3, %r0, 1;
  mul.wide.u32 %o1, %r3, 8;
  mov.u64 %o2, table;
  add.u64 %o2, %o2, %o1;
  ld.global.u64 %o3, [%o2];
  { .param .b32 in; .param .b32 out1;
    st.param.b32 [in], %r1;
    proto: .callprototype (.param .b32 _) _ (.param .b32 _);
    call (out1), %o3, (in), proto;
    ld.param.b32 %r4, [out1];
  }
  st.global.u32 [%o0+4], %r4;
  ret;
}
.visible .entry deep() { call.uni endless; ret; }
";

#[test]
fn calls_return_values_recurse_and_go_through_pointers() {
    let (device, module) = load(CALLS);
    let out = device.alloc(32 * 8).unwrap();
    device.launch(&module, "k", Launch::linear(1, 32), &out.to_le_bytes()).unwrap();
    let mut bytes = [0; 256];
    device.read(out, &mut bytes).unwrap();
    let words: Vec<u32> =
        bytes.chunks(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
    for i in 0..32 {
        let n = i % 11;
        let factorial: u32 = (1..=n as u32).product();
        assert_eq!(words[2 * i], factorial);
        let indirect = if i % 2 == 0 { 2 * n as u32 } else { factorial };
        assert_eq!(words[2 * i + 1], indirect);
    }
    let fault = device.launch(&module, "deep", Launch::linear(1, 1), &[]).unwrap_err();
    assert!(matches!(fault, Fault::CallDepth(_)), "{fault}");
}
