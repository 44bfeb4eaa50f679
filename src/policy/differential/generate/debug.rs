//! A world as it is read when a test fails.

use std::fmt::{Debug, Formatter, Result};

use super::{Asked, World};

impl Debug for World {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        writeln!(to, "World, with one of the generator's schemas")?;
        for template in self.policies.templates() {
            writeln!(to, "// template {}\n{}", template.id(), template.to_cedar())?;
        }
        for policy in self.policies.policies() {
            match (policy.template_id(), policy.template_links()) {
                (Some(template), Some(links)) => {
                    write!(to, "// {} links {template}:", policy.id())?;
                    links.iter().try_for_each(|(slot, uid)| write!(to, " {slot} {uid}"))?;
                    writeln!(to)?;
                }
                _ => writeln!(to, "// {}\n{}", policy.id(), policy.to_cedar().unwrap_or_default())?,
            }
        }
        let mut entities = Vec::new();
        self.entities.write_to_json(&mut entities).unwrap();
        writeln!(to, "{}", String::from_utf8_lossy(&entities))?;
        self.requests.iter().try_for_each(|asked| writeln!(to, "{asked:?}"))
    }
}

impl Debug for Asked {
    fn fmt(&self, to: &mut Formatter<'_>) -> Result {
        let (principal, action, resource) =
            (self.request.principal(), self.request.action(), self.request.resource());
        for (role, uid) in [("principal", principal), ("action", action), ("resource", resource)] {
            write!(to, "{role} {} ", uid.map(ToString::to_string).unwrap_or_default())?;
        }
        write!(to, "context ")?;
        if let Some(context) = self.request.context() {
            write!(to, "{}", context.to_json_value().unwrap())?;
        }
        for one in &self.brought {
            write!(to, "\n    brought {}", one.to_json_string().unwrap())?;
        }
        Ok(())
    }
}
