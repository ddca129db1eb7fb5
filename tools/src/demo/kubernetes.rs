//! What people and agents do in the sample clusters.

use super::rng::Rng;
use super::step::Step;
use super::{Script, decided};
use daybook_engine::event::Decision;

/// A script for one session.
pub fn script(rng: &mut Rng, production: bool) -> Script {
    match rng.between(0, 3) {
        0 => crash_loop(rng),
        1 => scale(rng),
        2 => exec(rng, production),
        _ => secrets(rng),
    }
}

fn pods(rng: &mut Rng, bad: bool) -> String {
    let mut text =
        "NAME                          READY   STATUS             RESTARTS        AGE\n".to_owned();
    for app in ["checkout", "checkout", "inventory", "payments", "web"] {
        let name = format!("{app}-{}-{}", rng.id(9), rng.id(5));
        let (ready, status, restarts) = if bad && app == "payments" {
            ("0/1", "CrashLoopBackOff", "17 (41s ago)")
        } else {
            ("1/1", "Running", "0")
        };
        text.push_str(&format!(
            "{name:<29} {ready:<7} {status:<18} {restarts:<15} {}d\n",
            rng.between(1, 30)
        ));
    }
    text
}

fn crash_loop(rng: &mut Rng) -> Script {
    Script::new("payments crash loop", &["incident", "on-call"], vec![
        Step::new("kubectl get pods -n shop").prints(pods(rng, true)),
        Step::new("kubectl logs -n shop deploy/payments --tail=4").prints("{\"level\":\"info\",\"msg\":\"starting payments\",\"version\":\"4.2.0\"}\n{\"level\":\"error\",\"msg\":\"connect: password authentication failed for user \\\"payments\\\"\"}\n{\"level\":\"fatal\",\"msg\":\"giving up after 5 attempts\"}\n"),
        Step::new("kubectl describe pod -n shop -l app=payments | tail -4").prints("Events:\n  Type     Reason   Age                  From     Message\n  ----     ------   ----                 ----     -------\n  Warning  BackOff  41s (x211 over 52m)  kubelet  Back-off restarting failed container payments\n"),
        Step::new("kubectl rollout undo -n shop deploy/payments").prints("deployment.apps/payments rolled back\n"),
        Step::new("kubectl rollout status -n shop deploy/payments --timeout=90s").prints("Waiting for deployment \"payments\" rollout to finish: 1 old replicas are pending termination...\ndeployment \"payments\" successfully rolled out\n"),
    ])
}

fn scale(rng: &mut Rng) -> Script {
    let replicas = rng.between(6, 14);
    Script::new("campaign traffic", &["change"], vec![
        Step::new("kubectl top pods -n shop --sort-by=cpu").prints("NAME                        CPU(cores)   MEMORY(bytes)\nweb-7d9f6c4b8-x2kzp         981m         612Mi\nweb-7d9f6c4b8-m8qvn         954m         598Mi\n"),
        Step::new(format!("kubectl scale -n shop deploy/web --replicas={replicas}")).prints("deployment.apps/web scaled\n"),
        Step::new("kubectl get hpa -n shop").prints(format!("NAME   REFERENCE        TARGETS   MINPODS   MAXPODS   REPLICAS   AGE\nweb    Deployment/web   61%/70%   4         20        {replicas}         90d\n")),
        Step::new("kubectl get pods -n shopp").fails("No resources found in shopp namespace.", 0),
    ])
}

fn exec(rng: &mut Rng, production: bool) -> Script {
    let step = Step::new(
        "kubectl exec -n shop deploy/payments -- psql -c 'select count(*) from stuck_payouts'",
    );
    let step = if production {
        let decision = decided(rng, Decision::Approved, "read only, fine");
        step.reviewed(
            "exec into production pods needs a review",
            "payouts stuck since 06:00, PAY-1942",
            "sre",
            decision,
        )
        .prints(" count \n-------\n    42\n(1 row)\n")
    } else {
        step.prints(" count \n-------\n     0\n(1 row)\n")
    };
    Script::new(
        "stuck payouts PAY-1942",
        &["payments"],
        vec![Step::new("kubectl get pods -n shop -l app=payments").prints(pods(rng, false)), step],
    )
}

fn secrets(rng: &mut Rng) -> Script {
    let mut steps = vec![
        Step::new("kubectl get namespaces").prints("NAME              STATUS   AGE\ndefault           Active   412d\nkube-system       Active   412d\nmonitoring        Active   377d\nshop              Active   301d\n"),
        Step::new("kubectl get secret -n shop payments-db -o yaml").prints("apiVersion: v1\nkind: Secret\nmetadata:\n  name: payments-db\n  namespace: shop\ndata:\n  password: ****************\n  username: ****************\n").masks("k8s_secret", 2),
        Step::new("kubectl delete namespace shop").blocked("deleting a namespace is not allowed"),
    ];
    if rng.chance(50) {
        steps.push(Step::new("kubectl auth can-i '*' '*' --all-namespaces").fails("no", 1));
    }
    Script::new("cluster check", &["ad-hoc"], steps)
}
