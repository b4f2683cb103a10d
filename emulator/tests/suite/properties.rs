//! Integer instructions against Rust's own arithmetic, on random values.

use crate::common::run;
use proptest::prelude::*;

/// Runs a body on 32 random inputs at once and compares `%y0` and `%d0` with what is expected.
fn agrees(
    body: &str,
    inputs: &[[u64; 4]],
    expected: impl Fn([u64; 4]) -> (u32, u64),
) -> Result<(), TestCaseError> {
    let (outs, _) = run(body, inputs).map_err(|fault| TestCaseError::fail(fault.to_string()))?;
    for (out, &input) in outs.iter().zip(inputs) {
        prop_assert_eq!((out.y, out.d), expected(input), "{} {:x?}", body, input);
    }
    Ok(())
}

/// Values with many edges: small, all ones, single bits, random.
fn value() -> impl Strategy<Value = u64> {
    prop_oneof![
        any::<u64>(),
        any::<u32>().prop_map(u64::from),
        0..70_u64,
        (0..64_u32).prop_map(|b| 1 << b),
        (0..64_u32).prop_map(|b| u64::MAX >> b),
        (0..64_u32).prop_map(|b| u64::MAX << b),
    ]
}

fn inputs() -> impl Strategy<Value = Vec<[u64; 4]>> {
    prop::collection::vec([value(), value(), value(), value()], 32)
}

type Rule = (&'static str, fn([u64; 4]) -> (u32, u64));

const RULES: &[Rule] = &[
    ("add.u32 %y0, %x0, %x1; add.u64 %d0, %a0, %a1;", |[a, b, ..]| {
        ((a as u32).wrapping_add(b as u32), a.wrapping_add(b))
    }),
    ("sub.u32 %y0, %x0, %x1; sub.u64 %d0, %a0, %a1;", |[a, b, ..]| {
        ((a as u32).wrapping_sub(b as u32), a.wrapping_sub(b))
    }),
    ("mul.lo.u32 %y0, %x0, %x1; mul.lo.u64 %d0, %a0, %a1;", |[a, b, ..]| {
        ((a as u32).wrapping_mul(b as u32), a.wrapping_mul(b))
    }),
    ("mul.hi.u32 %y0, %x0, %x1; mul.hi.u64 %d0, %a0, %a1;", |[a, b, ..]| {
        let narrow = u64::from(a as u32) * u64::from(b as u32);
        ((narrow >> 32) as u32, ((u128::from(a) * u128::from(b)) >> 64) as u64)
    }),
    ("mul.hi.s32 %y0, %x0, %x1; mul.hi.s64 %d0, %a0, %a1;", |[a, b, ..]| {
        let narrow = i64::from(a as i32) * i64::from(b as i32);
        ((narrow >> 32) as u32, ((i128::from(a as i64) * i128::from(b as i64)) >> 64) as u64)
    }),
    ("mul.hi.u32 %y0, %x0, %x1; mul.wide.s32 %d0, %x0, %x1;", |[a, b, ..]| {
        let narrow = u64::from(a as u32) * u64::from(b as u32);
        ((narrow >> 32) as u32, (i64::from(a as i32) * i64::from(b as i32)) as u64)
    }),
    ("mad.lo.u32 %y0, %x0, %x1, %x2; mad.wide.u32 %d0, %x0, %x1, %a2;", |[a, b, c, _]| {
        let narrow = (a as u32).wrapping_mul(b as u32).wrapping_add(c as u32);
        (narrow, (u64::from(a as u32) * u64::from(b as u32)).wrapping_add(c))
    }),
    ("popc.b64 %y0, %a0; brev.b64 %d0, %a0;", |[a, ..]| (a.count_ones(), a.reverse_bits())),
    ("clz.b64 %y0, %a0; not.b64 %d0, %a0;", |[a, ..]| (a.leading_zeros(), !a)),
    ("shl.b32 %y0, %x0, %x1; shl.b64 %d0, %a0, %x1;", |[a, b, ..]| {
        let n = b as u32;
        ((a as u32).checked_shl(n).unwrap_or(0), a.checked_shl(n).unwrap_or(0))
    }),
    ("shr.u32 %y0, %x0, %x1; shr.s64 %d0, %a0, %x1;", |[a, b, ..]| {
        let n = b as u32;
        ((a as u32).checked_shr(n).unwrap_or(0), ((a as i64) >> n.min(63)) as u64)
    }),
    ("shf.l.wrap.b32 %y0, %x0, %x1, %x2; min.s64 %d0, %a0, %a1;", |[a, b, c, _]| {
        let both = u64::from(b as u32) << 32 | u64::from(a as u32);
        ((both << (c & 31) >> 32) as u32, (a as i64).min(b as i64) as u64)
    }),
    ("prmt.b32 %y0, %x0, %x1, %x2; max.u64 %d0, %a0, %a1;", |[a, b, c, _]| {
        let pool = (u64::from(b as u32) << 32 | u64::from(a as u32)).to_le_bytes();
        let byte = |i: usize| {
            let selector = c >> (4 * i) & 15;
            let byte = pool[selector as usize & 7];
            if selector & 8 != 0 { ((byte as i8) >> 7) as u8 } else { byte }
        };
        (u32::from_le_bytes([byte(0), byte(1), byte(2), byte(3)]), a.max(b))
    }),
    ("lop3.b32 %y0, %x0, %x1, %x2, 0xca; xor.b64 %d0, %a0, %a1;", |[a, b, c, _]| {
        (((a & b) | (!a & c)) as u32, a ^ b)
    }),
    ("sad.s32 %y0, %x0, %x1, %x2; abs.s64 %d0, %a0;", |[a, b, c, _]| {
        let sad = (a as i32).abs_diff(b as i32).wrapping_add(c as u32);
        (sad, (a as i64).wrapping_abs() as u64)
    }),
    (
        "and.b32 %t1, %x1, 31; sub.u32 %t2, 32, %t1; bfe.s32 %y0, %x0, %t1, %t2; neg.s64 %d0, %a0;",
        |[a, b, ..]| (((a as i32) >> (b & 31)) as u32, a.wrapping_neg()),
    ),
    (
        "or.b32 %x1, %x1, 1; or.b64 %a1, %a1, 1; div.u32 %y0, %x0, %x1; rem.u64 %d0, %a0, %a1;",
        |[a, b, ..]| (a as u32 / (b as u32 | 1), a % (b | 1)),
    ),
    (
        "or.b32 %x1, %x1, 1; or.b64 %a1, %a1, 1; rem.s32 %y0, %x0, %x1; div.s64 %d0, %a0, %a1;",
        |[a, b, ..]| {
            let narrow = (a as i32).wrapping_rem(b as i32 | 1) as u32;
            (narrow, (a as i64).wrapping_div(b as i64 | 1) as u64)
        },
    ),
    (
        "mov.b64 {%t1, %t2}, %a1; mov.b64 {%t0, %t3}, %a0; add.cc.u32 %t0, %t0, %t1;\n\
      addc.u32 %y0, %t3, %t2; mov.b64 %d0, {%t0, %y0};",
        |[a, b, ..]| {
            let sum = a.wrapping_add(b);
            ((sum >> 32) as u32, sum)
        },
    ),
    ("dp4a.s32.u32 %y0, %x0, %x1, %x2; cvt.s64.s8 %d0, %a3;", |[a, b, c, e]| {
        let (x, z) = ((a as u32).to_le_bytes(), (b as u32).to_le_bytes());
        let dot: i32 = (0..4).map(|i| i32::from(x[i] as i8) * i32::from(z[i])).sum();
        ((c as u32).wrapping_add(dot as u32), i64::from(e as i8) as u64)
    }),
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn integer_instructions_agree_with_rust(inputs in inputs()) {
        for (body, expected) in RULES {
            agrees(body, &inputs, expected)?;
        }
    }

    /// Text that is no PTX is an error, and neither a panic nor a hang.
    #[test]
    fn any_text_is_taken_or_refused(text in "[.%@!{}();:,a-z0-9_ \\[\\]\n\"+-]{0,200}", cut in 0..2000_usize) {
        let device = parans_emulator::Device::new(parans_emulator::DeviceModel::sm_90());
        let _ = device.load(&text);
        let kernel = crate::common::kernel("mad.lo.u32 %y0, %x0, %x1, %x2; vote.sync.ballot.b32 %y1, %p0, -1;");
        let cut = cut.min(kernel.len());
        let _ = device.load(&kernel[..cut]);
        let _ = device.load(&format!("{}{text}{}", &kernel[..cut], &kernel[cut..]));
    }
}
