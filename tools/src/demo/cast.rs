//! Who and what the sample sessions are about: people of example.com, their agents, their resources.

/// A person.
#[derive(Clone, Copy, Debug, Default)]
pub struct Person {
    /// The e-mail.
    pub user: &'static str,
    /// The name.
    pub name: &'static str,
    /// The groups.
    pub groups: &'static [&'static str],
}

const fn person(user: &'static str, name: &'static str, groups: &'static [&'static str]) -> Person {
    Person { user, name, groups }
}

/// The people.
pub const PEOPLE: &[Person] = &[
    person("maya.lindqvist@example.com", "Maya Lindqvist", &["sre", "on-call"]),
    person("tomas.okafor@example.com", "Tomas Okafor", &["sre"]),
    person("ines.carvalho@example.com", "Ines Carvalho", &["data", "analysts"]),
    person("jun.watanabe@example.com", "Jun Watanabe", &["platform", "dba"]),
    person("priya.raman@example.com", "Priya Raman", &["support", "tier-2"]),
    person("lukas.brandt@example.com", "Lukas Brandt", &["payments", "developers"]),
    person("amara.diallo@example.com", "Amara Diallo", &["security"]),
    person("sofia.rossi@example.com", "Sofia Rossi", &["support"]),
    person("noah.hansen@example.com", "Noah Hansen", &["developers"]),
    person("grace.mwangi@example.com", "Grace Mwangi", &["platform", "sre"]),
    person("daniel.cohen@example.com", "Daniel Cohen", &["finance", "analysts"]),
    person("eva.novak@example.com", "Eva Novak", &["developers", "contractors"]),
];

/// The AI agents that act for people.
pub const AGENTS: &[&str] = &["support-copilot", "sql-analyst", "ops-runbook-agent"];

/// Who decides reviews.
pub const REVIEWERS: &[&str] =
    &["amara.diallo@example.com", "jun.watanabe@example.com", "maya.lindqvist@example.com"];

/// A resource role.
#[derive(Clone, Copy, Debug, Default)]
pub struct Role {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: &'static str,
    /// Its subtype.
    pub subtype: Option<&'static str>,
    /// Where it runs.
    pub environment: &'static str,
    /// A host, database or cluster, for outputs and metadata.
    pub target: &'static str,
}

const fn role(
    name: &'static str,
    kind: &'static str,
    subtype: Option<&'static str>,
    environment: &'static str,
    target: &'static str,
) -> Role {
    Role { name, kind, subtype, environment, target }
}

/// The resource roles; the frequent ones stand there more than once.
pub const ROLES: &[Role] = &[
    role("prod-us-east", "database", Some("postgres"), "production", "orders"),
    role("prod-us-east", "database", Some("postgres"), "production", "orders"),
    role("prod-eu-west", "database", Some("postgres"), "production", "orders"),
    role("analytics-replica", "database", Some("postgres"), "production", "warehouse"),
    role("staging-orders", "database", Some("postgres"), "staging", "orders"),
    role("billing-prod", "database", Some("mysql"), "production", "billing"),
    role("billing-staging", "database", Some("mysql"), "staging", "billing"),
    role("web-prod", "ssh", None, "production", "web-03"),
    role("web-prod", "ssh", None, "production", "web-07"),
    role("db-host-prod", "ssh", None, "production", "db-01"),
    role("build-runners", "ssh", None, "staging", "build-12"),
    role("k8s-prod", "kubernetes", None, "production", "prod-eks-1"),
    role("k8s-prod", "kubernetes", None, "production", "prod-eks-1"),
    role("k8s-staging", "kubernetes", None, "staging", "stage-eks-2"),
    role("admin-portal", "application", Some("http"), "production", "admin.example.com"),
    role("internal-api", "application", Some("http"), "production", "api.example.com"),
];

/// First names, last names and towns for rows of customers.
pub const FIRST: &[&str] = &[
    "Anna", "Ben", "Carla", "Dmitri", "Elena", "Farid", "Greta", "Hugo", "Ivy", "Jonas", "Kira",
    "Leo", "Mina", "Nils", "Olga", "Pablo",
];
/// Last names.
pub const LAST: &[&str] = &[
    "Albright", "Becker", "Castillo", "Dubois", "Eriksen", "Fischer", "Garcia", "Haddad", "Ito",
    "Jansen", "Kowalski", "Lopez", "Moreau", "Nakamura",
];
/// Towns.
pub const TOWNS: &[&str] =
    &["Lisbon", "Austin", "Oslo", "Kyoto", "Nairobi", "Lyon", "Porto", "Denver", "Ghent"];
/// Products.
pub const PRODUCTS: &[&str] = &[
    "Trail backpack 32L",
    "Rain shell",
    "Merino base layer",
    "Camp stove",
    "Headlamp 400",
    "Dry bag 20L",
    "Carbon poles",
    "Down quilt",
];
