#[path = "../version.rs"]
mod version;

fn main() {
    version::set("matrixmultiply");
}
