//! The pages are built by `make ui`; where they are not, an empty folder lets the crate compile, and the server says so.

fn main() {
    println!("cargo:rerun-if-changed=ui/dist");
    std::fs::create_dir_all("ui/dist").expect("the folder of the pages can be created in the source tree");
}
