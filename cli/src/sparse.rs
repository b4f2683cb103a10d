//! Runs of zeros as holes, which take no space on the disk.

use std::{
    fs::File,
    io::{self, Seek, SeekFrom, Write},
};

/// Zeros fewer than these are written: file systems have no smaller holes.
const BLOCK: usize = 4096;

/// An output that can leave a hole, which reads as zeros.
pub(crate) trait Holes: Write {
    /// Passes over `zeros` bytes. If nothing is written after them, completing the output must
    /// still give it its full length.
    fn skip(&mut self, zeros: u64) -> io::Result<()>;
}

/// Writes `bytes`, which begin at `position` of the output, with whole blocks of zeros as holes.
fn write(output: &mut impl Holes, position: u64, mut bytes: &[u8]) -> io::Result<()> {
    // Blocks begin where the file system's do.
    let mut block = BLOCK - (position % BLOCK as u64) as usize;
    while !bytes.is_empty() {
        let mut written = 0;
        let mut skipped = 0;
        while written < bytes.len() {
            let piece = &bytes[written..bytes.len().min(written + block)];
            if piece.len() == BLOCK && is_zero(piece) {
                break;
            }
            written += piece.len();
            block = BLOCK;
        }
        output.write_all(&bytes[..written])?;
        bytes = &bytes[written..];
        while bytes.len() - skipped >= BLOCK && is_zero(&bytes[skipped..skipped + BLOCK]) {
            skipped += BLOCK;
        }
        if skipped > 0 {
            output.skip(skipped as u64)?;
        }
        bytes = &bytes[skipped..];
    }
    Ok(())
}

/// Writes content from its first byte on, with or without holes.
pub(crate) struct Writer<'a, O> {
    output: &'a mut O,
    position: u64,
    holes: bool,
}

impl<'a, O: Holes> Writer<'a, O> {
    /// Writes to `output`, at which nothing was written yet.
    pub(crate) fn new(output: &'a mut O, holes: bool) -> Self {
        Self { output, position: 0, holes }
    }
}

impl<O: Holes> Write for Writer<'_, O> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.holes {
            true => write(self.output, self.position, bytes)?,
            false => self.output.write_all(bytes)?,
        }
        self.position += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.output.flush()
    }
}

/// Standard output, if it is a regular file in which a hole can be left here: it ends here, and
/// bytes go where the offset is rather than to the end.
#[cfg(target_os = "linux")]
pub(crate) fn stdout() -> Option<File> {
    use std::os::fd::AsFd;
    let mut file = File::from(io::stdout().as_fd().try_clone_to_owned().ok()?);
    let metadata = file.metadata().ok().filter(std::fs::Metadata::is_file)?;
    let appends = rustix::fs::fcntl_getfl(&file).ok()?.contains(rustix::fs::OFlags::APPEND);
    let ends = file.stream_position().ok()? >= metadata.len();
    (!appends && ends).then_some(file)
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn stdout() -> Option<File> {
    None
}

/// Passes over `zeros` bytes of a file.
pub(crate) fn skip(file: &mut impl Seek, zeros: u64) -> io::Result<()> {
    let zeros = i64::try_from(zeros).map_err(|_| io::ErrorKind::FileTooLarge)?;
    file.seek(SeekFrom::Current(zeros)).map(drop)
}

/// Gives a file that may end in a hole its full length.
pub(crate) fn complete(mut file: &File) -> io::Result<()> {
    let end = file.stream_position()?;
    if file.metadata()?.len() < end { file.set_len(end) } else { Ok(()) }
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().fold(0, |any, byte| any | byte) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct File {
        bytes: Vec<u8>,
        holes: Vec<std::ops::Range<usize>>,
    }

    impl Write for File {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.bytes.write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Holes for File {
        fn skip(&mut self, zeros: u64) -> io::Result<()> {
            let begin = self.bytes.len();
            self.bytes.resize(begin + zeros as usize, 0);
            self.holes.push(begin..self.bytes.len());
            Ok(())
        }
    }

    #[test]
    fn whole_blocks_of_zeros_are_holes() {
        let content = [vec![1; 5000], vec![0; 20_000], vec![2; 10], vec![0; 9000]].concat();
        // However the content is handed over, it is the same file.
        for step in [1, 100, 4096, 10_000, 1 << 20] {
            let mut file = File::default();
            for (i, piece) in content.chunks(step).enumerate() {
                write(&mut file, (i * step) as u64, piece).unwrap();
            }
            assert!(file.bytes == content, "{step}");
            for hole in &file.holes {
                assert!(hole.start % BLOCK == 0 && hole.len() % BLOCK == 0, "{step}: {hole:?}");
            }
            let skipped: usize = file.holes.iter().map(ExactSizeIterator::len).sum();
            assert_eq!(skipped >= 2 * BLOCK, step >= BLOCK, "{step}");
            if step == 1 << 20 {
                assert_eq!(file.holes, [8192..24576, 28672..32768]);
            }
        }
    }
}
