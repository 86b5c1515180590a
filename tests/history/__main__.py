from tests.history import write_uncommitted

write_uncommitted()
