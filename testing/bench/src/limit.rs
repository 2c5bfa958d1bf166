//! The limits of the machine, measured without the service, with which the service's figures are compared.

pub(crate) mod postgres;
pub(crate) mod sqlite;
