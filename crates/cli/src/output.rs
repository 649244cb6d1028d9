//! What commands print: tables and lines for people, JSON for programs.

use std::io::{self, Write as _};

use clap::{Args, ValueEnum};
use comfy_table::{ContentArrangement, Table, presets};
use serde::Serialize;

use crate::failure::Failure;

/// Options that every client command has.
#[derive(Args, Clone, Debug, Default)]
pub struct Common {
    /// Print the result in this form
    #[arg(long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
    #[command(flatten)]
    pub quiet: Quiet,
}

#[derive(Args, Clone, Debug, Default)]
pub struct Quiet {
    /// Print the result only: no remarks, no progress
    #[arg(short = 'q', long = "quiet")]
    pub quiet: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Json,
}

impl Common {
    pub fn is_json(&self) -> bool {
        self.output == Some(Format::Json)
    }

    /// Whether remarks and progress are wanted.
    pub fn is_chatty(&self) -> bool {
        !self.quiet.quiet && !self.is_json()
    }

    /// `OK`, as `ibmcloud` says it before a result.
    pub fn ok(&self) -> Result<(), Failure> {
        if self.is_chatty() { line("OK") } else { Ok(()) }
    }

    /// A remark about the result.
    pub fn remark(&self, text: &str) -> Result<(), Failure> {
        if self.is_chatty() { line(text) } else { Ok(()) }
    }
}

/// Prints a line on standard output.
pub fn line(text: &str) -> Result<(), Failure> {
    print(&format!("{text}\n"))
}

/// Prints text as it is on standard output.
pub fn print(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes()).and_then(|()| out.flush()).map_err(|e| Failure::output(&e))
}

pub fn json(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string_pretty(value)
        .map_err(|e| Failure::new(format!("The result cannot be written as JSON: {e}"), "Leave out `--output json`."))?;
    line(&text)
}

/// Columns with a heading, three blanks apart, without lines.
pub fn table<const N: usize>(header: [&str; N], rows: Vec<[String; N]>) -> String {
    columns(&header, rows.into_iter().map(Vec::from))
}

/// The same for columns that depend on what there is to show; every row has as many cells as the heading.
pub fn columns(header: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    // Never wrapped: a line is a row for `grep` and `awk`, on a terminal too.
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Disabled).set_header(header.to_vec());
    // An empty cell would move every cell after it one place to the left for `awk`.
    let filled = |cell: String| if cell.is_empty() { "-".to_owned() } else { cell };
    table.add_rows(rows.map(|row| row.into_iter().map(filled).collect::<Vec<_>>()));
    for column in table.column_iter_mut() {
        column.set_padding((0, 3));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

/// Names and values below each other, with the values aligned; pairs without a value are left out.
pub fn pairs(pairs: &[(&str, Option<String>)]) -> String {
    let shown: Vec<_> = pairs.iter().filter_map(|(k, v)| Some((k, v.as_ref().filter(|v| !v.is_empty())?))).collect();
    let width = shown.iter().map(|(k, _)| k.len() + 1).max().unwrap_or(0);
    shown.iter().map(|(k, v)| format!("{:<width$}   {v}\n", format!("{k}:"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_are_plain_and_every_cell_holds_something() {
        let text = table(
            ["Name", "ID", "State"],
            vec![["mycluster".into(), "c1".into(), "normal".into()], ["b".into(), "c234".into(), String::new()]],
        );
        assert_eq!(text, "Name        ID     State\nmycluster   c1     normal\nb           c234   -\n");
        assert_eq!(table(["Name", "ID"], vec![]), "Name   ID\n");
    }

    #[test]
    fn long_rows_are_not_wrapped() {
        let text = table(["Name"], vec![["x".repeat(500)]]);
        assert_eq!(text.lines().count(), 2);
    }

    #[test]
    fn pairs_are_aligned_and_empty_ones_left_out() {
        let text = pairs(&[
            ("Name", Some("a".into())),
            ("Ingress", Some(String::new())),
            ("State", None),
            ("Version", Some("1".into())),
        ]);
        assert_eq!(text, "Name:      a\nVersion:   1\n");
    }
}
