"""The roles of a cluster: `waybill run ROLE`. The one list that the local cluster, the compose file and the Kubernetes
manifests are held against.
"""

ROLES = (
    "order",
    "payment",
    "inventory",
    "shipping",
    "relay",
    "timekeeper",
    "projections",
    "gateway",
    "intake",
    "insights",
    "sandbox",
)

GATEWAY = "gateway"
"""What shops and browsers talk to."""
SANDBOX = "sandbox"
"""The provider and the carrier that the other roles call while there are no real ones. It measures nothing."""
SERVING_HTTP = (GATEWAY, SANDBOX)
"""Each at its own `WAYBILL_HTTP_PORT`."""
MEASURED = tuple(role for role in ROLES if role != SANDBOX)
"""What Prometheus asks."""
