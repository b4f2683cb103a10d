use super::*;
use crate::parse::ast::{Operand, Stmt};

#[test]
fn a_module_in_all_its_parts() {
    let ast = parse(
        ".version 6.3\n.target sm_75\n.address_size 64\n\
         .visible .global .align 4 .u32 table[2][2] = {{1, 2}, {3}};\n\
         .const .u64 where = generic(table)+8;\n.extern .shared .align 16 .b8 pool[];\n\
         .func (.param .b32 out) f(.param .b64 x) { ret; }\n\
         .visible .entry k(.param .u64 .ptr .global .align 4 p, .param .align 8 .b8 s[16])\n\
         .maxntid 128, 2\n{\n .reg .pred %p<2>; .reg .b32 %r<3>, %x;\n\
         @!%p1 bra $L;\n{ ld.global.v2.u32 {%r1, _}, [%rd1+-4]; }\n\
         setp.eq.and.u32 %p0|%p1, %r1, 0x10, !%p1;\n call.uni (o), f, (i);\n$L: ret;\n}",
    )
    .unwrap();
    assert_eq!(ast.globals.len(), 3);
    assert_eq!((ast.globals[0].bytes(), ast.globals[0].init.len()), (16, 3));
    assert!(matches!(ast.globals[1].init[0], Init::Address("table", 8, None)));
    assert_eq!((ast.globals[2].count, ast.globals[2].is_extern), (0, true));
    let entry = &ast.functions[1];
    assert_eq!((entry.name, entry.max_threads), ("k", Some(256)));
    assert_eq!(entry.params[1].bytes(), 16);
    let body = entry.body.as_ref().unwrap();
    let instrs: Vec<_> = body
        .iter()
        .filter_map(|s| match s {
            Stmt::Instr(i) => Some(i),
            _ => None,
        })
        .collect();
    assert_eq!(instrs[0].guard, Some(("%p1", true)));
    assert_eq!(instrs[1].operands[1], Operand::Address(Some("%rd1"), -4));
    assert_eq!(instrs[2].operands[3], Operand::Not("%p1"));
    assert_eq!(instrs[3].operands.len(), 3);
    assert_eq!(instrs[2].pos.line, 14);
}

#[test]
fn errors_have_a_line() {
    for (text, line) in [
        (".version 6.3\n.bogus x;", 2),
        (".entry k() {\n mov.u32 %r1 %r2;\n}", 2),
        (".address_size 32\n", 1),
        (".entry k() {\n mov.u32 {{1}}, 2;\n}", 2),
        (".global .u32 a[2] = {1,2,3};", 1),
        (".entry k() {\n", 2),
    ] {
        assert_eq!(parse(text).unwrap_err().line, line, "{text}");
    }
}
