//! PostgreSQL, by the simple protocol: whatever psql would send runs, and values come as text.
//!
//! Each run has a connection of its own, so that nothing of one is seen by the next. Unless writing is allowed it is in a
//! read-only transaction that is rolled back. That keeps from accidents, not from a statement that means to write: it
//! could end the transaction itself. What must not be changed is kept by the rights of the role in the DSN.

use super::recording::Recording;
use super::table::Table;
use super::{Ended, Limits, MIND_WITHIN};
use crate::producer::NotTaken;
use anyhow::Context as _;
use futures_util::StreamExt as _;
use rustls_platform_verifier::BuilderVerifierExt as _;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, Error, SimpleQueryMessage, SimpleQueryStream};
use tokio_postgres_rustls::MakeRustlsConnect;
use tokio_rustls::rustls::ClientConfig;

/// A PostgreSQL server.
#[derive(Debug)]
pub struct Postgres {
    config: Config,
    read_write: bool,
}

/// A connection to one.
pub struct Connected {
    client: Client,
    tls: MakeRustlsConnect,
    read_write: bool,
    connection: JoinHandle<()>,
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

/// TLS as the system trusts it.
fn tls() -> anyhow::Result<MakeRustlsConnect> {
    crate::client::set_up_tls();
    let config = ClientConfig::builder()
        .with_platform_verifier()
        .context("can't read the certificates that the system trusts")?;
    Ok(MakeRustlsConnect::new(config.with_no_client_auth()))
}

impl Postgres {
    /// The server that a DSN names.
    ///
    /// # Errors
    /// One that can't be read.
    pub fn new(dsn: &str, read_write: bool) -> anyhow::Result<Postgres> {
        let mut config: Config = dsn.parse().context(
            "the DSN can't be read; write one like postgres://USER:PASSWORD@HOST:5432/DATABASE",
        )?;
        config.application_name("daybook runner");
        Ok(Postgres { config, read_write })
    }

    /// Connects, and makes ready to run something for so long.
    pub(super) async fn connect(&self, time: Duration) -> anyhow::Result<Connected> {
        let tls = tls()?;
        let connecting = self.config.connect(tls.clone());
        let (client, connection) = connecting.await.map_err(|error| said(&error))?;
        let connection = tokio::spawn(async move {
            // What ends it, the query says too.
            let _ = connection.await;
        });
        let connected = Connected { client, tls, read_write: self.read_write, connection };
        let mut setup = format!("SET statement_timeout = {}", time.as_millis().max(1));
        if !self.read_write {
            // A transaction can be made to write until its first query.
            setup.push_str("; SET default_transaction_read_only = on; BEGIN READ ONLY; SELECT 1");
        }
        connected.client.batch_execute(&setup).await.map_err(|error| said(&error))?;
        Ok(connected)
    }
}

/// What the server, or the way to it, said.
fn said(error: &Error) -> anyhow::Error {
    match error.as_db_error() {
        Some(error) => anyhow::anyhow!("PostgreSQL says: {}", error.message()),
        None => {
            let mut cause: &dyn std::error::Error = error;
            while let Some(deeper) = cause.source() {
                cause = deeper;
            }
            anyhow::anyhow!("{cause}")
        }
    }
}

impl Connected {
    /// Runs a text of SQL until it ends, takes too long, or `stop` says why it has to.
    pub(super) async fn run(
        self,
        input: &str,
        limits: &Limits,
        recording: &mut Recording,
        stop: impl Future<Output = String>,
    ) -> Ended {
        let mut ended = Ended::default();
        let why = {
            let query = async {
                match self.client.simple_query_raw(input).await {
                    Ok(stream) => results(stream, limits, recording, &mut ended).await,
                    Err(error) => failed(&error, recording, &mut ended).await,
                }
            };
            tokio::pin!(query);
            // The server ends it by itself before.
            let late = tokio::time::sleep(limits.time + MIND_WITHIN);
            let why = tokio::select! {
                () = &mut query => None,
                why = stop => Some(why),
                () = late => Some(format!("it took longer than {} s", limits.time.as_secs_f64())),
            };
            if why.is_some() {
                let cancel = self.client.cancel_token();
                let cancelled = async {
                    let _ = cancel.cancel_query(self.tls.clone()).await;
                    query.await;
                };
                // Then its connection is cut.
                let _ = tokio::time::timeout(MIND_WITHIN, cancelled).await;
            }
            why
        };
        if !self.read_write {
            let rollback = self.client.batch_execute("ROLLBACK");
            let _ = tokio::time::timeout(MIND_WITHIN, rollback).await;
        }
        ended.ended_for = ended.ended_for.or(why);
        ended
    }
}

/// Records each result when it has come as a whole: its columns are as wide as its widest value.
async fn results(
    stream: SimpleQueryStream,
    limits: &Limits,
    recording: &mut Recording,
    ended: &mut Ended,
) {
    let mut stream = std::pin::pin!(stream);
    let mut table: Option<Table> = None;
    while let Some(message) = stream.next().await {
        let kept = match message {
            Ok(SimpleQueryMessage::RowDescription(columns)) => {
                let columns = columns.iter().map(|column| column.name().to_owned()).collect();
                table = Some(Table::new(columns, recording.left(), limits.rows));
                Ok(())
            }
            Ok(SimpleQueryMessage::Row(row)) => {
                if let Some(table) = &mut table {
                    table.push((0..row.len()).map(|at| row.get(at)));
                }
                Ok(())
            }
            Ok(SimpleQueryMessage::CommandComplete(rows)) => {
                ended.rows = Some(ended.rows.unwrap_or(0).saturating_add(rows));
                finish(table.take(), recording).await
            }
            // A kind of message that there is not yet.
            Ok(_) => Ok(()),
            Err(error) => {
                let kept = finish(table.take(), recording).await;
                failed(&error, recording, ended).await;
                kept
            }
        };
        if let Err(error) = kept {
            ended.ended_for = Some(format!("its result can't be kept: {error}"));
            return;
        }
    }
}

async fn finish(table: Option<Table>, recording: &mut Recording) -> Result<(), NotTaken> {
    match table {
        Some(table) => recording.text("result", &table.render(), table.is_cut()).await,
        None => Ok(()),
    }
}

/// An error, as psql prints it.
async fn failed(error: &Error, recording: &mut Recording, ended: &mut Ended) {
    let Some(of) = error.as_db_error() else {
        ended.error = Some(format!("{:#}", said(error)));
        return;
    };
    let mut text = format!("{}:  {}\n", of.severity(), of.message());
    for (name, more) in [("DETAIL", of.detail()), ("HINT", of.hint())] {
        if let Some(more) = more {
            text.push_str(&format!("{name}:  {more}\n"));
        }
    }
    ended.error = Some(format!("{}: {} ({})", of.severity(), of.message(), of.code().code()));
    if let Err(error) = recording.text("stderr", &text, false).await {
        ended.ended_for = Some(format!("its result can't be kept: {error}"));
    }
}
