//! Text to tokens. Opcodes and special registers keep their dots: `ld.global.u32` and `%tid.x` are
//! one word.

use super::ast::Pos;
use crate::ParseError;

/// A token's kind and text.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Token<'a> {
    /// Identifier, register, opcode or directive, dots included.
    Word(&'a str),
    /// An integer, as 64 bits.
    Int(u64),
    /// A single-precision literal, as its bits.
    F32(u32),
    /// A double-precision literal, as its bits.
    F64(u64),
    /// A quoted string.
    Text,
    /// One character of punctuation.
    Punct(u8),
    /// The end of the text.
    End,
}

/// Reads tokens off PTX text.
#[derive(Debug, Clone)]
pub(crate) struct Lexer<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    line_start: usize,
}

impl<'a> Lexer<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, line: 1, line_start: 0 }
    }

    fn byte(&self, ahead: usize) -> u8 {
        self.text.as_bytes().get(self.at + ahead).copied().unwrap_or(0)
    }

    fn pos(&self) -> Pos {
        Pos { line: self.line, column: (self.at - self.line_start) as u32 + 1 }
    }

    fn skip_blanks(&mut self) -> Result<(), ParseError> {
        loop {
            match (self.byte(0), self.byte(1)) {
                (b'\n', _) => {
                    self.at += 1;
                    self.line += 1;
                    self.line_start = self.at;
                }
                (b' ' | b'\t' | b'\r', _) => self.at += 1,
                (b'/', b'/') => {
                    while !matches!(self.byte(0), b'\n' | 0) {
                        self.at += 1;
                    }
                }
                (b'/', b'*') => {
                    let start = self.pos();
                    self.at += 2;
                    while (self.byte(0), self.byte(1)) != (b'*', b'/') {
                        if self.at >= self.text.len() {
                            return Err(start.error("comment without an end"));
                        }
                        if self.byte(0) == b'\n' {
                            self.line += 1;
                            self.line_start = self.at + 1;
                        }
                        self.at += 1;
                    }
                    self.at += 2;
                }
                // Preprocessor lines (`#1 "file"`) are of old compilers' making, and mean nothing
                // here.
                (b'#', _) => {
                    while !matches!(self.byte(0), b'\n' | 0) {
                        self.at += 1;
                    }
                }
                _ => return Ok(()),
            }
        }
    }

    /// The next token and where it begins.
    pub(crate) fn next(&mut self) -> Result<(Token<'a>, Pos), ParseError> {
        self.skip_blanks()?;
        let pos = self.pos();
        let start = self.at;
        if self.at >= self.text.len() {
            return Ok((Token::End, pos));
        }
        let first = self.byte(0);
        let dot_word = first == b'.' && (is_word(self.byte(1)));
        if is_word_start(first) || dot_word {
            self.at += 1;
            loop {
                let (c, next) = (self.byte(0), self.byte(1));
                if is_word(c) || (c == b'.' && is_word(next)) {
                    self.at += 1;
                } else if c == b':' && next == b':' && is_word(self.byte(2)) {
                    self.at += 2;
                } else {
                    break;
                }
            }
            return Ok((Token::Word(&self.text[start..self.at]), pos));
        }
        if first.is_ascii_digit() {
            return Ok((self.number(pos)?, pos));
        }
        if first == b'"' {
            self.at += 1;
            while self.byte(0) != b'"' {
                if matches!(self.byte(0), 0 | b'\n') {
                    return Err(pos.error("string without an end"));
                }
                self.at += 1 + usize::from(self.byte(0) == b'\\');
            }
            self.at += 1;
            return Ok((Token::Text, pos));
        }
        if !first.is_ascii() || first.is_ascii_control() {
            return Err(pos.error("unexpected character"));
        }
        self.at += 1;
        Ok((Token::Punct(first), pos))
    }

    fn digits(&mut self, accept: impl Fn(u8) -> bool) -> &'a str {
        let start = self.at;
        while accept(self.byte(0)) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    fn number(&mut self, pos: Pos) -> Result<Token<'a>, ParseError> {
        let bad = || pos.error("malformed number");
        let hex = |b: u8| b.is_ascii_hexdigit();
        if self.byte(0) == b'0' {
            let radix = match self.byte(1) {
                b'x' | b'X' => 16,
                b'b' | b'B' => 2,
                b'f' | b'F' | b'd' | b'D' => {
                    let single = matches!(self.byte(1), b'f' | b'F');
                    self.at += 2;
                    let digits = self.digits(hex);
                    if digits.len() != if single { 8 } else { 16 } {
                        return Err(bad());
                    }
                    let bits = u64::from_str_radix(digits, 16).map_err(|_| bad())?;
                    return Ok(if single { Token::F32(bits as u32) } else { Token::F64(bits) });
                }
                b'0'..=b'7' => 8,
                _ => 10,
            };
            if radix != 10 {
                self.at += if radix == 8 { 1 } else { 2 };
                let digits = self.digits(hex);
                let value = u64::from_str_radix(digits, radix).map_err(|_| bad())?;
                self.at += usize::from(self.byte(0) == b'U');
                return Ok(Token::Int(value));
            }
        }
        let start = self.at;
        self.digits(|b| b.is_ascii_digit());
        let fraction = self.byte(0) == b'.' && self.byte(1).is_ascii_digit();
        if fraction || matches!(self.byte(0), b'e' | b'E') {
            self.digits(|b| b.is_ascii_digit() || b == b'.');
            if matches!(self.byte(0), b'e' | b'E') {
                self.at += 1;
                self.at += usize::from(matches!(self.byte(0), b'+' | b'-'));
                self.digits(|b| b.is_ascii_digit());
            }
            let value: f64 = self.text[start..self.at].parse().map_err(|_| bad())?;
            return Ok(Token::F64(value.to_bits()));
        }
        let value = self.text[start..self.at].parse().map_err(|_| bad())?;
        self.at += usize::from(self.byte(0) == b'U');
        Ok(Token::Int(value))
    }
}

fn is_word_start(b: u8) -> bool {
    b.is_ascii_alphabetic() || matches!(b, b'_' | b'$' | b'%')
}

fn is_word(b: u8) -> bool {
    b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'%')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(text: &str) -> Vec<Token<'_>> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next().unwrap().0 {
                Token::End => return tokens,
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn words_keep_their_dots() {
        let tokens = all("mov.u32 %r1, %tid.x; // comment\n/* more\n */ $L__BB0_1:");
        let expected = [
            Token::Word("mov.u32"),
            Token::Word("%r1"),
            Token::Punct(b','),
            Token::Word("%tid.x"),
            Token::Punct(b';'),
            Token::Word("$L__BB0_1"),
            Token::Punct(b':'),
        ];
        assert_eq!(tokens, expected);
        assert_eq!(all("a.shared::cta.b8"), [Token::Word("a.shared::cta.b8")]);
    }

    #[test]
    fn numbers_of_every_kind() {
        let tokens = all("0x1F 017 0b101 12 4294967295U 0f3F800000 0d3FF0000000000000 1.5 2e3");
        let expected = [
            Token::Int(31),
            Token::Int(15),
            Token::Int(5),
            Token::Int(12),
            Token::Int(0xffff_ffff),
            Token::F32(0x3f80_0000),
            Token::F64(0x3ff0_0000_0000_0000),
            Token::F64(1.5f64.to_bits()),
            Token::F64(2e3f64.to_bits()),
        ];
        assert_eq!(tokens, expected);
    }

    #[test]
    fn errors_say_where() {
        let mut lexer = Lexer::new("a\n  0f12");
        lexer.next().unwrap();
        let error = lexer.next().unwrap_err();
        assert_eq!((error.line, error.column), (2, 3));
        assert!(Lexer::new("/* ").next().is_err());
        assert!(Lexer::new("\"abc").next().is_err());
    }
}
