"""Where the log's rows lie: in memory, in an SQLite file, in PostgreSQL. The only importer of `eventsourcing`."""
