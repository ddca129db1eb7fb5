//! Other people's programs, installed where that is possible.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Python with the clients, in an environment that is made once.
///
/// `None`, and a line that says so, where it can't be made.
pub fn python() -> Option<PathBuf> {
    let venv = std::env::var_os("DAYBOOK_CLIENTS_VENV")
        .map_or_else(|| std::env::temp_dir().join("daybook-clients-venv"), PathBuf::from);
    let python = venv.join("bin/python");
    let works = |python: &Path| {
        let mut check = Command::new(python);
        check.args(["-c", "import elasticsearch, opentelemetry.exporter.otlp.proto.http"]);
        check.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
    };
    if works(&python) {
        return Some(python);
    }
    // Made beside and renamed, so that two tests at once do not meet.
    let beside = venv.with_extension(std::process::id().to_string());
    let made = Command::new("python3").args(["-m", "venv"]).arg(&beside).status();
    let pip = |beside: &Path| {
        Command::new(beside.join("bin/python"))
            .args(["-m", "pip", "install", "--quiet", "elasticsearch==9.5.1"])
            .args(["opentelemetry-sdk==1.45.2", "opentelemetry-exporter-otlp-proto-http==1.45.2"])
            .status()
    };
    let installed = made.is_ok_and(|status| status.success())
        && pip(&beside).is_ok_and(|status| status.success());
    if installed {
        let _ = std::fs::rename(&beside, &venv);
    }
    let _ = std::fs::remove_dir_all(&beside);
    if works(&python) {
        return Some(python);
    }
    println!("skipped: the Python packages elasticsearch and opentelemetry-sdk can't be installed");
    None
}

/// Has Python a module, or can it be installed?
pub fn module(python: &Path, module: &str, requirement: &str) -> bool {
    let has = || {
        let mut check = Command::new(python);
        check.args(["-c", &format!("import {module}")]).stderr(Stdio::null());
        check.status().is_ok_and(|status| status.success())
    };
    if !has() {
        let mut pip = Command::new(python);
        let _ = pip.args(["-m", "pip", "install", "--quiet", requirement]).status();
    }
    let there = has();
    if !there {
        println!("skipped: the Python package {requirement} can't be installed");
    }
    there
}

/// Runs a script of this folder with the server's address; answers what it printed.
pub async fn script(python: &Path, name: &str, url: &str, more: &[&str]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/service/clients").join(name);
    let mut command = Command::new(python);
    command.arg(path).arg(url).args(more);
    let output: Output =
        tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{name}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

/// Is a program of Debian's there, or can it be installed?
pub fn debian(program: &str, packages: &[&str]) -> bool {
    if Path::new(program).exists() {
        return true;
    }
    let apt = |args: &[&str]| {
        let mut apt = Command::new("apt-get");
        apt.args(["-o", "DPkg::Lock::Timeout=300"]).args(args);
        apt.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
        apt.status().is_ok_and(|status| status.success())
    };
    let install = [&["install", "-y", "-qq", "--no-install-recommends"][..], packages].concat();
    if (apt(&install) || (apt(&["update", "-qq"]) && apt(&install))) && Path::new(program).exists()
    {
        return true;
    }
    println!("skipped: {} can't be installed", packages.join(" and "));
    false
}

/// Waits until something holds.
pub async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < Duration::from_secs(60), "{what}: not within a minute");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
