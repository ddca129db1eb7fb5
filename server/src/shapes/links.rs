//! Links and shares.

use utoipa::ToSchema;

/// A link that is to be made to a file.
#[derive(ToSchema)]
pub struct NewLink {
    /// As in `/v1/sessions/{id}/download`.
    format: String,
    /// How long it is good, up to `365d`; `7d` if unsaid.
    expires_in: Option<String>,
    /// `whole` (if unsaid), `command:SEQ`, or `FROM..TO`, two times.
    part: Option<String>,
    /// `shown` (if unsaid) or `hidden`.
    outputs: Option<String>,
    /// What it is for.
    note: Option<String>,
    /// Who makes it, where no token says it.
    by: Option<String>,
}

/// A share that is to be made.
#[derive(ToSchema)]
pub struct NewShare {
    /// `"anyone"`, or the names of up to ten reviewers' tokens.
    #[schema(value_type = Object)]
    to: (),
    /// How long it is good, up to `365d`; `7d` if unsaid.
    expires_in: Option<String>,
    /// `whole` (if unsaid), `command:SEQ`, or `FROM..TO`, two times.
    part: Option<String>,
    /// `shown` (if unsaid) or `hidden`.
    outputs: Option<String>,
    /// What it is for.
    note: Option<String>,
    /// Who makes it, where no token says it.
    by: Option<String>,
}

/// The links of a list.
#[derive(ToSchema)]
pub struct Links {
    /// They, the newest first; at most 1,000.
    items: Vec<Link>,
    /// Always null.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// A link.
#[derive(ToSchema)]
pub struct Link {
    /// Its id, by which it is revoked.
    id: String,
    /// `download` or `share`.
    kind: String,
    /// The session.
    session: String,
    /// Who made it.
    by: String,
    /// When.
    #[schema(format = DateTime)]
    created_at: String,
    /// Until when it is good.
    #[schema(format = DateTime)]
    expires_at: String,
    /// The format of the file that it leads to.
    #[schema(nullable = false)]
    format: Option<String>,
    /// Whom it shows the session: `"anyone"`, or names.
    #[schema(nullable = false)]
    to: Option<Reviewers>,
    /// What of the session.
    part: String,
    /// `shown` or `hidden`.
    outputs: String,
    /// What it is for.
    note: String,
    /// How often it was used at this node.
    uses: u64,
    /// When it was used last.
    #[schema(required = true)]
    used_at: Option<String>,
    /// By whom.
    #[schema(required = true)]
    used_by: Option<String>,
    /// When it was revoked.
    #[schema(required = true)]
    revoked_at: Option<String>,
    /// By whom.
    #[schema(required = true)]
    revoked_by: Option<String>,
    /// Its address, for who made it.
    #[schema(nullable = false)]
    url: Option<String>,
}

/// Whom a share is for.
#[derive(serde::Serialize, ToSchema)]
#[serde(untagged)]
pub enum Reviewers {
    /// `anyone`.
    Anyone(String),
    /// Names of tokens.
    Named(Vec<String>),
}

/// A revocation.
#[derive(ToSchema)]
pub struct Revoked {
    /// The link's id.
    id: String,
    /// It is.
    revoked: bool,
}

/// What a share shows.
#[derive(ToSchema)]
pub struct Shared {
    /// The session, as `/v1/sessions/{id}` has it; of a part who, where and when.
    #[schema(value_type = Object)]
    session: (),
    /// What is shown, to whom.
    share: Share,
}

/// What is shown, to whom.
#[derive(ToSchema)]
pub struct Share {
    /// The link's id.
    id: String,
    /// Whom it is for.
    to: Reviewers,
    /// What of the session.
    part: String,
    /// `shown` or `hidden`.
    outputs: String,
    /// Until when it is good.
    #[schema(format = DateTime)]
    expires_at: String,
}
