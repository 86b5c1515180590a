"""Waybill in several processes: each plays one or more roles, joined by Kafka, PostgreSQL and Redis.

The consumers are the same as in one process. What is added here: which slots of a service's work are this process's
(members.py), who leads where only one may (leaders.py), and a process around it all (process.py, roles.py, probes.py).
"""
