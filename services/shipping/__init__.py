"""The shipping service: picks, packs, buys labels, ships, and follows parcels until they are delivered."""
