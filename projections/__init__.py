"""What can be seen: rows in Redis, folded from the log and rebuilt from it at will."""
