//! Tokens to the tree, by recursive descent: directives, variables and the heads of functions.

use super::ast::{Ast, Func, Imm, Init, Pos, Var, VarSpace};
use super::lexer::{Lexer, Token};
use crate::ParseError;

pub(super) type Parsed<T> = Result<T, ParseError>;

/// Largest variable, in bytes: far above any shared memory, far below what could exhaust the host.
const MAX_VARIABLE: u64 = 1 << 30;

/// Parses a module.
pub(crate) fn parse(text: &str) -> Parsed<Ast<'_>> {
    // A driver takes a C string, so that host programs hand over its terminator too.
    let text = text.trim_end_matches('\0');
    let mut lexer = Lexer::new(text);
    let (token, pos) = lexer.next()?;
    let mut parser = Parser { lexer, token, pos };
    let mut ast = Ast::default();
    while parser.token != Token::End {
        parser.item(&mut ast)?;
    }
    Ok(ast)
}

pub(super) struct Parser<'a> {
    lexer: Lexer<'a>,
    pub(super) token: Token<'a>,
    pub(super) pos: Pos,
}

impl<'a> Parser<'a> {
    pub(super) fn bump(&mut self) -> Parsed<(Token<'a>, Pos)> {
        let old = (self.token, self.pos);
        (self.token, self.pos) = self.lexer.next()?;
        Ok(old)
    }

    pub(super) fn is(&self, punct: u8) -> bool {
        self.token == Token::Punct(punct)
    }

    pub(super) fn accept(&mut self, punct: u8) -> Parsed<bool> {
        let there = self.is(punct);
        if there {
            self.bump()?;
        }
        Ok(there)
    }

    pub(super) fn expect(&mut self, punct: u8) -> Parsed<()> {
        if self.accept(punct)? {
            return Ok(());
        }
        Err(self.pos.error(format!("expected `{}`, found {}", char::from(punct), self.found())))
    }

    pub(super) fn found(&self) -> String {
        match self.token {
            Token::Word(word) => format!("`{word}`"),
            Token::Punct(p) => format!("`{}`", char::from(p)),
            Token::Int(_) | Token::F32(_) | Token::F64(_) => "a number".to_owned(),
            Token::Text => "a string".to_owned(),
            Token::End => "the end of the text".to_owned(),
        }
    }

    pub(super) fn word(&mut self) -> Parsed<&'a str> {
        match self.token {
            Token::Word(word) => {
                self.bump()?;
                Ok(word)
            }
            _ => Err(self.pos.error(format!("expected a name, found {}", self.found()))),
        }
    }

    fn int(&mut self) -> Parsed<u64> {
        match self.token {
            Token::Int(value) => {
                self.bump()?;
                Ok(value)
            }
            _ => Err(self.pos.error(format!("expected a number, found {}", self.found()))),
        }
    }

    pub(super) fn small(&mut self) -> Parsed<u32> {
        let pos = self.pos;
        u32::try_from(self.int()?).map_err(|_| pos.error("number too large"))
    }

    /// Skips past the next `punct`.
    pub(super) fn skip_past(&mut self, punct: u8) -> Parsed<()> {
        while !self.accept(punct)? {
            if self.token == Token::End {
                return Err(self.pos.error(format!("expected `{}`", char::from(punct))));
            }
            self.bump()?;
        }
        Ok(())
    }

    /// Skips to the end of the line that a directive stands on.
    pub(super) fn skip_line(&mut self, line: u32) -> Parsed<()> {
        while self.pos.line == line && self.token != Token::End {
            self.bump()?;
        }
        Ok(())
    }

    pub(super) fn skip_braces(&mut self) -> Parsed<()> {
        let mut depth = 0_u32;
        loop {
            let (token, pos) = self.bump()?;
            match token {
                Token::Punct(b'{') => depth += 1,
                Token::Punct(b'}') => {
                    depth -= 1;
                    if depth == 0 {
                        return Ok(());
                    }
                }
                Token::End => return Err(pos.error("`{` without `}`")),
                _ => {}
            }
            if depth == 0 {
                return Err(pos.error("expected `{`"));
            }
        }
    }

    fn item(&mut self, ast: &mut Ast<'a>) -> Parsed<()> {
        let pos = self.pos;
        if self.accept(b';')? {
            return Ok(());
        }
        let mut word = self.word()?;
        match word {
            ".version" | ".target" | ".file" | ".loc" => return self.skip_line(pos.line),
            ".address_size" => {
                return match self.int()? {
                    64 => Ok(()),
                    _ => Err(pos.error("only 64-bit addresses are executed")),
                };
            }
            ".section" => {
                while !self.is(b'{') && self.token != Token::End {
                    self.bump()?;
                }
                return self.skip_braces();
            }
            ".alias" => return Err(pos.error(".alias is not supported")),
            ".pragma" => {
                self.skip_past(b';')?;
                return Ok(());
            }
            _ => {}
        }
        let mut is_extern = false;
        while matches!(word, ".visible" | ".extern" | ".weak" | ".common") {
            is_extern |= word == ".extern";
            word = self.word()?;
        }
        match word {
            ".entry" | ".func" => {
                let func = self.func(word == ".entry", pos)?;
                ast.functions.push(func);
            }
            ".global" | ".const" | ".shared" => {
                self.variables(word, is_extern, pos, &mut ast.globals)?;
            }
            _ => return Err(pos.error(format!("unknown directive `{word}`"))),
        }
        Ok(())
    }

    /// Declarations of one state space up to the semicolon: `.align 4 .b8 a[8] = {1, 2}, b;`
    pub(super) fn variables(
        &mut self,
        space: &str,
        is_extern: bool,
        pos: Pos,
        into: &mut Vec<Var<'a>>,
    ) -> Parsed<()> {
        let space = match space {
            ".global" => VarSpace::Global,
            ".const" => VarSpace::Const,
            ".shared" => VarSpace::Shared,
            ".local" => VarSpace::Local,
            _ => VarSpace::Param,
        };
        let (align, element) = self.var_type()?;
        loop {
            let mut var = self.declarator(space, align, element)?;
            var.is_extern = is_extern;
            if self.accept(b'=')? {
                if !matches!(space, VarSpace::Global | VarSpace::Const) {
                    return Err(pos.error("only .global and .const variables can be initialised"));
                }
                self.initialiser(&mut var.init)?;
                if var.count == 0 {
                    var.count = var.init.len() as u64;
                }
                if var.init.len() as u64 > var.count {
                    return Err(var.pos.error("more initialisers than elements"));
                }
            }
            into.push(var);
            if !self.accept(b',')? {
                break;
            }
        }
        self.expect(b';')
    }

    /// `.align N`, vector and element type; returns alignment and element size.
    fn var_type(&mut self) -> Parsed<(u32, u32)> {
        let (mut align, mut lanes) = (0, 1);
        loop {
            let pos = self.pos;
            let word = self.word()?;
            match word {
                ".align" => {
                    align = self.small()?;
                    if !align.is_power_of_two() || align > 4096 {
                        return Err(pos.error("alignment must be a power of two up to 4096"));
                    }
                }
                ".v2" => lanes = 2,
                ".v4" => lanes = 4,
                ".ptr" | ".global" | ".const" | ".shared" | ".local" | ".attribute"
                | ".managed" | ".unified" => {
                    if word == ".attribute" {
                        self.expect(b'(')?;
                        self.skip_past(b')')?;
                    }
                }
                _ => {
                    let bytes = type_bytes(word)
                        .ok_or_else(|| pos.error(format!("unknown variable type `{word}`")))?;
                    let element = bytes * lanes;
                    return Ok((align.max(element.min(16)), element));
                }
            }
        }
    }

    fn declarator(&mut self, space: VarSpace, align: u32, element: u32) -> Parsed<Var<'a>> {
        let pos = self.pos;
        let name = self.word()?;
        let mut count = 1_u64;
        let mut open = false;
        while self.accept(b'[')? {
            if self.accept(b']')? {
                open = true;
                continue;
            }
            count = count.saturating_mul(self.int()?);
            self.expect(b']')?;
        }
        if open {
            count = 0;
        }
        if count.saturating_mul(u64::from(element)) > MAX_VARIABLE {
            return Err(pos.error(format!("`{name}` is too large")));
        }
        Ok(Var { space, align, element, count, name, init: Vec::new(), pos, is_extern: false })
    }

    fn initialiser(&mut self, into: &mut Vec<Init<'a>>) -> Parsed<()> {
        if self.accept(b'{')? {
            while !self.accept(b'}')? {
                self.initialiser(into)?;
                if !self.is(b'}') {
                    self.expect(b',')?;
                }
            }
            return Ok(());
        }
        if let Token::Word(word) = self.token {
            let (name, offset) = self.address_of(word)?;
            into.push(Init::Address(name, offset, None));
            return Ok(());
        }
        let pos = self.pos;
        let value = self.immediate()?;
        // `0xFF00(symbol)`: one byte of an address.
        if let (Imm::Int(mask), true) = (value, self.is(b'(')) {
            self.bump()?;
            let word = match self.token {
                Token::Word(word) => word,
                _ => return Err(self.pos.error("expected a name")),
            };
            let (name, offset) = self.address_of(word)?;
            self.expect(b')')?;
            let shift = mask.trailing_zeros();
            if mask == 0 || mask >> shift != 0xff || shift % 8 != 0 {
                return Err(pos.error("an address mask selects one byte"));
            }
            into.push(Init::Address(name, offset, Some(shift)));
            return Ok(());
        }
        into.push(Init::Bits(value));
        Ok(())
    }

    /// `name`, `name + 4`, `generic(name) + 4`; the parser stands on the first word.
    fn address_of(&mut self, word: &'a str) -> Parsed<(&'a str, i64)> {
        self.bump()?;
        let mut name = word;
        if word == "generic" && self.accept(b'(')? {
            name = self.word()?;
            if self.is(b'+') || self.is(b'-') {
                let offset = self.offset()?;
                self.expect(b')')?;
                return Ok((name, offset));
            }
            self.expect(b')')?;
        }
        Ok((name, self.offset()?))
    }

    /// Any number of `+ 4` and `- 4`.
    pub(super) fn offset(&mut self) -> Parsed<i64> {
        let mut offset = 0_i64;
        while self.is(b'+') || self.is(b'-') {
            let minus = self.is(b'-');
            self.bump()?;
            // `+-4` is what some compilers write.
            let minus = minus ^ (self.is(b'-') && self.accept(b'-')?);
            let value = self.int()? as i64;
            offset = if minus { offset.wrapping_sub(value) } else { offset.wrapping_add(value) };
        }
        Ok(offset)
    }

    pub(super) fn immediate(&mut self) -> Parsed<Imm> {
        let minus = self.accept(b'-')?;
        let not = !minus && self.accept(b'~')?;
        let (token, pos) = self.bump()?;
        let imm = match token {
            Token::Int(v) if minus => Imm::Int(v.wrapping_neg()),
            Token::Int(v) if not => Imm::Int(!v),
            Token::Int(v) => Imm::Int(v),
            Token::F32(v) => Imm::F32(v ^ if minus { 1 << 31 } else { 0 }),
            Token::F64(v) => Imm::F64(v ^ if minus { 1 << 63 } else { 0 }),
            _ => return Err(pos.error("expected a number")),
        };
        if not && !matches!(imm, Imm::Int(_)) {
            return Err(pos.error("`~` of a floating-point number"));
        }
        Ok(imm)
    }

    fn params(&mut self) -> Parsed<Vec<Var<'a>>> {
        let mut params = Vec::new();
        if !self.accept(b'(')? {
            return Ok(params);
        }
        while !self.accept(b')')? {
            let pos = self.pos;
            match self.word()? {
                ".param" => {}
                ".reg" => return Err(pos.error("register parameters are not supported")),
                other => return Err(pos.error(format!("expected `.param`, found `{other}`"))),
            }
            let (align, element) = self.var_type()?;
            // `.ptr .global .align 4`: what the pointer points at, for the compiler's use.
            while let Token::Word(".ptr" | ".global" | ".const" | ".shared" | ".local" | ".align") =
                self.token
            {
                if self.word()? == ".align" {
                    self.int()?;
                }
            }
            params.push(self.declarator(VarSpace::Param, align, element)?);
            if !self.is(b')') {
                self.expect(b',')?;
            }
        }
        Ok(params)
    }

    fn func(&mut self, entry: bool, pos: Pos) -> Parsed<Func<'a>> {
        let returns = if entry { Vec::new() } else { self.params()? };
        let name = self.word()?;
        let params = self.params()?;
        let mut func = Func {
            entry,
            name,
            returns,
            params,
            body: None,
            max_threads: None,
            required_threads: None,
            pos,
        };
        loop {
            let pos = self.pos;
            match self.token {
                Token::Word(".maxntid") => {
                    let n = self.dims()?;
                    func.max_threads = Some(n.iter().fold(1_u32, |a, &b| a.saturating_mul(b)));
                }
                Token::Word(".reqntid") => func.required_threads = Some(self.dims()?),
                Token::Word(
                    ".minnctapersm"
                    | ".maxnreg"
                    | ".maxnctapersm"
                    | ".reqnctapercluster"
                    | ".maxclusterrank"
                    | ".abi_preserve"
                    | ".abi_preserve_control",
                ) => {
                    self.dims()?;
                }
                Token::Word(".noreturn" | ".explicitcluster" | ".blocksareclusters") => {
                    self.bump()?;
                }
                Token::Word(".pragma") => {
                    self.skip_past(b';')?;
                }
                Token::Word(word) => {
                    return Err(pos.error(format!("unknown function directive `{word}`")));
                }
                Token::Punct(b';') => {
                    self.bump()?;
                    return Ok(func);
                }
                Token::Punct(b'{') => {
                    func.body = Some(self.body()?);
                    return Ok(func);
                }
                _ => return Err(pos.error(format!("unexpected {}", self.found()))),
            }
        }
    }

    fn dims(&mut self) -> Parsed<[u32; 3]> {
        self.bump()?;
        let mut dims = [1; 3];
        for (at, dim) in dims.iter_mut().enumerate() {
            if at > 0 && !self.accept(b',')? {
                break;
            }
            *dim = self.small()?;
        }
        Ok(dims)
    }
}

/// Bytes of a fundamental type, by its name with the dot.
pub(crate) fn type_bytes(name: &str) -> Option<u32> {
    Some(match name {
        ".b8" | ".u8" | ".s8" => 1,
        ".b16" | ".u16" | ".s16" | ".f16" | ".bf16" => 2,
        ".b32" | ".u32" | ".s32" | ".f32" | ".f16x2" | ".bf16x2" => 4,
        ".b64" | ".u64" | ".s64" | ".f64" => 8,
        ".b128" => 16,
        _ => return None,
    })
}

#[cfg(test)]
mod tests;
