"""The auditor's tools: check the log, print it as it was recorded, tell how an order stood. They only read.

An independent check: nothing in here uses the rules or states of the services. It knows the language alone.
"""
