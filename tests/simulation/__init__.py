"""The whole of Waybill in one thread, under a seeded scheduler and a clock of its own, with everything going wrong.

The code that runs is the product's: workers, deciders, effects, timekeepers, the relay, the slots, the projections and
the auditor. Simulated are only the things at its ports: the database (faults in front of an in-memory one), the broker,
the provider, the carrier, the calls' event loop, and the time. docs/decisions.md says what it has found.
"""
