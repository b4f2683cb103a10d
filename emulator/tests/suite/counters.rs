//! The counters, against patterns whose cost is known.

use crate::common::run;
use parans_emulator::{Class, Report};

/// The counters that a body adds to the empty one's, for 32 threads.
fn cost(body: &str) -> Report {
    let inputs = [[0; 4]; 32];
    let base = run("", &inputs).unwrap().1;
    let mut more = run(body, &inputs).unwrap_or_else(|fault| panic!("{fault}")).1;
    for (sum, less) in more.warp_instructions.iter_mut().zip(base.warp_instructions) {
        *sum -= less;
    }
    more.thread_instructions -= base.thread_instructions;
    more.divergent_branches -= base.divergent_branches;
    more.global_requests -= base.global_requests;
    more.global_sectors -= base.global_sectors;
    more.global_bytes_read -= base.global_bytes_read;
    more.global_bytes_written -= base.global_bytes_written;
    more
}

#[test]
fn sectors_of_global_accesses() {
    // `%in` is 64 bytes per thread: back to the first thread's, then 4 bytes per lane.
    let dense = "sub.u64 %d0, %in, %at; mul.wide.u32 %d1, %t0, 4; add.u64 %d0, %d0, %d1;\n\
                 ld.global.u32 %y0, [%d0];";
    let report = cost(dense);
    assert_eq!((report.global_requests, report.global_sectors), (1, 4));
    assert_eq!(report.global_bytes_read, 128);
    let strided = cost("ld.global.u32 %y0, [%in];");
    assert_eq!((strided.global_requests, strided.global_sectors), (1, 32));
    let broadcast = cost("sub.u64 %d0, %in, %at; ld.global.u32 %y0, [%d0];");
    assert_eq!(broadcast.global_sectors, 1);
    let vector = cost("st.global.v4.u32 [%out+32], {%x0, %x0, %x0, %x0};");
    assert_eq!((vector.global_requests, vector.global_sectors), (1, 32));
    assert_eq!(vector.global_bytes_written, 512);
    let one_lane = cost("setp.eq.u32 %p2, %t0, 3; @%p2 st.global.u32 [%out+32], 1;");
    assert_eq!((one_lane.global_requests, one_lane.global_sectors), (1, 1));
    let none = cost("setp.eq.u32 %p2, %t0, 99; @%p2 st.global.u32 [%out+32], 1;");
    assert_eq!((none.global_requests, none.class(Class::Global)), (0, 1));
}

#[test]
fn bank_conflicts_of_shared_accesses() {
    for (stride, wavefronts) in [(4, 1), (8, 2), (16, 4), (128, 32), (132, 1), (0, 1)] {
        let body = format!(
            ".shared .align 4 .b8 s[4352]; mul.lo.u32 %t1, %t0, {stride}; mov.u32 %t2, s;\n\
             add.u32 %t1, %t1, %t2; st.shared.u32 [%t1], 1;"
        );
        let report = cost(&body);
        assert_eq!((report.shared_requests, report.shared_wavefronts), (1, wavefronts), "{stride}");
    }
    let wide = ".shared .align 16 .b8 s[512]; mul.lo.u32 %t1, %t0, 16; mov.u32 %t2, s;\n\
                add.u32 %t1, %t1, %t2; st.shared.v4.u32 [%t1], {%t0, %t0, %t0, %t0};";
    assert_eq!(cost(wide).shared_wavefronts, 4);
}

#[test]
fn instructions_by_class() {
    let report = cost(
        "add.u32 %y0, %x0, 1; mul.lo.u32 %y0, %y0, 3; cvt.rn.f32.u32 %t1, %x0; bar.sync 0;\n\
         vote.sync.ballot.b32 %y1, %p0, -1; atom.global.exch.b32 %y1, [%out], 1; bra $l; $l:",
    );
    let classes = [
        (Class::Integer, 2),
        (Class::Float, 1),
        (Class::Barrier, 1),
        (Class::Warp, 1),
        (Class::Atomic, 1),
        (Class::Control, 1),
    ];
    for (class, count) in classes {
        assert_eq!(report.class(class), count, "{}", class.name());
    }
    assert_eq!((report.total(), report.thread_instructions, report.barriers), (7, 7 * 32, 1));
}

#[test]
fn divergent_branches_and_what_they_cost() {
    let body = "setp.lt.u32 %p2, %t0, 7; @%p2 bra $low; add.u32 %y0, %y0, 1; bra $end;\n\
                $low: add.u32 %y0, %y0, 2; $end: add.u32 %y0, %y0, 3;";
    let report = cost(body);
    assert_eq!(report.divergent_branches, 1);
    // setp and the last add for all; the branch is taken by 7; two more for 25 lanes, one for 7.
    assert_eq!((report.total(), report.thread_instructions), (6, 2 * 32 + 7 + 2 * 25 + 7));
    let uniform = cost(&body.replace("%t0, 7", "%t0, 99"));
    assert_eq!(uniform.divergent_branches, 0);
}

#[test]
fn a_report_divides_and_prints() {
    let report = cost("add.u32 %y0, %x0, 1; ld.global.u32 %y1, [%in];");
    let each = report.per_symbol(4);
    assert_eq!((each.warp_instructions, each.global_bytes), (0.5, 32.0));
    assert!(report.to_string().contains("global       1"), "{report}");
    assert!(each.to_string().starts_with("per symbol: 0.500 warp instructions"), "{each}");
}
