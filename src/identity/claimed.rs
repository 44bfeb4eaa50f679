//! The claims of a token whose signature a gateway has verified, and which came here without it.
//! Never verifies a signature: whoever asks has made sure that the gateway may say this, and of which issuers.

use super::fault::TokenFault;
use super::jwt::Claims;
use super::trust::{TokenKind, Trust};
use super::verify::{Verified, of_issuer};
use crate::value::Members;

impl Trust {
    /// What the claims say of the parties: everything is checked that the token itself would be held against, but for the
    /// signature and the header.
    ///
    /// # Errors
    /// [`TokenFault`]; also for a token that is bound to a key, whose proof nobody has seen.
    pub fn claimed(
        &self,
        claims: Members,
        server_audience: Option<&str>,
        now_s: i64,
    ) -> Result<Verified, TokenFault> {
        let claims = Claims::of(claims);
        let (issuer, _) = self.issuer(claims.required("iss")?).ok_or(TokenFault::UnknownIssuer)?;
        let believed = |kind: &&TokenKind| matches!(kind, TokenKind::AccessToken | TokenKind::Jwt);
        let kind = issuer.kinds.iter().find(believed).ok_or(TokenFault::UnknownIssuer)?;
        let verified = of_issuer(issuer, *kind, &claims, self.config.actor_depth_max)?;
        let expected: Vec<&str> = self.audiences(&verified, server_audience).collect();
        verified.check_audience(&expected)?;
        verified.check_time(now_s, self.leeway_s())?;
        self.check_revoked(&verified)?;
        if !verified.confirmation.is_none() {
            return Err(TokenFault::claim("cnf", "shown with the token itself and a proof of its key"));
        }
        Ok(verified)
    }
}
