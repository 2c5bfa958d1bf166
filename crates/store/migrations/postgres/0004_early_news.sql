-- A message that came before what it is about had begun is dealt with again by itself, once its batch is past this revision.
ALTER TABLE dead_letters ADD COLUMN after_revision bigint;
CREATE INDEX dead_letters_early ON dead_letters (batch_id) WHERE after_revision IS NOT NULL;
