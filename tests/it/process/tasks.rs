//! Tasks of the real server: kept through crashes, restarts and full disks, ended by drift, shown to clients of OAuth.
//! Never reaches inside.

mod desk;

mod canary;
mod clock;
mod crash;
mod damage;
mod drift;
mod oauth;
mod restart;
mod room;
mod shell;
