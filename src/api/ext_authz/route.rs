//! What the operator of a gateway says of a route: which server is behind it, and how requests are read.
//! Never takes a server for another: a route that names none is its caller's only one, or nobody's.

use std::collections::BTreeMap;

use crate::catalog::Server;
use crate::identity::{Caller, Servers};
use crate::pdp::Vocabulary;

/// The settings that a route may have; others are for somebody else.
const PROFILE: &str = "profile";
const SERVER: &str = "server";
const RESOURCE: &str = "mcp_resource";
const TENANT: &str = "tenant";
const ROUTE: &str = "route";

/// How the requests of a route are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Profile {
    /// As messages of MCP for the server with this id.
    Mcp {
        /// The catalog id.
        server: String,
        /// Its resource identifier.
        audience: Option<String>,
    },
    /// As methods on paths.
    Http {
        /// The name of the route, such as `/orders/{id}`; none names each path by itself.
        route: Option<String>,
        /// Whose route it is.
        tenant: Option<String>,
    },
}

/// Reads the settings; words where they say nothing, or two things.
pub(super) fn read(
    settings: &BTreeMap<String, String>,
    names: Vocabulary<'_>,
    caller: &Caller,
) -> Result<Profile, String> {
    let setting = |name: &str| settings.get(name).filter(|text| !text.is_empty()).cloned();
    match setting(PROFILE).as_deref() {
        None | Some("mcp") => {}
        Some("http") => return Ok(Profile::Http { route: setting(ROUTE), tenant: setting(TENANT) }),
        Some(_) => return Err("the route's `profile` must be `mcp` or `http`".to_owned()),
    }
    if setting(TENANT).is_some() {
        // Nothing in the catalog tells tenants apart: believing that something did would mix them.
        return Err("a route with the profile `mcp` has no `tenant`; name its server".to_owned());
    }
    let of = |server: &Server| (server.id.clone(), server.audience.clone());
    let by_audience = setting(RESOURCE).map(|audience| {
        let mut found =
            names.catalog().servers().filter(|server| server.audience.as_ref() == Some(&audience));
        match (found.next(), found.next()) {
            (Some(only), None) => Ok(of(only)),
            _ => Err("the route's `mcp_resource` is the audience of no server of the catalog, or of several"),
        }
    });
    let by_id = setting(SERVER).map(|id| {
        let audience = names.catalog().server(&id).and_then(|server| server.audience.clone());
        (id, audience)
    });
    let (server, audience) = match (by_id, by_audience.transpose()?) {
        (Some(by_id), Some(by_audience)) if by_id.0 != by_audience.0 => {
            return Err("the route's `server` and `mcp_resource` are two servers".to_owned());
        }
        (Some(found), _) | (None, Some(found)) => found,
        (None, None) => {
            let only = only_server(caller)
                .ok_or("the route does not say which server is behind it; give it `server`")?;
            (only.clone(), names.catalog().server(only).and_then(|server| server.audience.clone()))
        }
    };
    Ok(Profile::Mcp { server, audience })
}

fn only_server(caller: &Caller) -> Option<&String> {
    match &caller.servers {
        Servers::All => None,
        Servers::Named(ids) => ids.first().filter(|_| ids.len() == 1),
    }
}
