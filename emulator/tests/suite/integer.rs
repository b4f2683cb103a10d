//! Integer instructions, with values worked out by hand from the PTX ISA.

use crate::common::{d, one, refused, warp, y};

const M: u64 = u64::MAX;

#[test]
fn add_and_sub_wrap_or_saturate() {
    assert_eq!(y("add.u32 %y0, %x0, %x1;", [0xffff_ffff, 2, 0, 0]), 1);
    assert_eq!(y("add.s32 %y0, %x0, -3;", [1, 0, 0, 0]), -2_i32 as u32);
    assert_eq!(y("add.sat.s32 %y0, %x0, %x1;", [0x7fff_ffff, 1, 0, 0]), 0x7fff_ffff);
    assert_eq!(y("sub.sat.s32 %y0, %x0, %x1;", [0x8000_0000, 1, 0, 0]), 0x8000_0000);
    assert_eq!(d("add.u64 %d0, %a0, %a1;", [M, 2, 0, 0]), 1);
    assert_eq!(d("sub.s64 %d0, %a0, %a1;", [1, 2, 0, 0]), M);
    assert_eq!(one("add.u16 %z0, %h0, %h1;", [0xffff, 2, 0, 0]).z, 1);
    assert_eq!(one("sub.u16 %z0, %h0, %h1;", [0, 1, 0, 0]).z, 0xffff);
}

#[test]
fn products_in_all_their_parts() {
    assert_eq!(y("mul.lo.u32 %y0, %x0, %x1;", [0x1_0001, 0x1_0001, 0, 0]), 0x2_0001);
    assert_eq!(y("mul.hi.u32 %y0, %x0, %x1;", [0xffff_ffff, 0xffff_ffff, 0, 0]), 0xffff_fffe);
    assert_eq!(y("mul.hi.s32 %y0, %x0, %x1;", [0xffff_ffff, 0xffff_ffff, 0, 0]), 0);
    assert_eq!(d("mul.hi.u64 %d0, %a0, %a1;", [M, M, 0, 0]), M - 1);
    assert_eq!(d("mul.hi.s64 %d0, %a0, %a1;", [M, 2, 0, 0]), M);
    assert_eq!(d("mul.lo.s64 %d0, %a0, %a1;", [M, 3, 0, 0]), -3_i64 as u64);
    assert_eq!(d("mul.wide.u32 %d0, %x0, %x1;", [0xffff_ffff, 2, 0, 0]), 0x1_ffff_fffe);
    assert_eq!(d("mul.wide.s32 %d0, %x0, %x1;", [0xffff_ffff, 2, 0, 0]), -2_i64 as u64);
    assert_eq!(y("mul.wide.u16 %y0, %h0, %h1;", [0xffff, 0xffff, 0, 0]), 0xfffe_0001);
    assert_eq!(y("mul.wide.s16 %y0, %h0, %h1;", [0xffff, 0xffff, 0, 0]), 1);
    assert_eq!(one("mul.hi.u16 %z0, %h0, %h1;", [0xffff, 0xffff, 0, 0]).z, 0xfffe);
    assert_eq!(y("mul24.lo.u32 %y0, %x0, %x1;", [0xff00_0003, 5, 0, 0]), 15);
    assert_eq!(y("mul24.hi.u32 %y0, %x0, %x1;", [0x80_0000, 0x80_0000, 0, 0]), 0x4000_0000);
    assert_eq!(y("mul24.lo.s32 %y0, %x0, %x1;", [0xff_ffff, 5, 0, 0]), -5_i32 as u32);
}

#[test]
fn multiply_add() {
    assert_eq!(y("mad.lo.u32 %y0, %x0, %x1, %x2;", [3, 4, 5, 0]), 17);
    assert_eq!(y("mad.lo.s32 %y0, %x0, %x1, -20;", [3, 4, 5, 0]), -8_i32 as u32);
    assert_eq!(y("mad.hi.u32 %y0, %x0, %x1, %x2;", [0x8000_0000, 6, 5, 0]), 8);
    assert_eq!(y("mad.hi.s32 %y0, %x0, %x1, %x2;", [0x8000_0000, 6, 5, 0]), 2);
    let sat = "mad.hi.sat.s32 %y0, %x0, %x1, %x2;";
    assert_eq!(y(sat, [0x4000_0000, 4, 0x7fff_ffff, 0]), 0x7fff_ffff);
    assert_eq!(d("mad.wide.u32 %d0, %x0, %x1, %a2;", [0xffff_ffff, 2, 3, 0]), 0x2_0000_0001);
    assert_eq!(d("mad.wide.s32 %d0, %x0, %x1, %a2;", [0xffff_ffff, 2, 3, 0]), 1);
    assert_eq!(d("mad.lo.u64 %d0, %a0, %a1, %a2;", [1 << 40, 1 << 20, 7, 0]), (1 << 60) + 7);
    assert_eq!(d("mad.hi.u64 %d0, %a0, %a1, %a2;", [1 << 40, 1 << 40, 7, 0]), (1 << 16) + 7);
    assert_eq!(one("mad.lo.u16 %z0, %h0, %h1, %h2;", [300, 300, 1, 0]).z, 24465);
    assert_eq!(y("mad24.lo.u32 %y0, %x0, %x1, %x2;", [0xff00_0003, 5, 1, 0]), 16);
    assert_eq!(y("mad24.hi.u32 %y0, %x0, %x1, %x2;", [0x80_0000, 0x80_0000, 1, 0]), 0x4000_0001);
}

#[test]
fn carry_chains() {
    let wide_add = "add.cc.u32 %y0, %x0, %x1; addc.u32 %y1, %x2, %x3;";
    let out = one(wide_add, [0xffff_ffff, 1, 10, 20]);
    assert_eq!((out.y, out.y1), (0, 31));
    let out = one(wide_add, [0xffff_fffe, 1, 10, 20]);
    assert_eq!((out.y, out.y1), (0xffff_ffff, 30));
    let wide_sub = "sub.cc.u32 %y0, %x0, %x1; subc.u32 %y1, %x2, %x3;";
    let out = one(wide_sub, [0, 1, 10, 3]);
    assert_eq!((out.y, out.y1), (0xffff_ffff, 6));
    let out = one(wide_sub, [5, 1, 10, 3]);
    assert_eq!((out.y, out.y1), (4, 7));
    // The flag is one where a subtraction borrows nothing, and `subc` subtracts its complement.
    let flag = "sub.cc.u32 %y0, %x0, %x1; addc.u32 %y1, 0, 0;";
    assert_eq!([[5, 3, 0, 0], [5, 5, 0, 0], [3, 5, 0, 0]].map(|v| one(flag, v).y1), [1, 1, 0]);
    let flag = "add.cc.u32 %y0, %x0, %x1; subc.u32 %y1, 9, 0;";
    assert_eq!([[M, 1, 0, 0], [1, 1, 0, 0]].map(|v| one(flag, v).y1), [9, 8]);
    // A borrow that comes in and goes out of an all-ones difference: 0 - 1, 0 - 0 - 1, 5 - 0 - 1.
    let three = "sub.cc.u32 %y0, %x0, %x1; subc.cc.u32 %y0, %x0, 0; subc.u32 %y1, 5, 0;";
    let out = one(three, [0, 1, 0, 0]);
    assert_eq!((out.y, out.y1), (u32::MAX, 4));
    // A carry that comes in and goes out of an all-ones sum: 1 + ff..f + 0.
    let three = "add.cc.u32 %y0, %x0, %x1; addc.cc.u32 %y0, %x0, %x2; addc.u32 %y1, %x2, %x2;";
    let out = one(three, [0xffff_ffff, 1, 0, 0]);
    assert_eq!((out.y, out.y1), (0, 1));
    // 64 x 32 bits: (2^32 + 3) * (2^32 - 1) = 2^64 + 2 * 2^32 - 3.
    let product = "mul.lo.u32 %y0, %x0, %x2; mul.hi.u32 %y1, %x0, %x2; \
                   mad.lo.cc.u32 %y1, %x1, %x2, %y1; madc.hi.u32 %x3, %x1, %x2, 0; \
                   cvt.u64.u32 %d0, %x3;";
    let out = one(product, [3, 1, 0xffff_ffff, 0]);
    assert_eq!((out.y, out.y1, out.d), (0xffff_fffd, 1, 1));
    let wide = "add.cc.u64 %d0, %a0, %a1; addc.u32 %y0, 0, 0;";
    assert_eq!(y(wide, [M, 1, 0, 0]), 1);
}

#[test]
fn division_by_hand_and_by_zero() {
    assert_eq!(y("div.u32 %y0, %x0, %x1;", [17, 5, 0, 0]), 3);
    assert_eq!(y("rem.u32 %y0, %x0, %x1;", [17, 5, 0, 0]), 2);
    assert_eq!(y("div.s32 %y0, %x0, %x1;", [-17_i64 as u64, 5, 0, 0]), -3_i32 as u32);
    assert_eq!(y("rem.s32 %y0, %x0, %x1;", [-17_i64 as u64, 5, 0, 0]), -2_i32 as u32);
    assert_eq!(y("div.s32 %y0, %x0, %x1;", [0x8000_0000, M, 0, 0]), 0x8000_0000);
    assert_eq!(d("div.u64 %d0, %a0, %a1;", [M, 10, 0, 0]), 1_844_674_407_370_955_161);
    assert_eq!(one("rem.s16 %z0, %h0, %h1;", [-7_i64 as u64, 3, 0, 0]).z, -1_i16 as u16);
    assert_eq!(y("div.u32 %y0, %x0, %x1;", [17, 0, 0, 0]), u32::MAX);
    assert_eq!(y("rem.u32 %y0, %x0, %x1;", [17, 0, 0, 0]), 17);
}

#[test]
fn min_max_abs_neg() {
    assert_eq!(y("min.u32 %y0, %x0, %x1;", [M, 1, 0, 0]), 1);
    assert_eq!(y("min.s32 %y0, %x0, %x1;", [M, 1, 0, 0]), u32::MAX);
    assert_eq!(y("max.u32 %y0, %x0, %x1;", [M, 1, 0, 0]), u32::MAX);
    assert_eq!(d("max.s64 %d0, %a0, %a1;", [M, 1, 0, 0]), 1);
    assert_eq!(one("min.s16 %z0, %h0, %h1;", [0xffff, 1, 0, 0]).z, 0xffff);
    assert_eq!(y("abs.s32 %y0, %x0;", [-5_i64 as u64, 0, 0, 0]), 5);
    assert_eq!(y("neg.s32 %y0, %x0;", [5, 0, 0, 0]), -5_i32 as u32);
    assert_eq!(d("abs.s64 %d0, %a0;", [-5_i64 as u64, 0, 0, 0]), 5);
    assert_eq!(one("neg.s16 %z0, %h0;", [5, 0, 0, 0]).z, -5_i16 as u16);
}

#[test]
fn logic_and_shifts() {
    assert_eq!(y("and.b32 %y0, %x0, %x1;", [0b1100, 0b1010, 0, 0]), 0b1000);
    assert_eq!(y("or.b32 %y0, %x0, %x1;", [0b1100, 0b1010, 0, 0]), 0b1110);
    assert_eq!(y("xor.b32 %y0, %x0, %x1;", [0b1100, 0b1010, 0, 0]), 0b0110);
    assert_eq!(d("not.b64 %d0, %a0;", [5, 0, 0, 0]), !5);
    assert_eq!(one("not.b16 %z0, %h0;", [5, 0, 0, 0]).z, 0xfffa);
    assert_eq!(y("cnot.b32 %y0, %x0;", [5, 0, 0, 0]), 0);
    assert_eq!(y("cnot.b32 %y0, %x0;", [0, 0, 0, 0]), 1);
    assert_eq!(y("shl.b32 %y0, %x0, 31;", [3, 0, 0, 0]), 0x8000_0000);
    assert_eq!(y("shl.b32 %y0, %x0, 32;", [3, 0, 0, 0]), 0);
    assert_eq!(y("shr.u32 %y0, %x0, %x1;", [0x8000_0000, 40, 0, 0]), 0);
    assert_eq!(y("shr.s32 %y0, %x0, %x1;", [0x8000_0000, 40, 0, 0]), u32::MAX);
    assert_eq!(y("shr.s32 %y0, %x0, 4;", [0x8000_0000, 0, 0, 0]), 0xf800_0000);
    assert_eq!(d("shl.b64 %d0, %a0, %x1;", [1, 63, 0, 0]), 1 << 63);
    assert_eq!(d("shr.u64 %d0, %a0, 64;", [M, 0, 0, 0]), 0);
    assert_eq!(one("shr.s16 %z0, %h0, 3;", [0x8000, 0, 0, 0]).z, 0xf000);
    let preds = "setp.eq.u32 %p2, %x0, 1; setp.eq.u32 %p3, %x1, 1; and.pred %p0, %p2, %p3; \
                 xor.pred %p1, %p2, %p3; not.pred %p4, %p3; or.pred %p5, %p2, %p4; \
                 selp.u32 %y0, 1, 0, %p5;";
    let out = one(preds, [1, 0, 0, 0]);
    assert_eq!((out.p, out.q, out.y), (false, true, 1));
}

#[test]
fn bits_are_counted_and_found() {
    assert_eq!(y("popc.b32 %y0, %x0;", [0xf0f0_1001, 0, 0, 0]), 10);
    assert_eq!(y("popc.b64 %y0, %a0;", [M, 0, 0, 0]), 64);
    assert_eq!(y("clz.b32 %y0, %x0;", [0x00ff_ffff, 0, 0, 0]), 8);
    assert_eq!(y("clz.b32 %y0, %x0;", [0, 0, 0, 0]), 32);
    assert_eq!(y("clz.b64 %y0, %a0;", [1, 0, 0, 0]), 63);
    assert_eq!(y("bfind.u32 %y0, %x0;", [0x0010_0000, 0, 0, 0]), 20);
    assert_eq!(y("bfind.u32 %y0, %x0;", [0, 0, 0, 0]), u32::MAX);
    assert_eq!(y("bfind.s32 %y0, %x0;", [M, 0, 0, 0]), u32::MAX);
    assert_eq!(y("bfind.s32 %y0, %x0;", [-5_i64 as u64, 0, 0, 0]), 2);
    assert_eq!(y("bfind.shiftamt.u32 %y0, %x0;", [0x0010_0000, 0, 0, 0]), 11);
    assert_eq!(y("bfind.shiftamt.u32 %y0, %x0;", [0, 0, 0, 0]), u32::MAX);
    assert_eq!(y("bfind.u64 %y0, %a0;", [1 << 40, 0, 0, 0]), 40);
    assert_eq!(y("brev.b32 %y0, %x0;", [0x8000_0001, 0, 0, 0]), 0x8000_0001);
    assert_eq!(y("brev.b32 %y0, %x0;", [0b1011, 0, 0, 0]), 0xd000_0000);
    assert_eq!(d("brev.b64 %d0, %a0;", [1, 0, 0, 0]), 1 << 63);
    assert_eq!(y("fns.b32 %y0, %x0, 0, 2;", [0b1011_0000, 0, 0, 0]), 5);
    assert_eq!(y("fns.b32 %y0, %x0, 6, -1;", [0b1011_0000, 0, 0, 0]), 5);
    assert_eq!(y("fns.b32 %y0, %x0, 3, 0;", [0b1011_0000, 0, 0, 0]), u32::MAX);
}

#[test]
fn fields_are_extracted_and_inserted() {
    assert_eq!(y("bfe.u32 %y0, %x0, 8, 12;", [0xabcd_ef12, 0, 0, 0]), 0xdef);
    assert_eq!(y("bfe.s32 %y0, %x0, 8, 12;", [0xabcd_ef12, 0, 0, 0]), 0xffff_fdef);
    assert_eq!(y("bfe.u32 %y0, %x0, 28, 12;", [0xabcd_ef12, 0, 0, 0]), 0xa);
    assert_eq!(y("bfe.s32 %y0, %x0, 28, 12;", [0xabcd_ef12, 0, 0, 0]), 0xffff_fffa);
    assert_eq!(y("bfe.s32 %y0, %x0, 40, 4;", [0xabcd_ef12, 0, 0, 0]), u32::MAX);
    assert_eq!(y("bfe.s32 %y0, %x0, 4, 0;", [0xabcd_ef12, 0, 0, 0]), 0);
    assert_eq!(d("bfe.u64 %d0, %a0, 4, 64;", [M, 0, 0, 0]), M >> 4);
    assert_eq!(y("bfi.b32 %y0, %x0, %x1, 8, 12;", [0x123, 0xffff_ffff, 0, 0]), 0xfff1_23ff);
    assert_eq!(y("bfi.b32 %y0, %x0, %x1, 28, 12;", [0x123, 0, 0, 0]), 0x3000_0000);
    assert_eq!(y("bfi.b32 %y0, %x0, %x1, 40, 12;", [0x123, 7, 0, 0]), 7);
    assert_eq!(d("bfi.b64 %d0, %a0, %a1, 32, 16;", [0xbeef, 1, 0, 0]), 0xbeef_0000_0001);
    assert_eq!(y("bmsk.clamp.b32 %y0, 4, 8;", [0; 4]), 0xff0);
    assert_eq!(y("bmsk.clamp.b32 %y0, 28, 8;", [0; 4]), 0xf000_0000);
    assert_eq!(y("bmsk.wrap.b32 %y0, 36, 8;", [0; 4]), 0xff0);
    assert_eq!(y("szext.wrap.s32 %y0, %x0, 8;", [0x80, 0, 0, 0]), 0xffff_ff80);
    assert_eq!(y("szext.clamp.u32 %y0, %x0, 8;", [0x1ff, 0, 0, 0]), 0xff);
    assert_eq!(y("szext.clamp.u32 %y0, %x0, 40;", [0x1ff, 0, 0, 0]), 0x1ff);
}

#[test]
fn bytes_are_permuted_in_every_mode() {
    let ab = [0x3322_1100, 0x7766_5544, 0, 0];
    assert_eq!(y("prmt.b32 %y0, %x0, %x1, 0x7531;", ab), 0x7755_3311);
    assert_eq!(y("prmt.b32 %y0, %x0, %x1, 0x0123;", ab), 0x0011_2233);
    // Bit 3 of a selector takes the byte's sign.
    assert_eq!(y("prmt.b32 %y0, %x0, %x1, 0x98ba;", [0x80ff_7f00, 0, 0, 0]), 0x0000_ffff);
    let mode = |mode: &str, n: u32| y(&format!("prmt.b32.{mode} %y0, %x0, %x1, {n};"), ab);
    assert_eq!(
        [0, 1, 2, 3].map(|n| mode("f4e", n)),
        [0x3322_1100, 0x4433_2211, 0x5544_3322, 0x6655_4433]
    );
    assert_eq!(
        [0, 1, 2, 3].map(|n| mode("b4e", n)),
        [0x5566_7700, 0x6677_0011, 0x7700_1122, 0x0011_2233]
    );
    assert_eq!([0, 1, 2, 3].map(|n| mode("rc8", n)), [0, 0x1111_1111, 0x2222_2222, 0x3333_3333]);
    assert_eq!(
        [0, 1, 2, 3].map(|n| mode("ecl", n)),
        [0x3322_1100, 0x3322_1111, 0x3322_2222, 0x3333_3333]
    );
    assert_eq!([0, 1, 2, 3].map(|n| mode("ecr", n)), [0, 0x1111_1100, 0x2222_1100, 0x3322_1100]);
    assert_eq!(
        [0, 1, 2, 3].map(|n| mode("rc16", n)),
        [0x1100_1100, 0x3322_3322, 0x1100_1100, 0x3322_3322]
    );
}

#[test]
fn funnel_shifts_wrap_and_clamp() {
    // The second source is the high word.
    let words = [0x89ab_cdef, 0x0123_4567, 40, 8];
    assert_eq!(y("shf.l.wrap.b32 %y0, %x0, %x1, %x3;", words), 0x2345_6789);
    assert_eq!(y("shf.r.wrap.b32 %y0, %x0, %x1, %x3;", words), 0x6789_abcd);
    assert_eq!(y("shf.l.wrap.b32 %y0, %x0, %x1, %x2;", words), 0x2345_6789);
    assert_eq!(y("shf.l.clamp.b32 %y0, %x0, %x1, %x2;", words), 0x89ab_cdef);
    assert_eq!(y("shf.r.clamp.b32 %y0, %x0, %x1, %x2;", words), 0x0123_4567);
    assert_eq!(y("shf.r.wrap.b32 %y0, %x0, %x1, 0;", words), 0x89ab_cdef);
}

#[test]
fn lop3_is_its_table() {
    let abc = [0b1111_0000, 0b1100_1100, 0b1010_1010, 0];
    for lut in 0..256_u32 {
        // With these three sources, bit i of the result is bit i of the table.
        let body = format!("lop3.b32 %y0, %x0, %x1, %x2, {lut}; and.b32 %y0, %y0, 0xff;");
        assert_eq!(y(&body, abc), lut);
    }
    let both = "setp.eq.u32 %p2, %x3, 0; lop3.or.b32 %y0|%p0, %x0, %x1, %x2, 0x80, %p2;";
    assert_eq!((one(both, abc).y, one(both, abc).p), (0x80, true));
    let none = "setp.ne.u32 %p2, %x3, 0; lop3.and.b32 %y0|%p0, %x0, %x1, %x2, 0x80, %p2;";
    assert!(!one(none, abc).p);
}

#[test]
fn sums_of_differences_and_dot_products() {
    assert_eq!(y("sad.u32 %y0, %x0, %x1, %x2;", [3, 10, 100, 0]), 107);
    assert_eq!(y("sad.s32 %y0, %x0, %x1, %x2;", [-3_i64 as u64, 10, 100, 0]), 113);
    assert_eq!(one("sad.u16 %z0, %h0, %h1, %h2;", [10, 3, 1, 0]).z, 8);
    // 1*5 + 2*6 + 3*7 + 255*8, and with 255 as -1.
    let ab = [0xff03_0201, 0x0807_0605, 1000, 0];
    assert_eq!(y("dp4a.u32.u32 %y0, %x0, %x1, %x2;", ab), 1000 + 5 + 12 + 21 + 2040);
    assert_eq!(y("dp4a.s32.u32 %y0, %x0, %x1, %x2;", ab), 1000 + 5 + 12 + 21 - 8);
    // a = (-1, 2) by halves; b's bytes are 5, 6, 7, 8.
    let ab = [0x0002_ffff, 0x0807_0605, 0, 0];
    assert_eq!(y("dp2a.lo.s32.u32 %y0, %x0, %x1, %x2;", ab), (-5 + 12_i32) as u32);
    assert_eq!(y("dp2a.hi.s32.u32 %y0, %x0, %x1, %x2;", ab), (-7 + 16_i32) as u32);
    assert_eq!(y("dp2a.lo.u32.u32 %y0, %x0, %x1, %x2;", ab), 65535 * 5 + 12);
}

#[test]
fn comparisons_and_their_combinations() {
    let less = |ty: &str| one(&format!("setp.lt.{ty} %p0, %x0, %x1;"), [M, 1, 0, 0]).p;
    assert_eq!((less("u32"), less("s32")), (false, true));
    for (op, expected) in [
        ("eq", 0b010),
        ("ne", 0b101),
        ("lt", 0b001),
        ("le", 0b011),
        ("gt", 0b100),
        ("ge", 0b110),
        ("lo", 0b001),
        ("ls", 0b011),
        ("hi", 0b100),
        ("hs", 0b110),
    ] {
        let body = format!("setp.{op}.u32 %p0, %x0, 5;");
        let bits = (0..3).fold(0, |m, i| m | i32::from(one(&body, [4 + i, 0, 0, 0]).p) << i);
        assert_eq!(bits, expected, "{op}");
    }
    // The second predicate is the complement, combined the same way.
    let both = "setp.eq.u32 %p2, %x2, 1; setp.lt.and.u32 %p0|%p1, %x0, %x1, %p2;";
    let out = one(both, [1, 2, 1, 0]);
    assert_eq!((out.p, out.q), (true, false));
    let out = one(both, [2, 1, 1, 0]);
    assert_eq!((out.p, out.q), (false, true));
    let out = one(both, [2, 1, 0, 0]);
    assert_eq!((out.p, out.q), (false, false));
    let negated = "setp.eq.u32 %p2, %x2, 1; setp.lt.xor.s64 %p0, %a0, %a1, !%p2;";
    assert!(!one(negated, [M, 2, 0, 0]).p && one(negated, [M, 2, 1, 0]).p);
    assert!(one("setp.ge.s16 %p0, %h0, %h1;", [0, 0xffff, 0, 0]).p);
    assert_eq!(y("set.lt.u32.s32 %y0, %x0, %x1;", [M, 2, 0, 0]), u32::MAX);
    assert_eq!(y("set.lt.f32.u32 %y0, %x0, %x1;", [1, 2, 0, 0]), 1.0f32.to_bits());
    assert_eq!(y("set.lt.u32.u32 %y0, %x0, %x1;", [3, 2, 0, 0]), 0);
}

#[test]
fn selection() {
    let by = |c: u64| y("setp.ne.u32 %p2, %x2, 0; selp.b32 %y0, %x0, %x1, %p2;", [7, 8, c, 0]);
    assert_eq!((by(1), by(0)), (7, 8));
    assert_eq!(d("setp.ne.u32 %p2, %x2, 0; selp.u64 %d0, %a0, -1, %p2;", [M >> 1, 0, 0, 0]), M);
    let slct = |c: i64| y("slct.u32.s32 %y0, %x0, %x1, %x2;", [7, 8, c as u64, 0]);
    assert_eq!((slct(0), slct(5), slct(-1)), (7, 7, 8));
    let slct = |c: f32| d("slct.u64.f32 %d0, %a0, %a1, %x2;", [7, 8, c.to_bits().into(), 0]);
    assert_eq!((slct(-0.0), slct(1.0), slct(-1.0), slct(f32::NAN)), (7, 7, 8, 8));
}

#[test]
fn moves_pack_and_unpack() {
    assert_eq!(d("mov.b64 %d0, {%x0, %x1};", [1, 2, 0, 0]), 0x2_0000_0001);
    assert_eq!(y("mov.b32 %y0, {%h0, %h1};", [1, 2, 0, 0]), 0x2_0001);
    assert_eq!(d("mov.b64 %d0, {%h0, %h1, %h2, %h3};", [1, 2, 3, 4]), 0x0004_0003_0002_0001);
    let out = one("mov.b64 {%y0, %y1}, %a0;", [0x1234_5678_9abc_def0, 0, 0, 0]);
    assert_eq!((out.y, out.y1), (0x9abc_def0, 0x1234_5678));
    assert_eq!(one("mov.b32 {_, %z0}, %x0;", [0x1234_5678, 0, 0, 0]).z, 0x1234);
    assert_eq!(one("mov.b64 {_, _, %z0, _}, %a0;", [0x1111_2222_3333_4444, 0, 0, 0]).z, 0x2222);
    assert!(one("mov.pred %p0, 1;", [0; 4]).p);
}

#[test]
fn integer_conversions_extend_truncate_and_saturate() {
    assert_eq!(y("cvt.s32.s8 %y0, %x0;", [0x1280, 0, 0, 0]), 0xffff_ff80);
    assert_eq!(y("cvt.u32.u8 %y0, %x0;", [0x1280, 0, 0, 0]), 0x80);
    assert_eq!(y("cvt.u8.u32 %y0, %x0;", [0x1280, 0, 0, 0]), 0x80);
    assert_eq!(d("cvt.s64.s32 %d0, %x0;", [0x8000_0000, 0, 0, 0]), 0xffff_ffff_8000_0000);
    assert_eq!(d("cvt.u64.u32 %d0, %x0;", [0x8000_0000, 0, 0, 0]), 0x8000_0000);
    assert_eq!(one("cvt.s16.s8 %z0, %h0;", [0x80, 0, 0, 0]).z, 0xff80);
    assert_eq!(y("cvt.sat.u8.s32 %y0, %x0;", [300, 0, 0, 0]), 255);
    assert_eq!(y("cvt.sat.u8.s32 %y0, %x0;", [M, 0, 0, 0]), 0);
    assert_eq!(y("cvt.sat.s8.s32 %y0, %x0;", [-300_i64 as u64, 0, 0, 0]), -128_i32 as u32);
    assert_eq!(y("cvt.sat.s32.u32 %y0, %x0;", [M, 0, 0, 0]), i32::MAX as u32);
    assert_eq!(y("cvt.sat.u32.s64 %y0, %a0;", [1 << 40, 0, 0, 0]), u32::MAX);
}

#[test]
fn inactive_lanes_keep_their_values() {
    let body = "mov.u32 %y0, 7; and.b32 %t1, %x0, 1; setp.eq.u32 %p2, %t1, 0;\n\
                @%p2 add.u32 %y0, %y0, %x0; @!%p2 mul.lo.u32 %y0, %y0, 2;";
    for (i, out) in warp(body, |i| [i, 0, 0, 0]).into_iter().enumerate() {
        assert_eq!(out.y, if i % 2 == 0 { 7 + i as u32 } else { 14 });
    }
}

#[test]
fn what_is_not_known_is_refused_with_its_line() {
    for body in [
        "frobnicate.u32 %y0, %x0;",
        "add.u32.bogus %y0, %x0, %x1;",
        "add.u32 %y0, %x0;",
        "add.u32 %y0, %a0, %x1;",
        "add.u64 %y0, %a0, %a1;",
        "add.b32 %y0, %x0, %x1;",
        "add.sat.u32 %y0, %x0, %x1;",
        "mul.u32 %y0, %x0, %x1;",
        "mul.wide.u64 %d0, %a0, %a1;",
        "add.u32 %y0, %nothing, %x1;",
        "add.u32 %y9, %x0, %x1;",
        "add.u32 %y0, %x0, 0x100000000;",
        "setp.num.u32 %p0, %x0, %x1;",
        "setp.lt.b32 %p0, %x0, %x1;",
        "shl.b32 %y0, %x0, %a1;",
        "bra nowhere;",
        "vote.ballot.b32 %y0, %p0;",
        "lop3.b32 %y0, %x0, %x1, %x2, 256;",
        "@%x0 mov.u32 %y0, 1;",
        "cvt.f32.u32 %y0, %x0;",
        "call nothing;",
    ] {
        let error = refused(body);
        assert_eq!(error.line, 19, "{body}: {error}");
    }
}
