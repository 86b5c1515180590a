"""The payment service: authorizes, captures, voids and refunds, each at most once for one request."""
