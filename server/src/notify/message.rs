//! What is sent: one body for each form. Nothing of it is markup to who reads it: a command could be anything.

use super::target::{Form, Told};
use daybook_engine::event::{Micros, Scope};
use daybook_query::reviews::{DecisionItem, ReviewEntry};
use serde_json::{Value, json};

/// As much of a command is shown in a chat, in characters: Slack takes 3,000 in a text.
const SHOWN_MAX: usize = 1_500;

/// What somebody is told.
pub(super) struct Message<'a> {
    pub told: Told,
    pub entry: &'a ReviewEntry,
    /// What was said, unless it is the request.
    pub decision: Option<&'a DecisionItem>,
    /// When it was asked for, or said.
    pub time: Micros,
    /// Where the page of it is, if that is known.
    pub link: Option<String>,
}

impl Message<'_> {
    /// The body in a form.
    pub fn body(&self, form: Form) -> Value {
        match form {
            Form::Standard => self.standard(),
            Form::Slack => self.slack(),
            Form::Teams => self.teams(),
        }
    }

    fn kind(&self) -> String {
        match self.told {
            Told::Request => "review.requested".to_owned(),
            Told::Decision(decision) => format!("review.{decision}"),
        }
    }

    fn standard(&self) -> Value {
        json!({
            "type": self.kind(),
            "timestamp": self.time.to_string(),
            "data": { "review": self.entry, "decision": self.decision, "url": self.link },
        })
    }

    fn title(&self) -> String {
        let who = self.entry.user.as_deref().unwrap_or("an unknown user");
        let role = self.entry.role.as_deref().unwrap_or("an unknown role");
        let command = self.entry.review.request.as_ref().is_none_or(|r| r.scope == Scope::Command);
        let what = if command { "a command" } else { "a session" };
        match (self.told, self.decision.and_then(|said| said.said.by.as_deref())) {
            (Told::Request, _) => format!("{who} asks for {what} on {role}"),
            (Told::Decision(decision), Some(by)) => {
                format!("{decision} by {by}: {what} of {who} on {role}")
            }
            (Told::Decision(decision), None) => format!("{decision}: {what} of {who} on {role}"),
        }
    }

    /// What else there is to say, by name.
    fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = Vec::new();
        let request = self.entry.review.request.as_ref();
        if let Some(reason) = request.and_then(|request| request.reason.as_deref()) {
            facts.push(("Reason", shown(reason)));
        }
        if let Some(comment) = self.decision.and_then(|said| said.said.comment.as_deref()) {
            facts.push(("Comment", shown(comment)));
        }
        if self.told == Told::Request {
            if let Some(request) = request.filter(|request| !request.groups.is_empty()) {
                facts.push(("Asked of", shown(&request.groups.join(", "))));
            }
            if self.entry.review.approvals_needed > 1 {
                facts.push(("Approvals needed", self.entry.review.approvals_needed.to_string()));
            }
            if let Some(at) = request.and_then(|request| request.expires_at) {
                facts.push(("Expires", at.0.to_string()));
            }
        }
        if let Some(agent) = &self.entry.agent {
            facts.push(("Agent", shown(agent)));
        }
        facts
    }

    fn slack(&self) -> Value {
        let plain = |text: String| json!({"type": "plain_text", "text": text, "emoji": false});
        let title = self.title();
        let mut blocks = vec![json!({"type": "section", "text": plain(shown(&title))})];
        if let Some(input) = &self.entry.input {
            let run = json!({"type": "text", "text": shown(input)});
            let code = json!({"type": "rich_text_preformatted", "elements": [run]});
            blocks.push(json!({"type": "rich_text", "elements": [code]}));
        }
        for (name, value) in self.facts() {
            blocks.push(json!({"type": "section", "text": plain(format!("{name}: {value}"))}));
        }
        if let Some(link) = &self.link {
            let button = json!({"type": "button", "text": plain("Open".to_owned()), "url": link});
            blocks.push(json!({"type": "actions", "elements": [button]}));
        }
        // What notifications show: here Slack looks for markup, and these three are all of it.
        let text = shown(&title).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        json!({"text": text, "blocks": blocks})
    }

    fn teams(&self) -> Value {
        // Runs of text are shown as they are; other texts may have links.
        let run = |text: &str, more: Value| {
            let mut run = json!({"type": "TextRun", "text": text});
            if let (Some(run), Some(more)) = (run.as_object_mut(), more.as_object()) {
                run.extend(more.clone());
            }
            json!({"type": "RichTextBlock", "inlines": [run]})
        };
        let mut body =
            vec![run(&shown(&self.title()), json!({"weight": "Bolder", "size": "Medium"}))];
        if let Some(input) = &self.entry.input {
            body.push(run(&shown(input), json!({"fontType": "Monospace"})));
        }
        for (name, value) in self.facts() {
            body.push(run(&format!("{name}: {value}"), json!({})));
        }
        let mut card = json!({
            "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
            "type": "AdaptiveCard",
            "version": "1.4",
            "body": body,
        });
        if let Some(link) = &self.link {
            card["actions"] = json!([{"type": "Action.OpenUrl", "title": "Open", "url": link}]);
        }
        let attachment =
            json!({"contentType": "application/vnd.microsoft.card.adaptive", "content": card});
        json!({"type": "message", "attachments": [attachment]})
    }
}

/// A text's beginning, in which nothing turns what follows or hides.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(SHOWN_MAX)
        .map(|c| match c {
            '\n' | '\t' => c,
            '\u{061c}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2069}'
            | '\u{feff}' => '\u{fffd}',
            c if c.is_control() => '\u{fffd}',
            c => c,
        })
        .collect();
    if text.chars().nth(SHOWN_MAX).is_some() {
        shown.push('…');
    }
    if shown.is_empty() {
        // Slack refuses an empty text.
        shown.push(' ');
    }
    shown
}
