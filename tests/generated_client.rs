//! A client that an independent generator makes from the served document.

use std::path::Path;

use crate::harness::clients::{describe, python, run, script};
use crate::harness::{Request, Server};

#[test]
fn a_client_generated_from_the_served_document_compiles_and_lists_clusters() {
    let server = Server::start();
    let user = server.account("generated");
    let token = server.token(&user);
    let vpc = server.create_vpc(&token, "generated-vpc");
    let classic = server.create_classic(&token, "generated-classic");
    server.normal(&token, &vpc);
    server.normal(&token, &classic);

    let folder = tempfile::tempdir().unwrap();
    let document = folder.path().join("swagger.json");
    let served = server.send(Request::get("/global/swagger-global-api/swagger.json"));
    std::fs::write(&document, &served.expect(200).body).unwrap();
    let settings = folder.path().join("settings.yaml");
    // The formatter it would call is of no use here.
    std::fs::write(&settings, "post_hooks: []\n").unwrap();
    let package = folder.path().join("boatyard_containers");

    let module = |name: &str, arguments: &[&Path]| {
        let (mut command, _home) = python(&[Path::new("-m"), Path::new(name)]);
        command.args(arguments);
        run(&mut command).success()
    };
    let path = Path::new;
    let out = [path("--meta"), path("none"), path("--output-path"), &package];
    module(
        "openapi_python_client",
        &[&[path("generate"), path("--path"), &document, path("--config"), &settings], &out[..]].concat(),
    );
    module("compileall", &[path("-q"), &package]);

    let (mut command, _home) = python(&[&script("python/generated_client.py"), folder.path()]);
    describe(&mut command, &server, &user);
    command.env("TOKEN", &token);
    let printed = run(&mut command).success();
    assert!(printed.contains("generated-vpc") && printed.contains("generated-classic"), "{printed}");
}
