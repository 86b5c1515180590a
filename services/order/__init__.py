"""The order service: validates orders and carries them through payment, allocation and fulfillment."""
