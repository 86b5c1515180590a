"""Tests that need real servers: Apache Kafka, PostgreSQL, Redis. `pytest tests/cluster`; the servers: servers.py."""
