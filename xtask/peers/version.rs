//! The version of the crate that a peer is made of, out of its `Cargo.lock`: `build.rs` of the peers written in Rust.

/// Sets `PEER_VERSION`, for `env!`, to the locked version of `package`.
pub fn set(package: &str) {
    let lock = std::fs::read_to_string("Cargo.lock").expect("Cargo.lock beside Cargo.toml");
    let version = lock
        .split("[[package]]")
        .find_map(|entry| entry.trim_start().strip_prefix(&format!("name = \"{package}\"\nversion = \"")))
        .and_then(|rest| rest.split('"').next())
        .unwrap_or_else(|| panic!("Cargo.lock: expected {package}"));
    println!("cargo::rustc-env=PEER_VERSION={version}");
    println!("cargo::rerun-if-changed=Cargo.lock");
}
