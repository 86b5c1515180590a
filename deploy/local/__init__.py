"""The cluster's servers and roles as plain processes of this machine, for those without Docker and for the tests."""
