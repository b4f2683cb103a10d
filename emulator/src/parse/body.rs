//! Tokens to the tree: what stands between a function's braces.

use super::ast::{Imm, Instr, Operand, Pos, Stmt};
use super::lexer::Token;
use super::parser::{Parsed, Parser};

impl<'a> Parser<'a> {
    /// The statements between a function's braces.
    pub(super) fn body(&mut self) -> Parsed<Vec<Stmt<'a>>> {
        let mut stmts = Vec::new();
        let mut depth = 0_u32;
        loop {
            let pos = self.pos;
            match self.token {
                Token::Punct(b'{') => {
                    self.bump()?;
                    depth += 1;
                    stmts.push(Stmt::Open);
                }
                Token::Punct(b'}') => {
                    self.bump()?;
                    depth -= 1;
                    stmts.push(Stmt::Close);
                    if depth == 0 {
                        return Ok(stmts);
                    }
                }
                Token::Punct(b';') => {
                    self.bump()?;
                }
                Token::Punct(b'@') => {
                    self.bump()?;
                    let negated = self.accept(b'!')?;
                    let guard = Some((self.word()?, negated));
                    let pos = self.pos;
                    let opcode = self.word()?;
                    stmts.push(Stmt::Instr(self.instr(guard, opcode, pos)?));
                }
                Token::Word(word) if word.starts_with('.') => self.directive(&mut stmts)?,
                Token::Word(word) => {
                    self.bump()?;
                    if self.accept(b':')? {
                        self.label(word, pos, &mut stmts)?;
                    } else {
                        stmts.push(Stmt::Instr(self.instr(None, word, pos)?));
                    }
                }
                _ => return Err(pos.error(format!("unexpected {}", self.found()))),
            }
        }
    }

    fn label(&mut self, name: &'a str, pos: Pos, stmts: &mut Vec<Stmt<'a>>) -> Parsed<()> {
        match self.token {
            Token::Word(".branchtargets" | ".calltargets") => {
                self.bump()?;
                let mut targets = vec![self.word()?];
                while self.accept(b',')? {
                    targets.push(self.word()?);
                }
                self.expect(b';')?;
                stmts.push(Stmt::Targets(name, targets));
            }
            Token::Word(".callprototype") => {
                self.skip_past(b';')?;
            }
            _ => stmts.push(Stmt::Label(name, pos)),
        }
        Ok(())
    }

    fn directive(&mut self, stmts: &mut Vec<Stmt<'a>>) -> Parsed<()> {
        let pos = self.pos;
        let word = self.word()?;
        match word {
            ".reg" => {
                let ty = self.word()?;
                let mut names = Vec::new();
                loop {
                    let name = self.word()?;
                    let mut count = None;
                    if self.accept(b'<')? {
                        count = Some(self.small()?);
                        self.expect(b'>')?;
                    }
                    names.push((name, count));
                    if !self.accept(b',')? {
                        break;
                    }
                }
                self.expect(b';')?;
                stmts.push(Stmt::Regs(ty, names, pos));
            }
            ".param" | ".local" | ".shared" | ".global" | ".const" => {
                let mut vars = Vec::new();
                self.variables(word, false, pos, &mut vars)?;
                stmts.extend(vars.into_iter().map(Stmt::Var));
            }
            ".extern" => {
                let space = self.word()?;
                let mut vars = Vec::new();
                self.variables(space, true, pos, &mut vars)?;
                stmts.extend(vars.into_iter().map(Stmt::Var));
            }
            ".pragma" => {
                self.skip_past(b';')?;
            }
            ".loc" | ".file" => self.skip_line(pos.line)?,
            ".section" => {
                while !self.is(b'{') && self.token != Token::End {
                    self.bump()?;
                }
                self.skip_braces()?;
            }
            _ => return Err(pos.error(format!("unknown directive `{word}`"))),
        }
        Ok(())
    }

    fn instr(
        &mut self,
        guard: Option<(&'a str, bool)>,
        opcode: &'a str,
        pos: Pos,
    ) -> Parsed<Instr<'a>> {
        let mut operands = Vec::new();
        while !self.accept(b';')? {
            if !operands.is_empty() {
                self.expect(b',')?;
            }
            operands.push(self.operand()?);
        }
        Ok(Instr { guard, opcode, operands, pos })
    }

    fn operand(&mut self) -> Parsed<Operand<'a>> {
        let first = self.simple_operand()?;
        if self.accept(b'|')? {
            let second = self.simple_operand()?;
            return Ok(Operand::Pair(Box::new(first), Box::new(second)));
        }
        Ok(first)
    }

    fn simple_operand(&mut self) -> Parsed<Operand<'a>> {
        let pos = self.pos;
        match self.token {
            Token::Word("_") => {
                self.bump()?;
                Ok(Operand::Sink)
            }
            Token::Word(name) => {
                self.bump()?;
                if self.is(b'+') || self.is(b'-') {
                    return Ok(Operand::Offset(name, self.offset()?));
                }
                Ok(Operand::Name(name))
            }
            Token::Punct(b'!') => {
                self.bump()?;
                Ok(Operand::Not(self.word()?))
            }
            Token::Punct(b'[') => {
                self.bump()?;
                let operand = match self.token {
                    Token::Word(name) => {
                        self.bump()?;
                        Operand::Address(Some(name), self.offset()?)
                    }
                    _ => match self.immediate()? {
                        Imm::Int(at) => {
                            Operand::Address(None, (at as i64).wrapping_add(self.offset()?))
                        }
                        _ => return Err(pos.error("an address is an integer")),
                    },
                };
                self.expect(b']')?;
                Ok(operand)
            }
            Token::Punct(b'{') => Ok(Operand::Vector(self.list(b'}')?)),
            Token::Punct(b'(') => Ok(Operand::List(self.list(b')')?)),
            _ => Ok(Operand::Imm(self.immediate()?)),
        }
    }

    fn list(&mut self, close: u8) -> Parsed<Vec<Operand<'a>>> {
        self.bump()?;
        let mut items = Vec::new();
        while !self.accept(close)? {
            if !items.is_empty() {
                self.expect(b',')?;
            }
            // Lists never nest in PTX; refusing it here bounds the recursion.
            if self.is(b'{') || self.is(b'(') {
                return Err(self.pos.error("a list inside a list"));
            }
            items.push(self.operand()?);
        }
        Ok(items)
    }
}
