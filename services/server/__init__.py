"""Serves a home over HTTP: puts the gateway's commands and the projections' queries into one application."""
