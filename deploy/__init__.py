"""How Waybill is run: images, manifests, dashboards, and a cluster on one machine (deploy/local)."""
