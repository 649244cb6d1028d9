//! Lists that are sorted, filtered and read page by page.
//!
//! That is done here and not by the database: SQLite and PostgreSQL compare texts in different ways, and an account has at most
//! some thousand of anything that is listed like this.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::manage::{ManageError, ManageResult, shortened};

/// Items of a page unless the request says otherwise, and the most there are.
const PAGE: usize = 20;
const LONGEST_PAGE: usize = 100;

/// What a request for a list asks. A page token stands for all of it.
#[derive(Clone, Debug)]
pub struct Listing {
    parameters: Vec<(String, String)>,
    limit: usize,
    offset: usize,
}

/// A page and where its neighbours are.
#[derive(Debug)]
pub struct Page<T> {
    pub items: Vec<T>,
    pub offset: i64,
    pub limit: i64,
    /// Page tokens.
    pub first: String,
    pub previous: Option<String>,
    pub next: Option<String>,
}

/// The value of an item's field, by the name that requests have for it; `None` if there is no such field.
pub type Field<T> = fn(&T, &str) -> Option<String>;

impl Listing {
    /// Reads the parameters of a query.
    ///
    /// # Errors
    /// [`ManageError::Invalid`], naming the parameter.
    pub fn read(query: Vec<(String, String)>) -> ManageResult<Self> {
        let mut parameters: Vec<_> = query.into_iter().filter(|(_, value)| !value.is_empty()).collect();
        if let Some((_, token)) = parameters.iter().find(|(name, _)| name == "pagetoken") {
            let bytes = URL_SAFE_NO_PAD.decode(token).ok();
            let read = bytes.and_then(|bytes| serde_json::from_slice::<Vec<(String, String)>>(&bytes).ok());
            let read = read.filter(|read| read.iter().all(|(_, value)| !value.contains('\0')));
            parameters = read.ok_or_else(|| {
                ManageError::invalid("pagetoken", "is not one that a page gave. Take it from 'next' or 'previous'.")
            })?;
        }
        let mut listing = Self { parameters, limit: PAGE, offset: 0 };
        if let Some(given) = listing.get("pagesize") {
            let size = given.parse().ok().filter(|size| (1..=LONGEST_PAGE).contains(size));
            listing.limit =
                size.ok_or_else(|| ManageError::invalid("pagesize", format!("must be a number from 1 to {LONGEST_PAGE}.")))?;
        }
        // Only a page token has it.
        listing.offset = listing.get("offset").and_then(|offset| offset.parse().ok()).unwrap_or(0);
        listing.parameters.retain(|(name, _)| name != "offset");
        Ok(listing)
    }

    /// A parameter that was given and is not empty.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// The page of `items` that is asked for, which can be sorted by the fields in `sortable`.
    ///
    /// # Errors
    /// [`ManageError::Invalid`] if `sort`, `order` or `filter` is not understood.
    pub fn page<T>(&self, mut items: Vec<T>, sortable: &[&str], field: Field<T>) -> ManageResult<Page<T>> {
        if let Some(filter) = self.get("filter") {
            let filter = Filter::read(filter)?;
            let mut wrong = None;
            items.retain(|item| {
                filter.fits(item, field).unwrap_or_else(|name| {
                    wrong = Some(name);
                    false
                })
            });
            if let Some(name) = wrong {
                return Err(ManageError::invalid("filter", format!("names '{}', which there is not.", shortened(&name))));
            }
        }
        let order = self.get("order").unwrap_or("asc");
        crate::manage::one_of("order", order, &["asc", "desc"])?;
        if let Some(sort) = self.get("sort") {
            crate::manage::one_of("sort", sort, sortable)?;
            items.sort_by_cached_key(|item| field(item, sort));
        }
        if order == "desc" {
            items.reverse();
        }
        let total = items.len();
        let token = |offset: usize| self.token(offset);
        Ok(Page {
            offset: count(self.offset),
            limit: count(self.limit),
            first: token(0),
            previous: (self.offset > 0).then(|| token(self.offset.saturating_sub(self.limit))),
            next: self.offset.checked_add(self.limit).filter(|next| *next < total).map(token),
            items: items.into_iter().skip(self.offset).take(self.limit).collect(),
        })
    }

    fn token(&self, offset: usize) -> String {
        let offset = ("offset".to_owned(), offset.to_string());
        let parameters: Vec<_> = self.parameters.iter().chain([&offset]).collect();
        // Pairs of texts are always JSON.
        URL_SAFE_NO_PAD.encode(serde_json::to_vec(&parameters).unwrap_or_default())
    }
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// Comparisons that must all hold, such as `name sw "ci-" and created_at lt "2026-01-01"`.
struct Filter(Vec<(String, Operator, String)>);

#[derive(Clone, Copy, Debug)]
enum Operator {
    Equal,
    NotEqual,
    Contains,
    StartsWith,
    EndsWith,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Filter {
    fn read(text: &str) -> ManageResult<Self> {
        let malformed = || {
            let why = "must be comparisons such as name eq \"a name\", joined by 'and'; operators are eq, ne, co, sw, ew, lt, le, gt, ge.";
            ManageError::invalid("filter", why)
        };
        let words = words(text).ok_or_else(malformed)?;
        // Three words for a comparison, and one between two of them.
        if words.len() % 4 != 3 {
            return Err(malformed());
        }
        let mut comparisons = Vec::new();
        for group in words.chunks(4) {
            let ([name, operator, value] | [name, operator, value, _]) = group else { return Err(malformed()) };
            if group.get(3).is_some_and(|and| !and.eq_ignore_ascii_case("and")) {
                return Err(malformed());
            }
            let operator = Operator::read(operator).ok_or_else(malformed)?;
            comparisons.push((name.clone(), operator, value.clone()));
        }
        Ok(Self(comparisons))
    }

    /// Whether an item fits; the name of a field that there is not.
    fn fits<T>(&self, item: &T, field: Field<T>) -> Result<bool, String> {
        for (name, operator, wanted) in &self.0 {
            let value = field(item, name).ok_or_else(|| name.clone())?;
            if !operator.holds(&value, wanted) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Operator {
    fn read(word: &str) -> Option<Self> {
        Some(match word.to_ascii_lowercase().as_str() {
            "eq" => Self::Equal,
            "ne" => Self::NotEqual,
            "co" => Self::Contains,
            "sw" => Self::StartsWith,
            "ew" => Self::EndsWith,
            "lt" => Self::Less,
            "le" => Self::LessOrEqual,
            "gt" => Self::Greater,
            "ge" => Self::GreaterOrEqual,
            _ => return None,
        })
    }

    fn holds(self, value: &str, wanted: &str) -> bool {
        let ordering = value.cmp(wanted);
        match self {
            Self::Equal => ordering == Ordering::Equal,
            Self::NotEqual => ordering != Ordering::Equal,
            Self::Contains => value.contains(wanted),
            Self::StartsWith => value.starts_with(wanted),
            Self::EndsWith => value.ends_with(wanted),
            Self::Less => ordering == Ordering::Less,
            Self::LessOrEqual => ordering != Ordering::Greater,
            Self::Greater => ordering == Ordering::Greater,
            Self::GreaterOrEqual => ordering != Ordering::Less,
        }
    }
}

/// Words with blanks between; one in quotes may hold blanks. `None` if a quote is not closed.
fn words(text: &str) -> Option<Vec<String>> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while let Some(first) = rest.chars().next() {
        let (word, after) = match first {
            '"' | '\'' => rest[1..].split_once(first)?,
            _ => rest.split_once(char::is_whitespace).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    Some(words)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn field(item: &(usize, String), name: &str) -> Option<String> {
        match name {
            "number" => Some(format!("{:03}", item.0)),
            "name" => Some(item.1.clone()),
            _ => None,
        }
    }

    fn query(pairs: &[(&str, &str)]) -> ManageResult<Listing> {
        Listing::read(pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect())
    }

    fn items() -> Vec<(usize, String)> {
        ["beta", "alpha", "alpha two", "it's"].iter().enumerate().map(|(n, name)| (n, (*name).to_owned())).collect()
    }

    #[test]
    fn sorts_and_filters_as_asked() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a [usize]);
        let cases: [Case<'_>; 9] = [
            (&[], &[0, 1, 2, 3]),
            (&[("order", "desc")], &[3, 2, 1, 0]),
            (&[("sort", "name")], &[1, 2, 0, 3]),
            (&[("sort", "name"), ("order", "desc")], &[3, 0, 2, 1]),
            (&[("filter", "name eq alpha")], &[1]),
            (&[("filter", "name sw 'alpha' and name ne \"alpha\"")], &[2]),
            (&[("filter", "name EQ \"it's\"")], &[3]),
            (&[("filter", "number ge 001 and number lt 003")], &[1, 2]),
            (&[("filter", "name co \"a t\" and name ew two")], &[2]),
        ];
        for (given, expected) in cases {
            let page = query(given).unwrap().page(items(), &["name"], field).unwrap();
            assert_eq!(page.items.iter().map(|item| item.0).collect::<Vec<_>>(), expected, "{given:?}");
        }
    }

    #[test]
    fn what_is_not_understood_is_refused_by_name() {
        let cases = [
            ("pagesize", "0"),
            ("pagesize", "101"),
            ("pagesize", "x"),
            ("pagetoken", "x"),
            ("pagetoken", "W10x"),
            ("sort", "number"),
            ("order", "up"),
            ("filter", "name"),
            ("filter", "name eq"),
            ("filter", "name is x"),
            ("filter", "name eq 'x"),
            ("filter", "name eq x and"),
            ("filter", "name eq x or name eq y"),
            ("filter", "name eq x name eq y"),
            ("filter", "colour eq red"),
        ];
        for (name, value) in cases {
            let refused = query(&[(name, value)]).and_then(|listing| listing.page(items(), &["name"], field)).unwrap_err();
            assert!(matches!(&refused, ManageError::Invalid { member, .. } if member == name), "{name}={value}: {refused}");
        }
    }

    proptest! {
        #[test]
        fn pages_neither_skip_nor_repeat_and_lead_back(total in 0_usize..70, size in 1_usize..30) {
            let all: Vec<_> = (0..total).map(|n| (n, format!("item {n}"))).collect();
            let mut listing = query(&[("pagesize", &size.to_string()), ("sort", "name")]).unwrap();
            let mut sorted = all.clone();
            sorted.sort_by(|a, b| a.1.cmp(&b.1));
            let (mut seen, mut before) = (Vec::new(), None);
            loop {
                let page = listing.page(all.clone(), &["name"], field).unwrap();
                prop_assert_eq!(page.previous.clone().map(|t| query(&[("pagetoken", &t)]).unwrap().offset), before);
                before = Some(listing.offset);
                seen.extend(page.items);
                match page.next {
                    Some(token) => listing = query(&[("pagetoken", &token)]).unwrap(),
                    None => break,
                }
            }
            prop_assert_eq!(seen, sorted);
        }

        #[test]
        fn no_filter_and_no_token_panics(text in ".{0,60}") {
            let _ = query(&[("filter", &text)]).and_then(|listing| listing.page(items(), &["name"], field));
            let _ = query(&[("pagetoken", &text)]);
        }
    }
}
