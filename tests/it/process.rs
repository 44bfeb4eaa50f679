//! The real binary as a child process: how it starts, reloads, records, is looked after and stops.
//! Never reaches inside: everything is seen through sockets, files, output and exit codes.

mod child;
mod http;
mod load;
mod place;
mod server;

mod admin;
mod authorize;
mod authzen;
mod bundles;
mod canaries;
mod commands;
mod discovery;
mod journal;
mod keys;
mod limits;
mod outage;
mod reach;
mod reload;
mod secrets;
mod signing;
mod start;
mod stop;
mod tasks;
mod thousand;
mod tls;
mod traces;
mod unix;
