//! What works on the embedded database works on PostgreSQL.

use crate::harness::http::text;
use crate::harness::postgres::Postgres;
use crate::harness::{Request, Server};

#[test]
fn every_documented_step_works_on_postgresql() {
    let database = Postgres::start();
    let server = Server::builder().env("BOATYARD_DATABASE_URL", &database.url()).start();
    crate::walkthrough::walk(&server);
    assert!(!server.data_dir.join("boatyard.db").exists(), "nothing is kept in the data folder's own database");
}

#[test]
fn a_cluster_on_postgresql_survives_a_crash_and_becomes_normal() {
    let database = Postgres::start();
    let mut server = Server::builder().pace("fast").env("BOATYARD_DATABASE_URL", &database.url()).start();
    let token = server.token(&server.administrator);
    let id = server.create_vpc(&token, "struck");
    server.kill();
    server.start_again();
    server.normal(&token, &id);
    let taken = Request::post("/global/v2/vpc/createCluster").bearer(&token).json(&server.vpc_order(&token, "struck"));
    assert_eq!(text(&server.send(taken).json(409), "/code"), "E0007");
    server.send(Request::delete(format!("/global/v1/clusters/{id}")).bearer(&token)).expect(204);
}

#[test]
fn pools_workers_and_masters_change_on_postgresql_as_they_do_on_the_embedded_database() {
    let database = Postgres::start();
    let server = Server::builder().pace("real").env("BOATYARD_DATABASE_URL", &database.url()).start();
    crate::pools::vpc_pool_life(&server);
    crate::workers::replaced(&server);
    crate::masters::updated(&server);
}

#[test]
fn many_resizes_at_once_end_in_one_of_the_sizes_on_postgresql() {
    let database = Postgres::start();
    crate::pools::resized_at_once(&Server::builder().pace("fast").env("BOATYARD_DATABASE_URL", &database.url()).start());
}
