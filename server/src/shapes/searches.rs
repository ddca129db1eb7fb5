//! The shapes of saved searches' answers and bodies, for the OpenAPI document alone.
#![expect(dead_code, reason = "only their schemas are used")]

use utoipa::ToSchema;

/// A search to save.
#[derive(ToSchema)]
pub struct NewSavedSearch {
    /// Its name, which no other has.
    name: String,
    /// What it searches for, in daybook's language.
    query: String,
    /// Posts what matches. Left out, it stays as it is; null takes it away.
    alert: Option<NewAlert>,
}

/// Where what matches is posted.
#[derive(ToSchema)]
pub struct NewAlert {
    /// The webhook's address: `https://` or `http://`.
    url: String,
    /// `whsec_` and 24 to 64 random bytes in base64. Left out, the one before stays, or one is made.
    secret: Option<String>,
    /// The offset to begin at. Left out, it goes on where it is, or begins at the log's end.
    from: Option<u64>,
}

/// A saved search.
#[derive(ToSchema)]
pub struct SavedSearch {
    /// Its id.
    id: String,
    /// Its name.
    name: String,
    /// What it searches for.
    query: String,
    /// The name of the token that saved it; null where no token was asked for.
    #[schema(required = true)]
    by: Option<String>,
    /// The roles that the token was limited to; its alert is, too.
    roles: Vec<String>,
    /// The users that the token was limited to.
    users: Vec<String>,
    /// When it was saved.
    #[schema(format = DateTime)]
    created_at: String,
    /// When it was changed last.
    #[schema(format = DateTime)]
    updated_at: String,
    /// Where what matches is posted; null if nowhere.
    #[schema(required = true)]
    alert: Option<Alert>,
}

/// Where what matches is posted.
#[derive(ToSchema)]
pub struct Alert {
    /// The webhook's address; without the scope `admin` only its scheme and its host.
    url: String,
    /// The secret, once: in the answer to the request that had it made.
    #[schema(required = true)]
    secret: Option<String>,
    /// The offset that it began at.
    from: u64,
    /// When it began there.
    #[schema(format = DateTime)]
    began_at: String,
    /// How it is doing.
    status: AlertStatus,
}

/// How an alert is doing.
#[derive(ToSchema)]
pub struct AlertStatus {
    /// Everything before this offset was looked at, and what matched was delivered.
    through: u64,
    /// How many offsets the log has behind it.
    behind: u64,
    /// Events that were delivered since it began.
    delivered: u64,
    /// Events that retention erased before the alert came to them.
    gone: u64,
    /// Events that may match, but are in parts of the log that are damaged.
    unreadable: u64,
    /// When something was delivered last.
    #[schema(required = true, format = DateTime)]
    last_delivery_at: Option<String>,
    /// Since when it does not succeed; null while it does.
    #[schema(required = true, format = DateTime)]
    failing_since: Option<String>,
    /// What went wrong last; null once it succeeded again.
    #[schema(required = true)]
    last_error: Option<String>,
    /// When it is tried again.
    #[schema(required = true, format = DateTime)]
    next_attempt_at: Option<String>,
    /// Why it stands still until it is changed; null while it does not.
    #[schema(required = true)]
    paused: Option<AlertPaused>,
}

/// Why an alert stands still.
#[derive(ToSchema)]
pub struct AlertPaused {
    /// Since when.
    #[schema(format = DateTime)]
    since: String,
    /// Why.
    why: String,
}

/// The saved searches.
#[derive(ToSchema)]
pub struct SavedSearchPage {
    /// The searches, by name.
    items: Vec<SavedSearch>,
    /// Always null: they are on one page.
    #[schema(required = true)]
    next_cursor: Option<String>,
    /// How many there are.
    count: u64,
}

/// What came of a test.
#[derive(ToSchema)]
pub struct TestedAlert {
    /// Did the receiver answer 2xx?
    delivered: bool,
    /// The status that it answered.
    #[schema(required = true)]
    status: Option<u16>,
    /// The beginning of what it answered.
    #[schema(required = true)]
    answer: Option<String>,
    /// What is wrong, if it was not delivered.
    #[schema(required = true)]
    error: Option<String>,
    /// How long it took, in milliseconds.
    took_ms: u64,
}
