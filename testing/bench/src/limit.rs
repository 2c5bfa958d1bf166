//! What the machine bears without the service: the figures that the service's own stand beside.

pub(crate) mod postgres;
pub(crate) mod sqlite;
