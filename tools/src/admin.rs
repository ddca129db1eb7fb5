//! Policy and legal holds, of a server or of a data directory that no server has open. Both answer with
//! the same JSON.

use crate::client::Client;
use crate::source::{Sink, TargetArgs, escape};
use anyhow::{Context as _, anyhow};
use daybook_engine::event::Micros;
use daybook_engine::retention::{NewHold, Policy};
use daybook_engine::{Engine, Error};
use daybook_query::holds::HoldItem;
use reqwest::Method;
use serde_json::{Value, json};
use std::sync::Arc;

/// Where policy and holds are.
pub enum Admin {
    /// A server.
    Server(Client),
    /// A data directory.
    Data(Arc<Engine>),
}

impl Admin {
    /// Opens what the arguments name.
    ///
    /// # Errors
    /// An address that is none, or a directory that can't be opened or is damaged.
    pub async fn open(args: &TargetArgs) -> anyhow::Result<Admin> {
        Ok(match Sink::open(args).await? {
            Sink::Server(client) => Admin::Server(client),
            Sink::Data(engine) => Admin::Data(engine),
        })
    }

    /// The policy, as `{"policy": ...}`.
    ///
    /// # Errors
    /// What the server says.
    pub async fn policy(&self) -> anyhow::Result<Value> {
        match self {
            Admin::Server(client) => client.get("/v1/admin/retention", &[]).await,
            Admin::Data(engine) => Ok(json!({ "policy": engine.policy() })),
        }
    }

    /// Changes the policy.
    ///
    /// # Errors
    /// What the server or the log says.
    pub async fn set_policy(&self, policy: Policy, by: String) -> anyhow::Result<Value> {
        match self {
            Admin::Server(client) => {
                let body = json!({ "policy": policy, "by": by });
                client.change(Method::PUT, "/v1/admin/retention", &[], Some(&body)).await
            }
            Admin::Data(engine) => {
                work(engine, move |engine| engine.set_policy(policy, &by)).await?;
                self.done(json!({ "policy": engine.policy() })).await
            }
        }
    }

    /// A pass, or with nobody to do it what one would do.
    ///
    /// # Errors
    /// What the server or the log says.
    pub async fn run(&self, by: Option<String>) -> anyhow::Result<Value> {
        match self {
            Admin::Server(client) => {
                let mut params = vec![("dry_run", by.is_none().to_string())];
                params.extend(by.map(|by| ("by", by)));
                client.change(Method::POST, "/v1/admin/retention/run", &params, None).await
            }
            Admin::Data(engine) => {
                let report = work(engine, move |engine| match by {
                    Some(by) => engine.retain(Micros::now(), &by),
                    None => engine.retention_plan(Micros::now()),
                });
                self.done(serde_json::to_value(report.await?)?).await
            }
        }
    }

    /// The legal holds.
    ///
    /// # Errors
    /// What the server says.
    pub async fn holds(&self) -> anyhow::Result<Vec<Value>> {
        match self {
            Admin::Server(client) => client.items("/v1/admin/holds", &[]).await,
            Admin::Data(engine) => {
                let items = engine.holds().into_iter().map(HoldItem::of);
                Ok(items.map(serde_json::to_value).collect::<Result<_, _>>()?)
            }
        }
    }

    /// Places a hold.
    ///
    /// # Errors
    /// What the server or the log says.
    pub async fn hold(&self, hold: NewHold) -> anyhow::Result<Value> {
        match self {
            Admin::Server(client) => {
                let NewHold { scope, case, reason, by } = hold;
                let mut body = serde_json::to_value(&scope)?;
                if let Some(body) = body.as_object_mut() {
                    body.insert("case".into(), json!(case));
                    body.insert("reason".into(), json!(reason));
                    body.insert("by".into(), json!(by));
                }
                client.change(Method::POST, "/v1/admin/holds", &[], Some(&body)).await
            }
            Admin::Data(engine) => {
                let hold = work(engine, move |engine| engine.hold(hold)).await?;
                self.done(serde_json::to_value(HoldItem::of(hold))?).await
            }
        }
    }

    /// Releases a hold.
    ///
    /// # Errors
    /// What the server or the log says, or that there is none.
    pub async fn release(&self, id: String, by: String, reason: String) -> anyhow::Result<Value> {
        match self {
            Admin::Server(client) => {
                let path = format!("/v1/admin/holds/{}", escape(&id));
                let params = [("by", by), ("reason", reason)];
                client.change(Method::DELETE, &path, &params, None).await
            }
            Admin::Data(engine) => {
                let wanted = id.clone();
                let hold = work(engine, move |engine| engine.release(&wanted, &by, &reason));
                let hold = hold.await?.ok_or_else(|| {
                    anyhow!("there is no hold `{}`", crate::output::clean::line(&id))
                })?;
                self.done(serde_json::to_value(HoldItem::of(hold))?).await
            }
        }
    }

    /// Closes a data directory after a change.
    async fn done(&self, answer: Value) -> anyhow::Result<Value> {
        if let Admin::Data(engine) = self {
            work(engine, Engine::close).await?;
        }
        Ok(answer)
    }
}

async fn work<T: Send + 'static>(
    engine: &Arc<Engine>,
    work: impl FnOnce(&Engine) -> Result<T, Error> + Send + 'static,
) -> anyhow::Result<T> {
    let engine = Arc::clone(engine);
    let done = tokio::task::spawn_blocking(move || work(&engine)).await;
    Ok(done.context("working on the data directory broke")??)
}
