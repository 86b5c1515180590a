"""What a buyer does at the sandbox payment provider, over HTTP: the real provider would tell us by a webhook."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from fastapi import APIRouter

from services.gateway.answers import AT_THE_DOOR, Done, documented, not_found, refused


class SandboxBuyer(NamedTuple):
    """Acts at the provider for the buyer of an order, and has the payment service ask what came of it.

    Each answers None if no payment of the order was ever started, False if none waits for its buyer (any more).
    """

    complete: Callable[[str], bool | None]
    fail: Callable[[str], bool | None]


def sandbox_router(buyer: SandboxBuyer) -> APIRouter:
    router = APIRouter(tags=["sandbox"])

    @router.post("/sandbox/payments/{order_id}/complete", responses=documented(404, 409, *AT_THE_DOOR))
    def confirm_a_payment(order_id: str) -> Done:
        """The buyer confirms a payment that demands it (payment token `tok_action`)."""
        return _done(buyer.complete(order_id), "The buyer confirmed; the provider is being asked.")

    @router.post("/sandbox/payments/{order_id}/fail", responses=documented(404, 409, *AT_THE_DOOR))
    def fail_a_payment(order_id: str) -> Done:
        """The buyer gives up, or does not pass."""
        return _done(buyer.fail(order_id), "The buyer failed; the provider is being asked.")

    return router


def _done(acted: bool | None, message: str) -> Done:
    if acted is None:
        raise not_found("No payment was started for such an order.")
    if not acted:
        raise refused("No payment of this order waits for its buyer.")
    return Done(changed=True, message=message)
