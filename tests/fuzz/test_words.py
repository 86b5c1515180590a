"""What people type: settings, times, positions, names. It is taken, or refused in one sentence; never a traceback."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from datetime import datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import ValidationError

from services.cli import _run
from services.faults import in_words
from services.runtime.settings import Settings
from services.wiring import open_reads
from tests.e2e.processes import importing, waybill
from tests.e2e.sweep import twelve_orders
from tests.fuzz.budget import looking_at

# What an environment and an argument can hold.
WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=30)
NUMBERS = st.one_of(
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        [
            "inf",
            "-inf",
            "nan",
            "1e300",
            "1e-300",
            "0",
            "-1",
            "9" * 40,
            "1_000",
            "0x10",
            " 5 ",
            "\N{FULLWIDTH DIGIT FIVE}",
        ]
    ),
)
TIMES = st.one_of(
    st.datetimes().map(datetime.isoformat),
    st.datetimes().map(lambda moment: f"{moment:%Y-%m-%d}"),
    st.from_regex(r"[0-9]{4}-[0-9]{2}-[0-9]{2}([T ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?Z?)?", fullmatch=True),
)


# --- settings --------------------------------------------------------------------------------------------------------


@contextmanager
def environment(**wanted: str) -> Iterator[None]:
    with patch.dict(os.environ, wanted):
        yield


@pytest.mark.parametrize("name", Settings.model_fields)
def test_a_setting_fits_or_is_refused_in_a_sentence(name: str) -> None:
    variable, secret = f"WAYBILL_{name.upper()}", "url" in name or "password" in name

    @looking_at(40)
    @example(value="inf")
    @example(value="1e300")
    @given(value=NUMBERS | WORDS)
    def look(value: str) -> None:
        try:
            with environment(**{variable: value}):
                settings = Settings()
        except ValidationError as refused:
            sentence = in_words(refused)
            assert sentence is not None
            assert sentence.startswith(f"the setting {variable} does not fit: ")
            assert not (secret and len(value) > 3 and value in sentence)
            return
        # What takes a time of day must be able to add it to one.
        for length_s in (settings.action_ttl_s, settings.tracking_every_s, settings.call_timeout_s):
            assert datetime(2026, 1, 1) + timedelta(seconds=length_s) >= datetime(2026, 1, 1)  # noqa: DTZ001

    look()


# --- arguments -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Twelve orders, and a Redis that runs, so that no command has to start one."""
    folder = tmp_path_factory.mktemp("words")
    outcome = waybill(*importing(twelve_orders(folder)), home=folder / "home")
    assert outcome.code == 0, outcome
    with open_reads(folder / "home"):
        yield folder / "home"


def typed(home: Path, *words: str) -> None:
    """The command ends, with what was asked for or with a sentence."""
    said, complained = io.StringIO(), io.StringIO()
    arguments = ["waybill", *words[:2], "--home", str(home), *words[2:]]
    with patch.object(sys, "argv", arguments), redirect_stdout(said), redirect_stderr(complained):
        code = _run()
    assert code in (0, 2), (code, said.getvalue(), complained.getvalue())
    assert (code == 2) == bool(complained.getvalue()), complained.getvalue()


ORDER = ("order", "show", "--channel", "online-retail", "--number", "700001")


@looking_at(40)
@example(position="99999999999999999999999")  # more than the database can count
@given(position=NUMBERS | WORDS)
def test_an_order_at_any_position(position: str, home: Path) -> None:
    typed(home, *ORDER, f"--position={position}")


@looking_at(40)
@example(time="9999-12-31T23:59:59")
@example(time="0001-01-01")
@given(time=TIMES | WORDS)
def test_an_order_at_any_time(time: str, home: Path) -> None:
    typed(home, *ORDER, f"--at={time}")


@looking_at(40)
@example(first="99999999999999999999999", last="99999999999999999999999")
@given(first=NUMBERS | WORDS, last=NUMBERS | WORDS)
def test_a_replay_of_any_range(first: str, last: str, home: Path) -> None:
    typed(home, "audit", "replay", f"--from={first}", f"--to={last}")


@looking_at(40)
@example(command="order", name="\udcff")  # a byte that is no UTF-8, as the shell hands it over
@example(command="stock", name="\udcff")
@given(command=st.sampled_from(["order", "stock"]), name=WORDS)
def test_any_name_of_a_thing(command: str, name: str, home: Path) -> None:
    typed(home, command, "show", "--", name)
