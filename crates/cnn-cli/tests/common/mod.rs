//! Runs the program as a user does.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

/// The program, with these arguments.
pub fn cnn<I: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = I>) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cnn"));
    command.args(arguments).stdin(Stdio::null()).env("CNN_HOME", home());
    command
}

/// The folder with the committed data sets.
pub fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// A short training run into `out`, on the first images of MNIST.
#[allow(dead_code)]
pub fn short_run(out: &Path, more: &[&str]) -> Command {
    let mut command =
        cnn(["train-lenet", "--epochs", "3", "--limit", "1500", "--batch-size", "50", "--seed", "7"]);
    command.arg("--data-dir").arg(first_of_mnist()).arg("--out").arg(out).args(more);
    command
}

/// A folder with the first 2,000 training and 1,000 test images of MNIST: to test on all of them takes most of a short run.
#[allow(dead_code)]
pub fn first_of_mnist() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-of-mnist");
        std::fs::create_dir_all(&folder).unwrap();
        for (name, images) in [("train", 2_000), ("t10k", 1_000u32)] {
            for (kind, header, bytes) in [("images-idx3", 16, 784), ("labels-idx1", 8, 1)] {
                let name = format!("{name}-{kind}-ubyte");
                let mut file = vec![0; header + images as usize * bytes];
                let packed = std::fs::File::open(mnist(&format!("{name}.gz"))).unwrap();
                flate2::read::GzDecoder::new(packed).read_exact(&mut file).unwrap();
                file[4..8].copy_from_slice(&images.to_be_bytes());
                // Other tests may read it now.
                let temporary = tempfile::NamedTempFile::new_in(&folder).unwrap();
                std::fs::write(temporary.path(), file).unwrap();
                temporary.persist(folder.join(name)).unwrap();
            }
        }
        folder
    })
}

/// What the program printed on stdout; it must succeed.
#[allow(dead_code)]
#[track_caller]
pub fn stdout(mut command: Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The one line that the program says on stderr; it must fail with status 1 or 2, and not by a panic.
#[allow(dead_code)]
#[track_caller]
pub fn refusal(mut command: Command) -> String {
    let Output { status, stdout, stderr } = command.output().unwrap();
    let stderr = String::from_utf8(stderr).unwrap();
    assert!(matches!(status.code(), Some(1 | 2)), "{status}: {stderr}");
    assert!(stdout.is_empty(), "nothing on stdout: {}", String::from_utf8_lossy(&stdout));
    let line = stderr.strip_suffix('\n').unwrap_or(&stderr);
    assert!(!line.contains('\n'), "one line: {stderr}");
    line.strip_prefix("error: ").unwrap_or_else(|| panic!("begins with error: {line}")).into()
}

/// A file of the committed MNIST.
#[allow(dead_code)]
pub fn mnist(file: &str) -> PathBuf {
    home().join("datasets/mnist").join(file)
}
