//! What people and agents do in the sample web applications.

use super::cast::{FIRST, LAST};
use super::rng::Rng;
use super::step::Step;
use super::{Script, decided};
use daybook_engine::event::Decision;

/// A script for one session.
pub fn script(rng: &mut Rng, host: &str) -> Script {
    if host.starts_with("admin") { admin(rng) } else { api(rng) }
}

fn admin(rng: &mut Rng) -> Script {
    let id = rng.between(10_000, 99_999);
    let name = format!("{} {}", rng.pick(FIRST), rng.pick(LAST));
    let decision = decided(rng, Decision::Approved, "the customer asked for it in the chat");
    let mut steps = vec![
        Step::new(format!("GET /admin/customers/{id}"))
            .prints(format!("HTTP/1.1 200 OK\ncontent-type: application/json\n\n{{\"id\":{id},\"name\":\"{name}\",\"email\":\"****@*****.***\",\"phone\":\"+** *** *** ***\",\"plan\":\"plus\"}}\n"))
            .masks("email", 1)
            .masks("phone", 1),
        Step::new(format!("POST /admin/customers/{id}/impersonate"))
            .reviewed("impersonation needs a review", "customer can't see the invoice page", "support", decision)
            .prints("HTTP/1.1 201 Created\n\n{\"session\":\"imp_5r2m\",\"expires_in\":900}\n"),
    ];
    if rng.chance(40) {
        steps.push(
            Step::new("DELETE /admin/customers?plan=free").blocked("bulk deletes are not allowed"),
        );
    }
    Script::new("customer can't see invoices", &["support"], steps)
}

fn api(rng: &mut Rng) -> Script {
    let order = rng.between(480_000, 999_999);
    Script::new("webhook replay", &["payments"], vec![
        Step::new(format!("GET /v2/orders/{order}")).prints(format!("HTTP/1.1 200 OK\n\n{{\"id\":{order},\"status\":\"paid\",\"card\":\"****-****-****-****\"}}\n")).masks("credit_card", 1),
        Step::new(format!("GET /v2/orders/{order}/webhooks?state=failed")).prints("HTTP/1.1 200 OK\n\n[{\"id\":\"wh_91\",\"attempts\":8,\"last_error\":\"timeout\"}]\n"),
        Step::new(format!("POST /v2/orders/{order}/webhooks/wh_91/replay")).prints("HTTP/1.1 202 Accepted\n\n{\"queued\":true}\n"),
        Step::new("GET /v2/webhooks/wh_91").fails("HTTP/1.1 503 Service Unavailable\nretry-after: 5\n\n{\"error\":\"upstream is busy\"}", 503),
    ])
}
