//! Generates the protobuf and gRPC code from `proto/`, with nothing installed.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    // Without the server there is no face to generate code for.
    if std::env::var_os("CARGO_FEATURE_SERVER").is_none() {
        return Ok(());
    }
    let files = protox::compile(["palisade/v1/authorization.proto"], ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    tonic_prost_build::configure()
        .file_descriptor_set_path(out.join("palisade.bin"))
        .btree_map(".")
        .compile_fds(files)?;
    Ok(())
}
