//! The machine, the date and the commit of a measurement.

use crate::results::stamp::Stamp;
use cnn_tensor::parallel;
use cnn_tensor::simd::Level;
use serde::Serialize;
use std::process::Command;

#[derive(Clone, Debug, Serialize)]
pub struct Machine {
    #[serde(flatten)]
    pub measured: Stamp,
    pub cpu: String,
    /// Threads that it can run at once.
    pub cores: usize,
    /// The instruction set in use.
    pub simd: &'static str,
}

impl Machine {
    pub fn here() -> Self {
        Self {
            measured: Stamp::now(),
            cpu: cpu().unwrap_or_else(|| "unknown CPU".into()),
            cores: parallel::available(),
            simd: Level::current().name(),
        }
    }
}

/// The CPU's name, as Linux or else macOS tells it.
fn cpu() -> Option<String> {
    if let Ok(text) = std::fs::read_to_string("/proc/cpuinfo") {
        return model_name(&text);
    }
    let output = Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"]).output().ok()?;
    let name = String::from_utf8(output.stdout).ok()?.trim().to_string();
    (!name.is_empty()).then_some(name)
}

/// The first model name in the text of /proc/cpuinfo; on ARM there is none.
fn model_name(cpuinfo: &str) -> Option<String> {
    let value =
        |line: &str| line.strip_prefix("model name")?.split_once(':').map(|(_, name)| name.trim().into());
    cpuinfo.lines().find_map(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_name_is_found() {
        let text =
            "processor\t: 0\nmodel name\t: Example CPU @ 3.00GHz\nflags\t\t: fpu\nmodel name\t: Other\n";
        assert_eq!(model_name(text).as_deref(), Some("Example CPU @ 3.00GHz"));
        assert_eq!(model_name("processor\t: 0\nBogoMIPS\t: 50.00\n"), None);
    }
}
