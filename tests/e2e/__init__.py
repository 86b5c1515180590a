"""The `waybill` command end to end: real processes, real files, a real Redis."""
