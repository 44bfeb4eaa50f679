//! `palisade tasks`: authority that is lent to an agent for one purpose, asked of a running server.
//! Never decides, and never remembers: what is so is what the server says.

mod answer;
mod bounds;
mod delegate;
mod document;
mod duration;
mod end;
mod holder;
mod keep;
mod list;
mod paper;
mod renew;
mod revoke;
mod show;
mod start;
mod target;
mod wanted;
mod watch;

use clap::{Args, Subcommand, ValueEnum};
use tonic::transport::Channel;

use super::remote::Dialled;
use super::{Exit, remote, trouble};
use crate::api::proto::v1::tasks_client::TasksClient;

pub(super) use paper::parties;

/// The longest message that is taken from the server: a page of tasks with all their bounds.
pub(super) const MESSAGE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// What to do about tasks.
#[derive(Debug, Args)]
#[command(after_help = "\
Exit codes: 0 done · 1 denied · 2 usage or I/O error, or the server refused

Without --token-file a command shows the token that lies in the data directory of the server on this machine.

A first session, in the directory where the server was started:
  palisade tasks start --human ana --agent support-bot --purpose refunds --tool crm/issue_refund --ttl 15m --token-out task.token
  palisade tasks list
  palisade tasks revoke --agent support-bot --reason 'it went astray'
  palisade tasks watch")]
pub(super) struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start a task for an agent, and keep its token.
    Start(Box<start::Options>),
    /// Hand a part of a task on to another agent.
    Delegate(Box<delegate::Options>),
    /// Give a task more time.
    Renew(renew::Options),
    /// The open tasks, and what is revoked.
    List(list::Options),
    /// Everything about one task.
    Show(show::Options),
    /// End a task, with its parts.
    End(end::Options),
    /// Take authority back at once: from a task, an agent, a person, for a tool or for data.
    Revoke(revoke::Options),
    /// Let what was revoked start anew.
    Lift(revoke::Options),
    /// Follow what happens to tasks.
    Watch(watch::Options),
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people; colours on a terminal only.
    Table,
    /// For programs: one JSON document, of `watch` one in each line.
    Json,
}

pub(super) fn run(options: &Options) -> Exit {
    let ended = match &options.command {
        Command::Start(options) => remote::wait(start::run(options)),
        Command::Delegate(options) => remote::wait(delegate::run(options)),
        Command::Renew(options) => remote::wait(renew::run(options)),
        Command::List(options) => remote::wait(list::run(options)),
        Command::Show(options) => remote::wait(show::run(options)),
        Command::End(options) => remote::wait(end::run(options)),
        Command::Revoke(options) => remote::wait(revoke::revoke(options)),
        Command::Lift(options) => remote::wait(revoke::lift(options)),
        Command::Watch(options) => watch::run(options),
    };
    ended.unwrap_or_else(trouble)
}

fn client(server: &Dialled) -> TasksClient<Channel> {
    TasksClient::new(server.channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX)
}

#[cfg(test)]
mod tests;
