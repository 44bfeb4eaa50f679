//! Generates the protobuf and gRPC code from `proto/`, with nothing installed.

use prost::Message as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    // Without the server there is no face to generate code for.
    if std::env::var_os("CARGO_FEATURE_SERVER").is_none() {
        return Ok(());
    }
    let protos = [
        "palisade/v1/authorization.proto",
        "palisade/v1/tasks.proto",
        "palisade/v1/admin.proto",
        "envoy/service/auth/v3/external_auth.proto",
        "agentgateway/ext_mcp.proto",
        "palisade/v1/search.proto",
    ];
    let files = protox::compile(protos, ["proto"])?;
    let out = std::path::PathBuf::from(std::env::var("OUT_DIR")?);
    std::fs::write(out.join("palisade.bin"), files.encode_to_vec())?;
    tonic_prost_build::configure().btree_map(".").compile_fds(files)?;
    Ok(())
}
