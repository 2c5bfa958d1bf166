-- Whether an outcome of the essay's latest attempt has named it. Set only where an outcome leaves other essays unnamed.
ALTER TABLE essays ADD COLUMN is_named INTEGER NOT NULL DEFAULT 0;
