//! What devices there are: the environment variables, and the limits of each compute capability.

use parans_emulator::{Checks, DeviceModel};

/// The devices of this process.
#[derive(Debug)]
pub(crate) struct Config {
    /// Devices present.
    pub(crate) count: usize,
    /// What each of them is.
    pub(crate) model: DeviceModel,
    /// Whether work in streams runs only when something waits for it.
    pub(crate) lazy: bool,
}

/// More devices than any test needs: a count past it is a typing error.
const MOST_DEVICES: usize = 64;

/// Reads the environment.
///
/// # Errors
/// The variable and what is wrong with it.
pub(crate) fn from_environment() -> Result<Config, String> {
    read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

/// Reads the settings from any source of variables.
pub(crate) fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Config, String> {
    let mut config = Config { count: 1, model: DeviceModel::sm_90(), lazy: false };
    if let Some(text) = variable("PARANS_DEVICE_MODEL") {
        config.model = model(&text)
            .ok_or_else(|| format!("PARANS_DEVICE_MODEL={text}: not one of sm_52, sm_70, sm_75, sm_80, sm_86, sm_89, sm_90, sm_100, sm_120"))?;
    }
    if let Some(text) = variable("PARANS_DEVICE_COUNT") {
        config.count =
            text.parse().ok().filter(|&count| count <= MOST_DEVICES).ok_or_else(|| {
                format!("PARANS_DEVICE_COUNT={text}: not a number up to {MOST_DEVICES}")
            })?;
    }
    if let Some(text) = variable("PARANS_DEVICE_MEMORY") {
        config.model.total_memory =
            bytes(&text).ok_or_else(|| format!("PARANS_DEVICE_MEMORY={text}: not a size"))?;
    }
    if let Some(text) = variable("PARANS_DEVICE_CHECKS") {
        config.model.checks = match text.as_str() {
            "all" => Checks::ALL,
            "minimal" => Checks::MINIMAL,
            _ => return Err(format!("PARANS_DEVICE_CHECKS={text}: neither all nor minimal")),
        };
    }
    if let Some(text) = variable("PARANS_DEVICE_LAZY") {
        config.lazy = match text.as_str() {
            "0" => false,
            "1" => true,
            _ => return Err(format!("PARANS_DEVICE_LAZY={text}: neither 0 nor 1")),
        };
    }
    Ok(config)
}

/// A size with an optional binary suffix.
fn bytes(text: &str) -> Option<u64> {
    let (digits, shift) = match text.as_bytes().last()? {
        b'K' | b'k' => (&text[..text.len() - 1], 10),
        b'M' | b'm' => (&text[..text.len() - 1], 20),
        b'G' | b'g' => (&text[..text.len() - 1], 30),
        _ => (text, 0),
    };
    digits.parse::<u64>().ok()?.checked_mul(1 << shift)
}

/// Technical limits that differ between compute capabilities (CUDA programming guide, "Compute
/// Capabilities").
struct Limits {
    capability: (u32, u32),
    /// Shared memory of a block with opt-in, in KiB.
    shared_of_block: u32,
    /// Shared memory of a multiprocessor, in KiB.
    shared: u32,
    /// Resident threads of a multiprocessor.
    threads: u32,
    /// Resident blocks of a multiprocessor.
    blocks: u32,
}

/// A row of the table.
const fn limits(
    capability: (u32, u32),
    [shared_of_block, shared, threads, blocks]: [u32; 4],
) -> Limits {
    Limits { capability, shared_of_block, shared, threads, blocks }
}

/// The capabilities there are. 5.2 is older than any PTX of this project: it is there to be refused
/// on.
const LIMITS: &[Limits] = &[
    limits((5, 2), [48, 96, 2048, 32]),
    limits((7, 0), [96, 96, 2048, 32]),
    limits((7, 5), [64, 64, 1024, 16]),
    limits((8, 0), [163, 164, 2048, 32]),
    limits((8, 6), [99, 100, 1536, 16]),
    limits((8, 9), [99, 100, 1536, 24]),
    limits((9, 0), [227, 228, 2048, 32]),
    limits((10, 0), [227, 228, 2048, 32]),
    limits((12, 0), [99, 100, 1536, 24]),
];

/// The model of a name such as `sm_80`.
fn model(name: &str) -> Option<DeviceModel> {
    let number: u32 = name.strip_prefix("sm_")?.parse().ok()?;
    let capability = (number / 10, number % 10);
    let limits = LIMITS.iter().find(|limits| limits.capability == capability)?;
    let mut model = DeviceModel::sm_90();
    model.compute_capability = capability;
    model.shared_per_block_optin = limits.shared_of_block << 10;
    model.shared_per_multiprocessor = limits.shared << 10;
    model.threads_per_multiprocessor = limits.threads;
    model.blocks_per_multiprocessor = limits.blocks;
    Some(model)
}

#[cfg(test)]
mod tests {
    use super::{bytes, read};

    #[test]
    fn settings_are_read_and_wrong_ones_named() {
        let with = |name: &'static str, value: &'static str| {
            read(move |asked| (asked == name).then(|| value.to_owned()))
        };
        assert_eq!(with("PARANS_DEVICE_COUNT", "0").map(|c| c.count), Ok(0));
        let turing = with("PARANS_DEVICE_MODEL", "sm_75").map(|c| c.model);
        assert_eq!(turing.as_ref().map(|m| m.compute_capability), Ok((7, 5)));
        assert_eq!(turing.map(|m| m.shared_per_multiprocessor), Ok(64 << 10));
        assert_eq!(with("PARANS_DEVICE_MEMORY", "3M").map(|c| c.model.total_memory), Ok(3 << 20));
        assert_eq!(with("PARANS_DEVICE_LAZY", "1").map(|c| c.lazy), Ok(true));
        assert_eq!(with("PARANS_DEVICE_LAZY", "0").map(|c| c.lazy), Ok(false));
        for (name, value) in [
            ("PARANS_DEVICE_COUNT", "-1"),
            ("PARANS_DEVICE_MODEL", "sm_76"),
            ("PARANS_DEVICE_MEMORY", "lots"),
            ("PARANS_DEVICE_CHECKS", "some"),
            ("PARANS_DEVICE_LAZY", "very"),
        ] {
            assert!(with(name, value).is_err_and(|error| error.contains(name)), "{name}");
        }
    }

    #[test]
    fn sizes_do_not_overflow() {
        assert_eq!(bytes("16"), Some(16));
        assert_eq!(bytes("2k"), Some(2048));
        assert_eq!(bytes("99999999999999G"), None);
        assert_eq!(bytes(""), None);
    }
}
