"""The inventory service: keeps the stock ledger, promises goods to orders, never more than there are."""
