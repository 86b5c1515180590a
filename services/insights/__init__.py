"""Windowed stream analytics: what is going on now, and what had better be looked at. Never the state of record.

Pure: windows, quantiles, counts (what an event adds), fold (events into panes), buyers, alerts, report.
At the edges: journeys and history (the log), board (where results lie), holds (asks the order service), app (Faust).
"""
