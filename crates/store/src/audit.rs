//! The trail: who did what, one event a row, in the order in which they were written.

use sqlx::any::AnyArguments;
use sqlx::query::Query;
use sqlx::{Any, AssertSqlSafe, Row as _};

use crate::{Conn, Domain, Error, Result, Store};

/// An event to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewEvent {
    /// Milliseconds since the Unix epoch.
    pub at: i64,
    /// The account whose trail it belongs to; `None` for what only the installation's administrator sees.
    pub account_id: Option<String>,
    pub action: String,
    /// `success` or `failure`.
    pub outcome: &'static str,
    /// IAM ID; empty if it is not known.
    pub initiator: String,
    pub initiator_name: String,
    /// The whole event, a JSON object.
    pub document: String,
}

/// An event of the trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the trail; later events have greater ones.
    pub seq: i64,
    pub document: String,
}

/// Which events are wanted; `None` leaves it open.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    pub account_id: Option<String>,
    /// Milliseconds since the Unix epoch, inclusive.
    pub since: Option<i64>,
    /// Milliseconds since the Unix epoch, exclusive.
    pub until: Option<i64>,
    /// A whole action, or the beginning of one with a `*` after it.
    pub action: Option<String>,
    pub outcome: Option<String>,
    /// IAM ID or name.
    pub initiator: Option<String>,
}

/// From where, and in which direction.
#[derive(Clone, Copy, Debug)]
pub enum From {
    /// The newest first.
    Newest,
    /// What is older than this place, the newest first.
    Before(i64),
    /// What is newer than this place, the oldest first.
    After(i64),
}

/// How often a transaction is tried, since other processes may write at the same time.
const TRIES: usize = 5;

/// Writes events after all others, and returns those that could not be written, with the reasons. One that the database does not
/// take is the only one that is lost.
pub async fn append<'a>(store: &Store, events: &'a [NewEvent]) -> Vec<(&'a NewEvent, String)> {
    let Err(error) = commit(store, events).await else { return Vec::new() };
    // A database that does not answer would be waited for with each.
    if events.len() == 1 || !matches!(error, Error::Duplicate | Error::Stale | Error::Database(sqlx::Error::Database(_))) {
        return events.iter().map(|event| (event, error.to_string())).collect();
    }
    let mut refused = Vec::new();
    for event in events {
        if let Err(error) = commit(store, std::slice::from_ref(event)).await {
            refused.push((event, error.to_string()));
        }
    }
    refused
}

async fn commit(store: &Store, events: &[NewEvent]) -> Result<()> {
    if events.is_empty() {
        return Ok(());
    }
    let mut tries = 0;
    loop {
        tries += 1;
        let written = async {
            let mut tx = store.write(Domain::Audit).await?;
            insert(&mut tx, events).await?;
            tx.commit().await
        };
        match written.await {
            Err(Error::Duplicate | Error::Stale) if tries < TRIES => {}
            result => return result,
        }
    }
}

/// Writes events after all others.
///
/// # Errors
/// [`crate::Error::Duplicate`] if another process wrote at the same time: try again. Else when the database fails.
pub async fn insert(conn: &mut Conn, events: &[NewEvent]) -> Result<()> {
    let last = newest(conn).await?;
    for (seq, event) in (last + 1..).zip(events) {
        sqlx::query(
            "INSERT INTO audit_events (seq, at, account_id, action, outcome, initiator, initiator_name, document) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        )
        .bind(seq)
        .bind(event.at)
        .bind(event.account_id.clone())
        .bind(event.action.clone())
        .bind(event.outcome.to_owned())
        .bind(event.initiator.clone())
        .bind(event.initiator_name.clone())
        .bind(event.document.clone())
        .execute(&mut *conn)
        .await?;
    }
    Ok(())
}

/// The place of the newest event; 0 if there is none.
///
/// # Errors
/// When the database fails.
pub async fn newest(conn: &mut Conn) -> Result<i64> {
    let row = sqlx::query("SELECT COALESCE(MAX(seq), 0) AS last FROM audit_events").fetch_one(conn).await?;
    Ok(row.try_get("last")?)
}

/// Conditions with their values, in order.
#[derive(Default)]
struct Conditions {
    conditions: Vec<String>,
    values: Vec<Value>,
}

enum Value {
    Number(i64),
    Text(String),
}

impl Value {
    fn bind(self, query: Query<'_, Any, AnyArguments>) -> Query<'_, Any, AnyArguments> {
        match self {
            Value::Number(number) => query.bind(number),
            Value::Text(text) => query.bind(text),
        }
    }
}

impl Conditions {
    /// Keeps a value, and returns how it is written.
    fn value(&mut self, value: Value) -> String {
        self.values.push(value);
        format!("${}", self.values.len())
    }

    fn number(&mut self, condition: &str, number: i64) {
        let place = self.value(Value::Number(number));
        self.conditions.push(format!("{condition} {place}"));
    }

    fn text(&mut self, condition: &str, text: &str) {
        let place = self.value(Value::Text(text.to_owned()));
        self.conditions.push(format!("{condition} {place}"));
    }

    fn of(filter: &Filter) -> Self {
        let mut wanted = Self::default();
        if let Some(since) = filter.since {
            wanted.number("at >=", since);
        }
        if let Some(until) = filter.until {
            wanted.number("at <", until);
        }
        if let Some(account_id) = &filter.account_id {
            wanted.text("account_id =", account_id);
        }
        if let Some(outcome) = &filter.outcome {
            wanted.text("outcome =", outcome);
        }
        match filter.action.as_ref().map(|action| action.strip_suffix('*').ok_or(action)) {
            Some(Ok(start)) => wanted.text(&format!("SUBSTR(action, 1, {}) =", start.chars().count()), start),
            Some(Err(action)) => wanted.text("action =", action),
            None => {}
        }
        if let Some(initiator) = &filter.initiator {
            let (by_id, by_name) = (wanted.value(Value::Text(initiator.clone())), wanted.value(Value::Text(initiator.clone())));
            wanted.conditions.push(format!("(initiator = {by_id} OR initiator_name = {by_name})"));
        }
        wanted
    }
}

/// At most `limit` events.
///
/// # Errors
/// When the database fails.
pub async fn list(conn: &mut Conn, filter: &Filter, from: From, limit: u16) -> Result<Vec<Event>> {
    let mut wanted = Conditions::of(filter);
    let order = match from {
        From::Newest => "DESC",
        From::Before(seq) => {
            wanted.number("seq <", seq);
            "DESC"
        }
        From::After(seq) => {
            wanted.number("seq >", seq);
            "ASC"
        }
    };
    let conditions = if wanted.conditions.is_empty() { "1 = 1".to_owned() } else { wanted.conditions.join(" AND ") };
    let sql = format!("SELECT seq, document FROM audit_events WHERE {conditions} ORDER BY seq {order} LIMIT {limit}");
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in wanted.values {
        query = value.bind(query);
    }
    let rows = query.fetch_all(conn).await?;
    rows.iter().map(|row| Ok(Event { seq: row.try_get("seq")?, document: row.try_get("document")? })).collect()
}

/// Forgets events before `before_ms`, and all but the newest `most`. Of those only a tenth may be refusals of nobody known, which
/// anybody can cause any number of: they go first, so that they do not push out what others did.
///
/// # Errors
/// When the database fails.
pub async fn old_delete(conn: &mut Conn, before_ms: i64, most: i64) -> Result<()> {
    /// Nobody known has no account, so the index by account finds them.
    const NOBODYS: &str = "account_id IS NULL AND initiator = '' AND outcome = 'failure'";
    let last = newest(conn).await?;
    // The newest stays, or the places would begin anew and whoever follows the trail would miss what comes.
    sqlx::query("DELETE FROM audit_events WHERE at < $1 AND seq < $2").bind(before_ms).bind(last).execute(&mut *conn).await?;
    for (which, most) in [(NOBODYS, most / 10), ("1 = 1", most)] {
        let sql = format!(
            "DELETE FROM audit_events WHERE {which} AND seq <= \
             (SELECT seq FROM audit_events WHERE {which} ORDER BY seq DESC LIMIT 1 OFFSET $1)"
        );
        sqlx::query(AssertSqlSafe(sql)).bind(most.max(1)).execute(&mut *conn).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(at: i64, account: Option<&str>, action: &str, outcome: &'static str) -> NewEvent {
        NewEvent {
            at,
            account_id: account.map(str::to_owned),
            action: action.to_owned(),
            outcome,
            initiator: "IBMid-1".to_owned(),
            initiator_name: "ada@example.com".to_owned(),
            document: format!("{{\"at\":{at}}}"),
        }
    }

    async fn trail() -> (tempfile::TempDir, Store) {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::sqlite(dir.path()).await.unwrap();
        let mut tx = store.write(Domain::Audit).await.unwrap();
        let first = [event(1, Some("a"), "iam.policy.create", "success"), event(2, Some("b"), "iam.policy.delete", "failure")];
        insert(&mut tx, &first).await.unwrap();
        insert(&mut tx, &[event(3, None, "iam.policies", "failure"), event(4, Some("a"), "x.y.z", "success")]).await.unwrap();
        tx.commit().await.unwrap();
        (dir, store)
    }

    async fn found(store: &Store, filter: &Filter, from: From, limit: u16) -> Vec<i64> {
        let events = list(&mut store.read().await.unwrap(), filter, from, limit).await.unwrap();
        events.into_iter().map(|event| event.seq).collect()
    }

    #[tokio::test]
    async fn pages_go_back_in_time_and_a_follower_goes_forward() {
        let (_dir, store) = trail().await;
        let all = Filter::default();
        assert_eq!(found(&store, &all, From::Newest, 3).await, [4, 3, 2]);
        assert_eq!(found(&store, &all, From::Before(2), 3).await, [1]);
        assert_eq!(found(&store, &all, From::After(2), 1).await, [3]);
        assert_eq!(found(&store, &all, From::After(4), 9).await, [0; 0]);
    }

    #[tokio::test]
    async fn filters_narrow_what_is_found() {
        let (_dir, store) = trail().await;
        let text = |text: &str| Some(text.to_owned());
        let all = Filter::default;
        let cases = [
            (Filter { account_id: text("a"), ..all() }, vec![4, 1]),
            (Filter { since: Some(2), until: Some(4), ..all() }, vec![3, 2]),
            (Filter { action: text("iam.policy.*"), ..all() }, vec![2, 1]),
            (Filter { action: text("iam.policy.create"), ..all() }, vec![1]),
            (Filter { action: text("iam.policy"), ..all() }, vec![]),
            (Filter { outcome: text("failure"), account_id: text("b"), ..all() }, vec![2]),
            (Filter { initiator: text("ada@example.com"), since: Some(4), ..all() }, vec![4]),
            (Filter { initiator: text("IBMid-1"), account_id: text("b"), ..all() }, vec![2]),
            (Filter { initiator: text("IBMid-2"), ..all() }, vec![]),
        ];
        for (filter, expected) in cases {
            assert_eq!(found(&store, &filter, From::Newest, 9).await, expected, "{filter:?}");
        }
    }

    #[tokio::test]
    async fn old_events_and_too_many_are_forgotten_but_places_are_never_used_again() {
        let (_dir, store) = trail().await;
        let delete = async |before: i64, most: i64| {
            let mut tx = store.write(Domain::Audit).await.unwrap();
            old_delete(&mut tx, before, most).await.unwrap();
            tx.commit().await.unwrap();
        };
        delete(2, 100).await;
        assert_eq!(found(&store, &Filter::default(), From::Newest, 9).await, [4, 3, 2]);
        delete(0, 2).await;
        assert_eq!(found(&store, &Filter::default(), From::Newest, 9).await, [4, 3]);
        delete(i64::MAX, 2).await;
        let mut tx = store.write(Domain::Audit).await.unwrap();
        insert(&mut tx, &[event(5, None, "a.b.c", "success")]).await.unwrap();
        assert_eq!(newest(&mut tx).await.unwrap(), 5);
    }

    #[tokio::test]
    async fn refusals_of_nobody_known_push_out_nothing_but_themselves() {
        let (_dir, store) = trail().await;
        let nobodys = NewEvent { initiator: String::new(), ..event(5, None, "iam-identity.user.login", "failure") };
        let mut tx = store.write(Domain::Audit).await.unwrap();
        insert(&mut tx, &vec![nobodys; 100]).await.unwrap();
        old_delete(&mut tx, 0, 30).await.unwrap();
        tx.commit().await.unwrap();
        assert_eq!(found(&store, &Filter::default(), From::Newest, 99).await, [104, 103, 102, 4, 3, 2, 1]);
    }

    #[tokio::test]
    async fn an_event_that_the_database_refuses_costs_itself_only() {
        let (_dir, store) = trail().await;
        let mut tx = store.write(Domain::Audit).await.unwrap();
        let trigger = "CREATE TRIGGER refuse BEFORE INSERT ON audit_events WHEN NEW.action = 'bad.bad.bad' \
                       BEGIN SELECT RAISE(ABORT, 'not this one'); END";
        sqlx::query(trigger).execute(&mut *tx).await.unwrap();
        tx.commit().await.unwrap();
        let events = ["a.b.c", "bad.bad.bad", "d.e.f"].map(|action| event(5, None, action, "success"));
        let refused = append(&store, &events).await;
        assert_eq!(refused.iter().map(|(event, _)| *event).collect::<Vec<_>>(), [&events[1]]);
        let since = Filter { since: Some(5), ..Filter::default() };
        assert_eq!(found(&store, &since, From::Newest, 9).await, [6, 5]);
    }

    #[tokio::test]
    async fn no_cache_becomes_stale_by_an_event() {
        let (_dir, store) = trail().await;
        let before = [Domain::Identity, Domain::Sessions, Domain::Fleet, Domain::Faults].map(|domain| store.generation(domain));
        let mut tx = store.write(Domain::Audit).await.unwrap();
        insert(&mut tx, &[event(5, None, "a.b.c", "success")]).await.unwrap();
        tx.commit().await.unwrap();
        let after = [Domain::Identity, Domain::Sessions, Domain::Fleet, Domain::Faults].map(|domain| store.generation(domain));
        assert_eq!(before, after);
    }
}
