//! What a person sees while waiting: lines that move on a terminal, elsewhere one plain line for each change.

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::terminal;

/// How far one thing is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub name: String,
    /// Percent, if the state is one on the way.
    pub percent: Option<usize>,
    pub text: String,
}

impl Row {
    pub fn new(name: impl Into<String>, percent: Option<usize>, text: impl Into<String>) -> Self {
        Self { name: name.into(), percent, text: text.into() }
    }
}

/// The lines of one wait.
pub struct Display {
    /// The live lines; none if standard error is no terminal, or nothing is to be seen.
    live: Option<MultiProgress>,
    chatty: bool,
    /// Whether only the first row is shown.
    brief: bool,
    shown: Vec<(Row, Option<ProgressBar>)>,
}

impl Display {
    pub fn new(chatty: bool) -> Self {
        let live = chatty && io::stderr().is_terminal();
        let live = live.then(|| MultiProgress::with_draw_target(ProgressDrawTarget::stderr()));
        Self { live, chatty, brief: false, shown: Vec::new() }
    }

    /// One line only, among those of `group`.
    pub fn brief(group: &MultiProgress) -> Self {
        Self { live: io::stderr().is_terminal().then(|| group.clone()), chatty: true, brief: true, shown: Vec::new() }
    }

    /// What stands out, as the end of a sentence.
    pub fn last(&self) -> String {
        let texts: Vec<_> = self.shown.iter().map(|(row, _)| row.text.as_str()).filter(|t| !t.is_empty()).collect();
        match texts.as_slice() {
            [] => "; nothing was seen of it".to_owned(),
            [text] => format!("; it is {text}"),
            _ => {
                let open = self.shown.iter().map(|(row, _)| row).filter(|row| row.percent != Some(100));
                format!(": {}", open.map(|row| format!("{} is {}", row.name, row.text)).collect::<Vec<_>>().join("; "))
            }
        }
    }

    /// Shows the rows instead of those before. Rows keep their place by name.
    pub fn show(&mut self, rows: Vec<Row>) {
        let rows: Vec<Row> = if self.brief { rows.into_iter().take(1).collect() } else { rows };
        self.shown.retain(|(shown, bar)| {
            let stays = rows.iter().any(|row| row.name == shown.name);
            if let (false, Some(bar)) = (stays, bar) {
                bar.finish_and_clear();
            }
            stays
        });
        for row in rows {
            self.update(row);
        }
    }

    /// Says something of the wait itself, such as that the server is away.
    pub fn remark(&mut self, name: &str, text: &str) {
        let row = self.shown.first().map_or_else(|| Row::new(name, None, ""), |(row, _)| row.clone());
        self.update(Row { percent: None, text: text.to_owned(), ..row });
    }

    fn update(&mut self, row: Row) {
        let at = self.shown.iter().position(|(shown, _)| shown.name == row.name);
        let at = at.unwrap_or_else(|| {
            self.shown.push((Row::new(&row.name, None, ""), self.live.as_ref().map(|live| bar(live, &row.name))));
            self.shown.len() - 1
        });
        let (shown, bar) = &mut self.shown[at];
        if let Some(bar) = bar {
            row.percent.into_iter().for_each(|p| bar.set_position(u64::try_from(p).unwrap_or(100)));
            bar.set_message(row.text.clone());
        } else if self.chatty && shown.text != row.text {
            terminal::note(&format!("{}: {}", row.name, row.text));
        }
        *shown = row;
    }
}

impl Drop for Display {
    fn drop(&mut self) {
        self.shown.iter().filter_map(|(_, bar)| bar.as_ref()).for_each(ProgressBar::abandon);
    }
}

fn bar(live: &MultiProgress, name: &str) -> ProgressBar {
    let bar = live.add(ProgressBar::new(100));
    // The template is a constant; should it ever be wrong, the default style will do.
    if let Ok(style) = ProgressStyle::with_template("{prefix:28!} [{bar:20}] {elapsed:>4} {wide_msg}") {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_prefix(name.to_owned());
    bar.enable_steady_tick(Duration::from_millis(250));
    bar
}
