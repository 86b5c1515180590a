"""AsyncAPI's own parser finds nothing wrong with our document, and reads in it what we mean."""

from __future__ import annotations

import json

import pytest

from services.contracts.__main__ import DOCS
from services.contracts.schemas import INTAKE
from services.routing import TOPICS
from tests.cluster.npm import Node

pytestmark = pytest.mark.cluster


def test_the_parser_from_npm_accepts_the_document(node: Node) -> None:
    said = json.loads(node.run("check_asyncapi.cjs", str(DOCS / "asyncapi.yaml")))

    assert said["complaints"] == []
    assert sorted(said["channels"]) == sorted(TOPICS)
    payloads = dict(said["payloads"])
    assert payloads["order.placed.v2"] == payloads[f"{INTAKE}.binary"] == "object", (
        "it follows the links to the schemas"
    )
