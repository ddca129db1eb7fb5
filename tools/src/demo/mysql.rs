//! What people do in the sample MySQL databases.

use super::cast::{FIRST, LAST};
use super::rng::Rng;
use super::step::{Step, table};
use super::{Script, decided};
use daybook_engine::event::Decision;

/// A script for one session.
pub fn script(rng: &mut Rng, production: bool) -> Script {
    match rng.between(0, 2) {
        0 => invoices(rng),
        1 => processlist(rng),
        _ => credit(rng, production),
    }
}

fn invoices(rng: &mut Rng) -> Script {
    let count = rng.between(3, 8);
    let rows: Vec<Vec<String>> = (0..count)
        .map(|_| {
            vec![
                format!("INV-{}", rng.between(70_000, 89_999)),
                format!("{} {}", rng.pick(FIRST), rng.pick(LAST)),
                "****@*****.***".to_owned(),
                format!("{}.{:02}", rng.between(40, 9_000), rng.between(0, 99)),
                rng.between(1, 90).to_string(),
            ]
        })
        .collect();
    Script::new("overdue invoices", &["finance"], vec![
        Step::new("SHOW TABLES;").returns(table(&["Tables_in_billing"], &[
            vec!["accounts".into()],
            vec!["credits".into()],
            vec!["invoices".into()],
            vec!["payments".into()],
        ])),
        Step::new("SELECT number, customer, email, amount, DATEDIFF(NOW(), due_on) AS days FROM invoices WHERE paid_on IS NULL AND due_on < NOW() ORDER BY days DESC LIMIT 10;")
            .returns(table(&["number", "customer", "email", "amount", "days"], &rows))
            .masks("email", count),
        Step::new("SELECT iban, bic FROM accounts WHERE customer_id = 4411;")
            .returns(table(&["iban", "bic"], &[vec!["**** **** **** **** **".into(), "EXMPDEFFXXX".into()]]))
            .masks("iban", 1),
    ])
}

fn processlist(rng: &mut Rng) -> Script {
    let id = rng.between(900, 9_999);
    Script::new("replica lag", &["incident", "on-call"], vec![
        Step::new("SHOW FULL PROCESSLIST;").returns(table(&["Id", "User", "Command", "Time", "Info"], &[
            vec![id.to_string(), "batch".into(), "Query".into(), "1841".into(), "INSERT INTO payments_archive SELECT * FROM payments".into()],
            vec![(id + 4).to_string(), "app".into(), "Sleep".into(), "2".into(), "NULL".into()],
        ])),
        Step::new("SHOW REPLICA STATUS;").fails("ERROR 1227 (42000): Access denied; you need (at least one of) the SUPER, REPLICATION CLIENT privilege(s) for this operation", 1),
        Step::new(format!("KILL {id};")).changes("Query OK, 0 rows affected (0.00 sec)", 0),
        Step::new("DROP DATABASE billing_tmp;").blocked("DROP DATABASE is never allowed"),
    ])
}

fn credit(rng: &mut Rng, production: bool) -> Script {
    let account = rng.between(2_000, 6_999);
    let insert = Step::new(format!(
        "INSERT INTO credits (account_id, amount, reason) VALUES ({account}, 120.00, 'double charge, FIN-771');"
    ));
    let insert = if production {
        let decision = decided(rng, Decision::Approved, "seen in the bank statement");
        insert
            .reviewed(
                "writes to credits need a review",
                "double charge, FIN-771",
                "finance",
                decision,
            )
            .changes("Query OK, 1 row affected (0.01 sec)", 1)
    } else {
        insert.changes("Query OK, 1 row affected (0.01 sec)", 1)
    };
    Script::new("credit FIN-771", &["finance", "payments"], vec![
        Step::new(format!("SELECT id, amount, charged_at FROM payments WHERE account_id = {account} ORDER BY charged_at DESC LIMIT 2;")).returns(table(
            &["id", "amount", "charged_at"],
            &[vec![rng.between(90_000, 99_999).to_string(), "120.00".into(), "2026-03-09 07:31:10".into()], vec![rng.between(90_000, 99_999).to_string(), "120.00".into(), "2026-03-09 07:31:08".into()]],
        )),
        insert,
    ])
}
