//! Talking with the person at the terminal, if there is one.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use secrecy::SecretString;

use crate::failure::Failure;

/// Whether somebody can be asked: questions go to standard error, answers come from standard input.
pub fn is_interactive() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// A line for the person, not for the next program in a pipe.
pub fn note(line: &str) {
    // There is nobody left to tell that standard error is closed.
    let _ = writeln!(io::stderr(), "{line}");
}

/// Asks for a line; `flag` names the option that answers the question where nobody can be asked.
pub fn ask(question: &str, flag: &str) -> Result<String, Failure> {
    if !is_interactive() {
        return Err(nobody(question, flag));
    }
    let mut error = io::stderr();
    let mut line = String::new();
    let asked =
        write!(error, "{question}> ").and_then(|()| error.flush()).and_then(|()| io::stdin().lock().read_line(&mut line));
    match asked {
        Ok(read) if read > 0 => Ok(line.trim().to_owned()),
        Ok(_) => Err(nobody(question, flag)),
        Err(e) => Err(Failure::new(format!("Cannot read the answer: {e}"), format!("Give {flag} on the command line."))),
    }
}

/// Asks for a secret without showing it.
pub fn ask_secret(question: &str, flag: &str) -> Result<SecretString, Failure> {
    if !is_interactive() {
        return Err(nobody(question, flag));
    }
    match rpassword::prompt_password(format!("{question}> ")) {
        Ok(secret) => Ok(SecretString::from(secret)),
        Err(e) => Err(Failure::new(format!("Cannot read the answer: {e}"), format!("Give {flag} on the command line."))),
    }
}

/// Asks a question that is answered with yes or no; no is the default.
pub fn confirm(question: &str, flag: &str) -> Result<bool, Failure> {
    let answer = ask(&format!("{question} [y/N]"), flag)?;
    Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
}

fn nobody(question: &str, flag: &str) -> Failure {
    Failure::usage(format!("{question}: there is no terminal to ask on."), format!("Give {flag} on the command line."))
}
