//! What differs between the databases: connections, transactions, migrations' locks, and the form of bulk writes.

pub(crate) mod postgres;
pub(crate) mod sqlite;
