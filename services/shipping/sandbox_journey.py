"""The way of a sandbox parcel: which scans its carrier makes, when and where. Pure."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final, NamedTuple

from events.shipping import TrackingStatus
from services.shipping.carrier import Scan

LOST: Final = "LOST1"
RETURNED: Final = "RETURN1"

_HUB: Final = "Sorting centre"


class _Leg(NamedTuple):
    """One scan of a plan, `after_h` hours after the carrier got the parcel."""

    after_h: float
    status: TrackingStatus
    place: str


_TAKEN_OVER: Final = (
    _Leg(0, TrackingStatus.PRE_TRANSIT, "{origin}"),
    _Leg(4, TrackingStatus.IN_TRANSIT, "{origin}"),
    _Leg(14, TrackingStatus.IN_TRANSIT, _HUB),
)
_AT_HOME: Final = (
    _Leg(24, TrackingStatus.OUT_FOR_DELIVERY, "{country}"),
    _Leg(29, TrackingStatus.DELIVERED, "{country}"),
)
_ABROAD: Final = (
    _Leg(60, TrackingStatus.IN_TRANSIT, "{country}"),
    _Leg(96, TrackingStatus.OUT_FOR_DELIVERY, "{country}"),
    _Leg(101, TrackingStatus.DELIVERED, "{country}"),
)
_GOES_WRONG: Final = {
    LOST: (_Leg(72, TrackingStatus.FAILURE, _HUB),),
    RETURNED: (
        _Leg(72, TrackingStatus.FAILURE, "{country}"),
        _Leg(120, TrackingStatus.RETURN_TO_SENDER, "{origin}"),
    ),
}


def journey(marker: str, *, origin: str, country: str, abroad: bool, ship_at: datetime, haste: float) -> list[Scan]:
    """Every scan there will ever be, oldest first. `haste` 3600 makes an hour of carriage a second."""
    ending = _GOES_WRONG.get(marker) or (_ABROAD if abroad else _AT_HOME)
    return [
        Scan(
            status=leg.status,
            scanned_at=ship_at + timedelta(hours=leg.after_h / haste),
            place=leg.place.format(origin=origin, country=country),
        )
        for leg in (*_TAKEN_OVER, *ending)
    ]
