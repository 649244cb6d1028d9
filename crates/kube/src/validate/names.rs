//! Syntax of names, with the texts of `k8s.io/apimachinery`.

use std::sync::LazyLock;

use regex::Regex;

/// A rule for a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Syntax {
    /// RFC 1123, with dots.
    Subdomain,
    /// RFC 1123, without dots.
    Label,
    /// RFC 1035: begins with a letter.
    Label1035,
    /// `*.` and a subdomain.
    Wildcard,
    /// What can be part of a path: RBAC's roles.
    Segment,
    ConfigKey,
    EnvName,
    LabelValue,
}

struct Form {
    most: usize,
    told: &'static str,
    format: &'static str,
    examples: &'static [&'static str],
}

const LABEL: &str = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN: &str = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*";
const NAME_PART: &str = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const NAME_PART_TOLD: &str =
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character";

fn form(syntax: Syntax) -> Form {
    match syntax {
        Syntax::Subdomain => Form {
            most: 253,
            told: "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
            format: SUBDOMAIN,
            examples: &["example.com"],
        },
        Syntax::Label => Form {
            most: 63,
            told: "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
            format: LABEL,
            examples: &["my-name", "123-abc"],
        },
        Syntax::Label1035 => Form {
            most: 63,
            told: "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
            format: "[a-z]([-a-z0-9]*[a-z0-9])?",
            examples: &["my-name", "abc-123"],
        },
        Syntax::Wildcard => Form {
            most: 253,
            told: "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
            format: r"\*\.[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*",
            examples: &["*.example.com"],
        },
        Syntax::ConfigKey => Form {
            most: 253,
            told: "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
            format: "[-._a-zA-Z0-9]+",
            examples: &["key.name", "KEY_NAME", "key-name"],
        },
        Syntax::LabelValue => Form {
            most: 63,
            told: "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
            format: "(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?",
            examples: &["MyValue", "my_value", "12345"],
        },
        Syntax::Segment | Syntax::EnvName => Form { most: usize::MAX, told: "", format: "", examples: &[] },
    }
}

fn matcher(syntax: Syntax) -> &'static Regex {
    const ALL: [Syntax; 6] =
        [Syntax::Subdomain, Syntax::Label, Syntax::Label1035, Syntax::Wildcard, Syntax::ConfigKey, Syntax::LabelValue];
    static MATCHERS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
        let compile = |syntax: &Syntax| Regex::new(&format!("^(?:{})$", form(*syntax).format));
        // The formats are part of the program, and all of them are used by the tests below.
        ALL.iter().map(|syntax| compile(syntax).expect("formats of names are regular expressions")).collect()
    });
    let at = ALL.iter().position(|one| *one == syntax).unwrap_or_default();
    &MATCHERS[at]
}

fn explained(told: &str, format: &str, examples: &[&str]) -> String {
    let examples = examples.iter().map(|example| format!("'{example}', ")).collect::<Vec<_>>().join(" or ");
    format!("{told} (e.g. {examples}regex used for validation is '{format}')")
}

impl Syntax {
    /// What is wrong with a name; nothing if nothing is. `prefix` tells that something will be appended to it.
    pub(crate) fn faults(self, name: &str, prefix: bool) -> Vec<String> {
        match self {
            Self::Segment => return segment_faults(name, prefix),
            Self::EnvName => return env_faults(name),
            _ => {}
        }
        let Form { most, told, format, examples } = form(self);
        let mut faults = Vec::new();
        if name.len() > most {
            faults.push(format!("must be no more than {most} bytes"));
        }
        if self == Self::ConfigKey && (name == "." || name == ".." || name.starts_with("..")) {
            let fault = match name {
                "." => "must not be '.'",
                ".." => "must not be '..'",
                _ => "must not start with '..'",
            };
            faults.push(fault.to_owned());
            return faults;
        }
        // A prefix may end with what only the inside of a name can hold.
        let whole = if prefix {
            name.strip_suffix(['-', '.']).map_or_else(|| name.to_owned(), |p| format!("{p}a"))
        } else {
            name.to_owned()
        };
        if !matcher(self).is_match(&whole) {
            faults.push(explained(told, format, examples));
        }
        faults
    }

    pub(crate) fn admits(self, name: &str) -> bool {
        self.faults(name, false).is_empty()
    }
}

fn segment_faults(name: &str, prefix: bool) -> Vec<String> {
    let mut faults = Vec::new();
    if !prefix && matches!(name, "." | "..") {
        faults.push(format!("may not be '{name}'"));
    }
    faults.extend(['/', '%'].iter().filter(|c| name.contains(**c)).map(|c| format!("may not contain '{c}'")));
    faults
}

fn env_faults(name: &str) -> Vec<String> {
    if name.chars().all(|c| (' '..='~').contains(&c) && c != '=') {
        return Vec::new();
    }
    vec!["a valid environment variable name must consist only of printable ASCII characters other than '='".to_owned()]
}

/// What is wrong with a key of labels and annotations: a name, with a domain before a slash if it likes.
pub(crate) fn key_faults(key: &str) -> Vec<String> {
    static NAME: LazyLock<Regex> = LazyLock::new(|| {
        // Part of the program, and used by the tests below.
        Regex::new(&format!("^(?:{NAME_PART})$")).expect("the format of keys is a regular expression")
    });
    let told = || explained(NAME_PART_TOLD, NAME_PART, &["MyName", "my.name", "123-abc"]);
    let mut faults = Vec::new();
    let name = match key.split('/').collect::<Vec<_>>()[..] {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                faults.push("prefix part must be non-empty".to_owned());
            } else {
                faults.extend(Syntax::Subdomain.faults(prefix, false).into_iter().map(|fault| format!("prefix part {fault}")));
            }
            name
        }
        _ => {
            let more = "with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
            return vec![format!("a valid label key {} {more}", told())];
        }
    };
    if name.is_empty() {
        faults.push("name part must be non-empty".to_owned());
    } else if name.len() > 63 {
        faults.push("name part must be no more than 63 bytes".to_owned());
    }
    if !NAME.is_match(name) {
        faults.push(format!("name part {}", told()));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_judged_by_their_syntax() {
        let cases = [
            (Syntax::Subdomain, "a.b-c", 0),
            (Syntax::Subdomain, "A", 1),
            (Syntax::Subdomain, "", 1),
            (Syntax::Subdomain, "-a", 1),
            (Syntax::Label, "1a", 0),
            (Syntax::Label, "a.b", 1),
            (Syntax::Label1035, "1a", 1),
            (Syntax::Wildcard, "*.a.b", 0),
            (Syntax::Segment, "system:node", 0),
            (Syntax::Segment, "a/b%", 2),
            (Syntax::ConfigKey, "a_B.c", 0),
            (Syntax::ConfigKey, "..a", 1),
            (Syntax::ConfigKey, "a b", 1),
            (Syntax::EnvName, "MY-VAR", 0),
            (Syntax::EnvName, "a=b", 1),
            (Syntax::LabelValue, "", 0),
            (Syntax::LabelValue, "-", 1),
        ];
        for (syntax, name, faults) in cases {
            assert_eq!(syntax.faults(name, false).len(), faults, "{syntax:?} {name:?}");
        }
        assert!(Syntax::Subdomain.faults("web-", true).is_empty());
        assert_eq!(Syntax::Label.faults(&"a".repeat(64), false), ["must be no more than 63 bytes"]);
        assert_eq!(
            Syntax::Subdomain.faults("Web", false),
            [
                "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
            ]
        );
    }

    #[test]
    fn keys_are_names_with_an_optional_domain() {
        for (key, faults) in
            [("app", 0), ("example.com/app", 0), ("/a", 1), ("a/b/c", 1), ("", 2), ("Example/a", 1), ("a b", 1)]
        {
            assert_eq!(key_faults(key).len(), faults, "{key:?}");
        }
        assert!(key_faults("a b")[0].contains("(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is"));
    }
}
