//! Floating point and conversions, with values worked out by hand or from the formats' definitions.

use crate::common::{d, one, refused, y};

fn f(v: f32) -> u64 {
    v.to_bits().into()
}

fn g(v: f64) -> u64 {
    v.to_bits()
}

/// The smallest step above one.
const ULP: f32 = f32::EPSILON;
const TINY: f32 = f32::MIN_POSITIVE;

#[test]
fn single_precision_arithmetic() {
    let op = |op: &str, a: f32, b: f32| {
        f32::from_bits(y(&format!("{op} %y0, %x0, %x1;"), [f(a), f(b), 0, 0]))
    };
    assert_eq!(op("add.f32", 1.5, 2.25), 3.75);
    assert_eq!(op("sub.rn.f32", 1.5, 2.25), -0.75);
    assert_eq!(op("mul.f32", 1.5, 2.25), 3.375);
    assert_eq!(op("div.rn.f32", 1.0, 3.0), 1.0 / 3.0);
    assert_eq!(op("div.approx.f32", 8.0, 2.0), 4.0);
    assert_eq!(op("min.f32", -0.0, 0.0).to_bits(), (-0.0f32).to_bits());
    assert_eq!(op("max.f32", f32::NAN, 2.0), 2.0);
    assert_eq!(op("max.NaN.f32", f32::NAN, 2.0).to_bits(), 0x7fff_ffff);
    assert_eq!(op("add.f32", f32::INFINITY, f32::NEG_INFINITY).to_bits(), 0x7fff_ffff);
    assert_eq!(op("add.sat.f32", 0.75, 0.5), 1.0);
    assert_eq!(op("sub.sat.f32", 0.25, 0.5), 0.0);
    assert_eq!(op("add.ftz.f32", TINY / 2.0, 0.0), 0.0);
    assert_eq!(op("add.f32", TINY / 2.0, 0.0), TINY / 2.0);
    assert_eq!(op("mul.ftz.f32", TINY, 0.5), 0.0);
    assert_eq!(op("copysign.f32", -1.0, 2.0), -2.0, "the first source gives the sign");
}

#[test]
fn directed_rounding_steps_the_last_bit() {
    let op = |op: &str, a: f32, b: f32| {
        f32::from_bits(y(&format!("{op}.f32 %y0, %x0, %x1;"), [f(a), f(b), 0, 0]))
    };
    // 1 + 2^-30 lies just above one.
    let small = 2.0f32.powi(-30);
    assert_eq!(
        ["add.rn", "add.rz", "add.rm", "add.rp"].map(|o| op(o, 1.0, small)),
        [1.0, 1.0, 1.0, 1.0 + ULP]
    );
    let below = 1.0 - ULP / 2.0;
    assert_eq!(
        ["add.rn", "add.rz", "add.rm", "add.rp"].map(|o| op(o, 1.0, -small)),
        [1.0, below, below, 1.0]
    );
    assert_eq!(
        ["sub.rz", "sub.rm", "sub.rp"].map(|o| op(o, -1.0, small)),
        [-1.0, -1.0 - ULP, -1.0]
    );
    // (1 + 2^-23)^2 = 1 + 2^-22 + 2^-46.
    let a = 1.0 + ULP;
    assert_eq!(
        ["mul.rn", "mul.rz", "mul.rp"].map(|o| op(o, a, a)),
        [1.0 + 2.0 * ULP, 1.0 + 2.0 * ULP, 1.0 + 3.0 * ULP]
    );
    let third = 1.0f32 / 3.0;
    assert_eq!(
        ["div.rn", "div.rp", "div.rz"].map(|o| op(o, 1.0, 3.0)),
        [third, third, third.next_down()]
    );
    assert_eq!(op("add.rm", 1.0, -1.0).to_bits(), (-0.0f32).to_bits());
    assert_eq!(op("add.rn", 1.0, -1.0).to_bits(), 0);
    let root =
        |mode: &str| f32::from_bits(y(&format!("sqrt.{mode}.f32 %y0, %x0;"), [f(2.0), 0, 0, 0]));
    let two = 2.0f32.sqrt();
    let exact = 2.0f64.sqrt();
    assert_eq!(root("rn"), two);
    assert!(f64::from(root("rm")) < exact && f64::from(root("rp")) > exact);
    assert_eq!(root("rm").next_up(), root("rp"));
    let double = |op: &str| {
        f64::from_bits(d(&format!("{op}.f64 %d0, %a0, %a1;"), [g(1.0), g(2.0f64.powi(-80)), 0, 0]))
    };
    assert_eq!((double("add.rn"), double("add.rp")), (1.0, 1.0 + f64::EPSILON));
    assert_eq!(double("sub.rz"), 1.0f64.next_down());
}

#[test]
fn fused_multiply_add_rounds_once() {
    let a = 1.0 + ULP;
    // a * a - (1 + 2 ulp) is 2^-46 exactly, which a rounded product would lose.
    let out = y("fma.rn.f32 %y0, %x0, %x1, %x2;", [f(a), f(a), f(-(1.0 + 2.0 * ULP)), 0]);
    assert_eq!(f32::from_bits(out), 2.0f32.powi(-46));
    let out = y("fma.rp.f32 %y0, %x0, %x1, %x2;", [f(a), f(a), f(0.0), 0]);
    assert_eq!(f32::from_bits(out), 1.0 + 3.0 * ULP);
    let out = d("fma.rn.f64 %d0, %a0, %a1, %a2;", [g(3.0), g(4.0), g(5.0), 0]);
    assert_eq!(f64::from_bits(out), 17.0);
    let out = y("mad.rn.f32 %y0, %x0, %x1, %x2;", [f(3.0), f(4.0), f(5.0), 0]);
    assert_eq!(f32::from_bits(out), 17.0);
    assert_eq!(one("fma.rn.f16 %z0, %h0, %h1, %h2;", [0x4200, 0x4400, 0x4500, 0]).z, 0x4c40);
    assert_eq!(one("fma.rn.relu.f16 %z0, %h0, %h1, %h2;", [0xc200, 0x4400, 0x3c00, 0]).z, 0);
}

#[test]
fn double_precision_rounds_in_every_direction() {
    let fma = |mode: &str, [a, b, c]: [f64; 3]| {
        f64::from_bits(d(&format!("fma.{mode}.f64 %d0, %a0, %a1, %a2;"), [g(a), g(b), g(c), 0]))
    };
    let all = |values: [f64; 3]| ["rn", "rz", "rm", "rp"].map(|mode| fma(mode, values));
    // (1 + e)^2 = 1 + 2 e + e^2.
    let e = f64::EPSILON;
    let (a, square) = (1.0 + e, 1.0 + 2.0 * e);
    assert_eq!(all([a, a, 0.0]), [square, square, square, square + e]);
    assert_eq!(all([-a, a, 0.0]), [-square, -square, -square - e, -square]);
    // The same minus e^2, and minus a little more and a little less.
    assert_eq!(all([a, a, -e * e]), [square; 4]);
    assert_eq!(all([a, a, -e * e * a]), [square, square - e, square - e, square]);
    assert_eq!(all([a, a, -e * e * (1.0 - e)]), [square, square, square, square + e]);
    assert_eq!(all([a, a, 2.0 * -e * e]), [square, square - e, square - e, square]);
    let (most, least) = (f64::MAX, f64::from_bits(1));
    assert_eq!(all([most, 2.0, 0.0]), [f64::INFINITY, most, most, f64::INFINITY]);
    assert_eq!(all([-most, 2.0, most]), [-most, -most, -most, -most]);
    assert_eq!(all([-most, 4.0, most]), [-f64::INFINITY, -most, -f64::INFINITY, -most]);
    assert_eq!(all([least, 0.25, 0.0]), [0.0, 0.0, 0.0, least]);
    assert_eq!(all([1.0, least, -1.0]), [-1.0, -(1.0 - e / 2.0), -1.0, -(1.0 - e / 2.0)]);
    let signs = all([1.0, 1.0, -1.0]).map(f64::is_sign_negative);
    assert_eq!(signs, [false, false, true, false]);
    let op = |op: &str, a: f64, b: f64| {
        f64::from_bits(d(&format!("{op}.f64 %d0, %a0, %a1;"), [g(a), g(b), 0, 0]))
    };
    assert_eq!(
        ["mul.rz", "mul.rm", "mul.rp"].map(|o| op(o, most, 2.0)),
        [most, most, f64::INFINITY]
    );
    assert_eq!(["mul.rz", "mul.rm", "mul.rp"].map(|o| op(o, least, 0.5)), [0.0, 0.0, least]);
    assert_eq!(op("div.rz", 1.0, 0.0), f64::INFINITY, "exact");
    assert_eq!(op("div.rz", most, least), most);
    assert_eq!(["div.rz", "div.rp"].map(|o| op(o, least, 4.0)), [0.0, least]);
}

#[test]
fn halves_round_once() {
    // Binary16: 1171/1024 * 2^-6 by 1791/1024 * 2^-6 is 2^-11 + 109 * 2^-32; with 1 it lies above
    // the tie between 1 and 1 + 2^-10.
    let fma = |ty: &str, v: [u64; 4]| one(&format!("fma.rn.{ty} %z0, %h0, %h1, %h2;"), v).z;
    assert_eq!(fma("f16", [0x2493, 0x26ff, 0x3c00, 0]), 0x3c01);
    // Less than 1 + 2^-9 by that, it lies below the tie that is even at 1 + 2^-9.
    assert_eq!(fma("f16", [0x2493, 0xa6ff, 0x3c02, 0]), 0x3c01);
    // bfloat16: 226/128 * 2^-4 by 145/128 * 2^-5 is 2^-8 + 2^-22; 1 + 2^-8 is a tie.
    assert_eq!(fma("bf16", [0x3de2, 0x3d11, 0x3f80, 0]), 0x3f81);
    let half = |v: f64| one("cvt.rn.f16.f64 %z0, %a0;", [g(v), 0, 0, 0]).z;
    let tie = 1.0 + 2.0f64.powi(-11);
    assert_eq!(
        [tie, tie + 2.0f64.powi(-40), tie - 2.0f64.powi(-40)].map(half),
        [0x3c00, 0x3c01, 0x3c00]
    );
    // Between nothing and the least subnormal, 2^-24.
    let tie = 2.0f64.powi(-25);
    assert_eq!([tie, tie.next_up(), 3.0 * tie, -tie.next_up()].map(half), [0, 1, 2, 0x8001]);
    // Between 65504 and what is too large.
    assert_eq!([65519.9, 65520.0, 1e300].map(half), [0x7bff, 0x7c00, 0x7c00]);
    // 2^31 + 2^23 is a tie of bfloat16.
    let brief = |v: u64| one("cvt.rn.bf16.u32 %z0, %x0;", [v, 0, 0, 0]).z;
    assert_eq!([0x8080_0000, 0x8080_0001].map(brief), [0x4f00, 0x4f01]);
}

#[test]
fn saturation_makes_zero_of_no_number() {
    let nan = f(f32::NAN);
    assert_eq!(y("fma.rn.sat.f32 %y0, %x0, %x0, %x0;", [nan, 0, 0, 0]), 0);
    assert_eq!(y("fma.rn.sat.f32 %y0, %x0, %x1, %x0;", [f(2.0), f(-1.0), 0, 0]), 0);
    assert_eq!(y("fma.rn.sat.f32 %y0, %x0, %x0, %x0;", [f(2.0), 0, 0, 0]), 1.0f32.to_bits());
    assert_eq!(y("add.sat.f32 %y0, %x0, %x0;", [nan, 0, 0, 0]), 0);
    assert_eq!(one("fma.rn.sat.f16 %z0, %h0, %h0, %h0;", [0x7fff, 0, 0, 0]).z, 0);
    assert_eq!(y("cvt.sat.f32.f32 %y0, %x0;", [nan, 0, 0, 0]), 0);
    assert_eq!(y("fma.rn.f32 %y0, %x0, %x0, %x0;", [nan, 0, 0, 0]), 0x7fff_ffff);
}

#[test]
fn functions_of_one_value() {
    let op = |op: &str, a: f32| f32::from_bits(y(&format!("{op}.f32 %y0, %x0;"), [f(a), 0, 0, 0]));
    assert_eq!(op("neg", 1.5), -1.5);
    assert_eq!(op("abs", -1.5), 1.5);
    assert_eq!(op("sqrt.rn", 2.25), 1.5);
    assert_eq!(op("sqrt.approx", 2.25), 1.5);
    assert_eq!(op("rsqrt.approx", 4.0), 0.5);
    assert_eq!(op("rcp.rn", 4.0), 0.25);
    assert_eq!(op("ex2.approx", 5.0), 32.0);
    assert_eq!(op("lg2.approx", 8.0), 3.0);
    assert_eq!(op("sin.approx", 0.0), 0.0);
    assert_eq!(op("cos.approx", 0.0), 1.0);
    assert_eq!(op("tanh.approx", 0.0), 0.0);
    assert!(op("sqrt.rn", -1.0).is_nan());
    assert_eq!(f64::from_bits(d("rcp.rn.f64 %d0, %a0;", [g(8.0), 0, 0, 0])), 0.125);
    assert_eq!(f64::from_bits(d("neg.f64 %d0, %a0;", [g(8.0), 0, 0, 0])), -8.0);
}

#[test]
fn halves_alone_and_in_pairs() {
    // 1.5 + 2 = 3.5, 1.5 * 2 = 3, in binary16 and bfloat16.
    assert_eq!(one("add.f16 %z0, %h0, %h1;", [0x3e00, 0x4000, 0, 0]).z, 0x4300);
    assert_eq!(one("mul.rn.f16 %z0, %h0, %h1;", [0x3e00, 0x4000, 0, 0]).z, 0x4200);
    assert_eq!(one("sub.f16 %z0, %h0, %h1;", [0x3e00, 0x4000, 0, 0]).z, 0xb800);
    assert_eq!(one("add.rn.bf16 %z0, %h0, %h1;", [0x3fc0, 0x4000, 0, 0]).z, 0x4060);
    assert_eq!(y("add.f16x2 %y0, %x0, %x1;", [0x3c00_3e00, 0x3c00_4000, 0, 0]), 0x4000_4300);
    assert_eq!(y("mul.rn.bf16x2 %y0, %x0, %x1;", [0x3f80_3fc0, 0x4000_4000, 0, 0]), 0x4000_4040);
    assert_eq!(y("max.f16x2 %y0, %x0, %x1;", [0x3c00_3e00, 0xbc00_4000, 0, 0]), 0x3c00_4000);
    assert_eq!(one("neg.f16 %z0, %h0;", [0x3e00, 0, 0, 0]).z, 0xbe00);
    // 65504 + 16 rounds up to infinity.
    assert_eq!(one("add.f16 %z0, %h0, %h1;", [0x7bff, 0x4c00, 0, 0]).z, 0x7c00);
    assert!(one("setp.lt.f16 %p0, %h0, %h1;", [0x3e00, 0x4000, 0, 0]).p);
}

#[test]
fn comparisons_with_numbers_that_are_none() {
    let cmp = |op: &str, a: f32, b: f32| {
        one(&format!("setp.{op}.f32 %p0, %x0, %x1;"), [f(a), f(b), 0, 0]).p
    };
    let nan = f32::NAN;
    for (op, less, equal, unordered) in [
        ("eq", false, true, false),
        ("ne", true, false, false),
        ("lt", true, false, false),
        ("le", true, true, false),
        ("gt", false, false, false),
        ("ge", false, true, false),
        ("equ", false, true, true),
        ("neu", true, false, true),
        ("ltu", true, false, true),
        ("leu", true, true, true),
        ("gtu", false, false, true),
        ("geu", false, true, true),
        ("num", true, true, false),
        ("nan", false, false, true),
    ] {
        let got = (cmp(op, 1.0, 2.0), cmp(op, 2.0, 2.0), cmp(op, nan, 2.0));
        assert_eq!(got, (less, equal, unordered), "{op}");
    }
    assert!(one("setp.gt.f64 %p0, %a0, %a1;", [g(2.0), g(1.0), 0, 0]).p);
    assert!(one("setp.eq.ftz.f32 %p0, %x0, 0f00000000;", [f(TINY / 2.0), 0, 0, 0]).p);
    let test = |p: &str, v: f32| one(&format!("testp.{p}.f32 %p0, %x0;"), [f(v), 0, 0, 0]).p;
    assert!(test("finite", 1.0) && !test("finite", nan) && test("notanumber", nan));
    assert!(
        test("infinite", f32::INFINITY) && test("subnormal", TINY / 2.0) && test("normal", 1.0)
    );
    assert!(test("number", f32::INFINITY));
    // The ISA: zeros are normal numbers.
    assert!(test("normal", 0.0) && test("normal", -0.0) && !test("subnormal", 0.0));
    assert!(!test("normal", TINY / 2.0) && !test("normal", f32::INFINITY) && !test("normal", nan));
}

#[test]
fn integers_to_floating_point() {
    // 2^24 + 1 lies between two f32; so does 2^24 + 3.
    let to = |mode: &str, v: u64| {
        f32::from_bits(y(&format!("cvt.{mode}.f32.u32 %y0, %x0;"), [v, 0, 0, 0]))
    };
    assert_eq!(
        ["rn", "rz", "rm", "rp"].map(|m| to(m, 0x100_0001)),
        [16777216.0, 16777216.0, 16777216.0, 16777218.0]
    );
    assert_eq!(["rn", "rz"].map(|m| to(m, 0x100_0003)), [16777220.0, 16777218.0]);
    let signed = f32::from_bits(y("cvt.rn.f32.s32 %y0, %x0;", [-5_i64 as u64, 0, 0, 0]));
    assert_eq!(signed, -5.0);
    let wide = |v: u64| f32::from_bits(y("cvt.rn.f32.u64 %y0, %a0;", [v, 0, 0, 0]));
    assert_eq!(wide(u64::MAX), 18446744073709551616.0);
    // Ties and near ties that a detour over f64 would round twice: 2^63 + 2^39 + 1.
    assert_eq!(wide((1 << 63) + (1 << 39) + 1), ((1_u64 << 63) + (1 << 40)) as f32);
    assert_eq!(
        f64::from_bits(d("cvt.rn.f64.u64 %d0, %a0;", [u64::MAX, 0, 0, 0])),
        18446744073709551616.0
    );
    assert_eq!(
        f64::from_bits(d("cvt.rz.f64.u64 %d0, %a0;", [u64::MAX, 0, 0, 0])),
        18446744073709549568.0
    );
    assert_eq!(one("cvt.rn.f16.u32 %z0, %x0;", [2049, 0, 0, 0]).z, 0x6800, "a tie to even: 2048");
    assert_eq!(one("cvt.rn.f16.u32 %z0, %x0;", [70000, 0, 0, 0]).z, 0x7c00);
    assert_eq!(f32::from_bits(y("cvt.rn.f32.u8 %y0, %h0;", [0x1ff, 0, 0, 0])), 255.0);
}

#[test]
fn floating_point_to_integers() {
    let to = |what: &str, v: f32| y(&format!("cvt.{what}.f32 %y0, %x0;"), [f(v), 0, 0, 0]);
    assert_eq!(
        ["rni.s32", "rzi.s32", "rmi.s32", "rpi.s32"].map(|m| to(m, 2.5) as i32),
        [2, 2, 2, 3]
    );
    assert_eq!(
        ["rni.s32", "rzi.s32", "rmi.s32", "rpi.s32"].map(|m| to(m, -2.5) as i32),
        [-2, -2, -3, -2]
    );
    assert_eq!(to("rzi.u32", -3.0), 0);
    assert_eq!(to("rzi.u32", 1e20), u32::MAX);
    assert_eq!(to("rzi.s32", -1e20), i32::MIN as u32);
    assert_eq!(to("rzi.s32", f32::NAN), 0);
    assert_eq!(to("rzi.u8", 300.0), 255);
    assert_eq!(d("cvt.rzi.s64.f32 %d0, %x0;", [f(f32::NAN), 0, 0, 0]), 1 << 63);
    assert_eq!(d("cvt.rzi.u64.f64 %d0, %a0;", [g(1e15), 0, 0, 0]), 1_000_000_000_000_000);
    assert_eq!(y("cvt.rzi.u32.f16 %y0, %h0;", [0x5640, 0, 0, 0]), 100);
}

#[test]
fn between_floating_point_types() {
    assert_eq!(d("cvt.f64.f32 %d0, %x0;", [f(1.5), 0, 0, 0]), g(1.5));
    let narrow =
        |m: &str, v: f64| f32::from_bits(y(&format!("cvt.{m}.f32.f64 %y0, %a0;"), [g(v), 0, 0, 0]));
    let v = 1.0 + 2.0f64.powi(-30);
    assert_eq!(["rn", "rz", "rm", "rp"].map(|m| narrow(m, v)), [1.0, 1.0, 1.0, 1.0 + ULP]);
    assert_eq!(narrow("rz", 1e300), f32::MAX);
    assert_eq!(narrow("rn", 1e300), f32::INFINITY);
    // 1 + 2^-11 is a tie between 1 and 1 + 2^-10 of binary16.
    let half = |m: &str, v: f32| one(&format!("cvt.{m}.f16.f32 %z0, %x0;"), [f(v), 0, 0, 0]).z;
    let tie = 1.0 + 2.0f32.powi(-11);
    assert_eq!(["rn", "rz"].map(|m| half(m, tie)), [0x3c00, 0x3c00]);
    assert_eq!(half("rn", tie + 2.0f32.powi(-20)), 0x3c01);
    assert_eq!(half("rn", f32::NAN), 0x7fff);
    assert_eq!(half("rn", 1e-7), 2, "a subnormal: 1e-7 is 1.68 * 2^-24");
    assert_eq!(half("rn.relu", -1.0), 0);
    assert_eq!(half("rn.sat", 2.0), 0x3c00);
    assert_eq!(y("cvt.f32.f16 %y0, %h0;", [0x3e00, 0, 0, 0]), 1.5f32.to_bits());
    assert_eq!(one("cvt.rn.bf16.f32 %z0, %x0;", [0x3f80_8000, 0, 0, 0]).z, 0x3f80, "tie to even");
    assert_eq!(one("cvt.rn.bf16.f32 %z0, %x0;", [0x3f81_8000, 0, 0, 0]).z, 0x3f82, "tie to even");
    assert_eq!(one("cvt.rz.bf16.f32 %z0, %x0;", [0x3f81_ffff, 0, 0, 0]).z, 0x3f81);
    assert_eq!(y("cvt.f32.bf16 %y0, %h0;", [0x3fc0, 0, 0, 0]), 1.5f32.to_bits());
    assert_eq!(y("cvt.rn.f16x2.f32 %y0, %x0, %x1;", [f(1.0), f(1.5), 0, 0]), 0x3c00_3e00);
    assert_eq!(y("cvt.rn.bf16x2.f32 %y0, %x0, %x1;", [f(1.0), f(1.5), 0, 0]), 0x3f80_3fc0);
    assert_eq!(y("cvt.rna.tf32.f32 %y0, %x0;", [0x3f80_1000, 0, 0, 0]), 0x3f80_2000);
    let round =
        |m: &str, v: f32| f32::from_bits(y(&format!("cvt.{m}.f32.f32 %y0, %x0;"), [f(v), 0, 0, 0]));
    assert_eq!(["rni", "rzi", "rmi", "rpi"].map(|m| round(m, -2.5)), [-2.0, -2.0, -3.0, -2.0]);
    assert_eq!(round("sat", 2.5), 1.0);
    assert_eq!(round("ftz", TINY / 2.0), 0.0);
}

#[test]
fn literals() {
    assert_eq!(y("mov.f32 %y0, 0f3FC00000;", [0; 4]), 1.5f32.to_bits());
    assert_eq!(y("mov.f32 %y0, 1.5;", [0; 4]), 1.5f32.to_bits());
    assert_eq!(d("mov.f64 %d0, 0dBFF8000000000000;", [0; 4]), g(-1.5));
    assert_eq!(y("add.f32 %y0, %x0, -1.5;", [f(1.0), 0, 0, 0]), (-0.5f32).to_bits());
    refused("add.f32 %y0, %x0, 1;");
    refused("div.f32 %y0, %x0, %x1;");
    refused("sqrt.f32 %y0, %x0;");
    refused("fma.f32 %y0, %x0, %x1, %x2;");
    refused("cvt.f16.f32 %z0, %x0;");
}
