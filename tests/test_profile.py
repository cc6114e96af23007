"""``--profile``: a trace that viewers open, of what every thread did, and nothing where it is not asked for."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from commands import NOTHING_RUN, Command, Refuse, made
from plates import picture, write_plate, write_sequence

from deepupscale import Engine
from deepupscale.cli.app import invoke
from deepupscale.fields import Method
from deepupscale.trace import Trace, label, recording, span, traced

STAGES = {
    "read": {"digest", "decode", "verify"},
    "infer": {"compress", "interpolate", "network", "assemble"},
    "write": {"convert", "encode", "verify", "sync"},
}


def by_thread(document: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Complete events by the name of their thread, after a look at all that the format asks for."""
    events = document["traceEvents"]
    names = {e["tid"]: e["args"]["name"] for e in events if e["ph"] == "M" and e["name"] == "thread_name"}
    assert len(set(names.values())) == len(names)
    spans: dict[str, list[dict[str, Any]]] = {name: [] for name in names.values()}
    for event in events:
        assert event["ph"] in "XM"
        assert isinstance(event["pid"], int)
        assert isinstance(event["tid"], int)
        if event["ph"] == "X":
            assert event["name"]
            assert event["dur"] >= 0
            spans[names[event["tid"]]].append(event)
    return spans


def assert_nested(events: list[dict[str, Any]]) -> None:
    """Events of a thread come in the order in which they began, and are in one another or apart."""
    open_until: list[int] = []
    last = 0
    for event in events:
        began, ended = round(1000 * event["ts"]), round(1000 * event["ts"]) + round(1000 * event["dur"])
        assert began >= last >= 0
        last = began
        while open_until and open_until[-1] <= began:
            open_until.pop()
        assert not open_until or ended <= open_until[-1], event
        open_until.append(ended)


def test_a_run_tells_what_each_thread_did(run: Command) -> None:
    write_sequence(Path(), [1, 2, 3])
    assert run("shot.####.exr", "out/")[0] == 0
    Path("out/shot.0002.exr").unlink()
    code, out, err = run("shot.####.exr", "out/", "--profile", "trace.json", "--progress", "none")
    assert (code, out, err) == (0, "", "")
    document = json.loads(Path("trace.json").read_text(encoding="utf-8"))
    assert document["otherData"] == {"most_events": 100_000, "events_left_out": 0}
    threads = by_thread(document)
    assert set(threads) == set(STAGES)
    for name, events in threads.items():
        assert_nested(events)
        found = {event["name"] for event in events}
        assert STAGES[name] <= found, name
        assert {extra.partition(" for ")[0] for extra in found - STAGES[name]} <= {"wait"}
        for event in events:
            if event["name"] in STAGES[name] - {"digest"} and name != "read":
                assert event["args"]["frame"] == "shot.0002.exr"
    assert {event["args"]["frame"] for event in threads["read"] if event["name"] == "digest"} == {
        f"shot.{n:04d}.exr" for n in (1, 2, 3)
    }
    (network,) = [event for event in threads["infer"] if event["name"] == "network"]
    assert (network["args"]["strip"], network["args"]["run"]) == (0, 0)
    assert made(".*") == []


def test_every_stage_tells_its_frame_and_strip(
    make_engine: Callable[..., Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("deepupscale.reading._BAND_BYTES", 1 << 20)
    write_plate(tmp_path / "plate.exr", picture(300, 2000))
    trace = Trace()
    with recording(trace):
        make_engine(layers=dict.fromkeys("RGB", Method.FILTER)).upscale(tmp_path / "plate.exr", tmp_path / "o.exr")
    threads = by_thread(trace.document())
    stages = [event for events in threads.values() for event in events if not event["name"].startswith("wait for ")]
    assert {event["args"]["frame"] for event in stages} == {"plate.exr"}
    for thread, name in (("read", "decode"), ("infer", "interpolate"), ("write", "convert")):
        strips = [
            event["args"]["strip"] for event in threads[thread] if event["name"] == name and "strip" in event["args"]
        ]
        assert sorted(set(strips)) == list(range(max(strips) + 1))
        assert len(set(strips)) > 1


def test_nothing_is_recorded_that_is_not_asked_for(engine: Engine, tmp_path: Path) -> None:
    write_plate(tmp_path / "plate.exr")
    trace = Trace()
    with recording(trace):
        pass
    engine.upscale(tmp_path / "plate.exr", tmp_path / "out.exr")
    label(frame="x")
    with span("decode"):
        pass
    assert by_thread(trace.document()) == {}
    assert span("decode") is span("encode"), "a mark makes something though nobody records"


def test_spans_nest_and_carry_labels_and_arguments() -> None:
    trace = Trace()
    with recording(trace):
        label(frame="a", strip=1)
        with span("outer", file="f"):
            time.sleep(0.001)
            with span("inner"):
                time.sleep(0.001)
        label(frame=None, strip=None)
        with pytest.raises(ZeroDivisionError), span("broken"):
            raise ZeroDivisionError
    (events,) = by_thread(trace.document()).values()
    assert_nested(events)
    assert [(event["name"], event["args"]) for event in events] == [
        ("outer", {"frame": "a", "strip": 1, "file": "f"}),
        ("inner", {"frame": "a", "strip": 1}),
        ("broken", {}),
    ]
    assert events[0]["dur"] > events[1]["dur"] >= 1000


def test_labels_are_those_of_their_own_thread() -> None:
    trace = Trace()

    def work() -> None:
        label(frame="theirs")
        with span("work"):
            pass

    with recording(trace):
        label(frame="mine")
        other = threading.Thread(target=work, name="other")
        other.start()
        other.join()
        with span("work"):
            pass
        label(frame=None)
    threads = by_thread(trace.document())
    assert {name: events[0]["args"]["frame"] for name, events in threads.items()} == {
        "other": "theirs",
        "infer": "mine",
    }


def test_a_traced_function_gives_what_it_gave_and_is_a_stage() -> None:
    @traced("sum")
    def add(a: int, *, b: int = 2) -> int:
        """Adds."""
        return a + b

    trace = Trace()
    assert add(1) == 3
    with recording(trace):
        assert add(1, b=4) == 5
    assert (add.__name__, add.__doc__) == ("add", "Adds.")
    (events,) = by_thread(trace.document()).values()
    assert [event["name"] for event in events] == ["sum"]


def test_a_trace_keeps_so_many_events_and_says_what_it_left_out(tmp_path: Path) -> None:
    trace = Trace(most=3)
    with recording(trace):
        for _ in range(5):
            with span("decode"):
                pass
    trace.write(tmp_path / "trace.json")
    document = json.loads((tmp_path / "trace.json").read_text(encoding="utf-8"))
    assert sum(event["ph"] == "X" for event in document["traceEvents"]) == 3
    assert document["otherData"] == {"most_events": 3, "events_left_out": 2}
    (process,) = [event for event in document["traceEvents"] if event["name"] == "process_name"]
    assert "2 events left out" in process["args"]["name"]


@pytest.mark.parametrize("place", ["nowhere/trace.json", ".", "plates/shot.0001.exr", "out/shot.0001.exr"])
def test_a_trace_that_could_not_be_written_or_would_overwrite_a_plate_is_refused_at_once(
    place: str, refuse: Refuse, tmp_path: Path
) -> None:
    write_sequence(tmp_path / "plates", [1])
    refuse(NOTHING_RUN, "plates/shot.####.exr", "out/", "--profile", place, says=(f"--profile {place}",))


def test_a_trace_in_the_place_of_the_json_file_is_refused(refuse: Refuse, tmp_path: Path) -> None:
    write_plate(tmp_path / "plate.exr")
    refuse(
        NOTHING_RUN, "plate.exr", "big.exr", "--json", "a.json", "--profile", "./a.json", says=("--profile", "--json")
    )


def test_a_run_that_fails_has_its_trace_too(run: Command) -> None:
    write_sequence(Path(), [1, 3])
    assert run("shot.####.exr", "out/", "--frames", "1-3", "--profile", "trace.json")[0] == 1
    threads = by_thread(json.loads(Path("trace.json").read_text(encoding="utf-8")))
    assert {event["args"]["frame"] for event in threads["write"] if event["name"] == "sync"} == {
        "shot.0001.exr",
        "shot.0003.exr",
    }


def test_results_are_the_same_with_a_trace_and_without(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write_plate(Path("plate.exr"), picture(names="RGBA"))
    common = ["run", "plate.exr", "--model", str(tiny_model), "--device", "cpu", "--precision", "f32"]
    assert invoke([*common, "a.exr"]) == 0
    assert invoke([*common, "b.exr", "--profile", "trace.json"]) == 0
    assert Path("a.exr").read_bytes() == Path("b.exr").read_bytes()


def test_the_picture_of_a_trace_shows_every_thread(tmp_path: Path, make_engine: Callable[..., Engine]) -> None:
    from benchmarks.trace_picture import draw

    trace = Trace()
    write_plate(tmp_path / "plate.exr", picture(100, 100))
    with recording(trace):
        make_engine().upscale(tmp_path / "plate.exr", tmp_path / "out.exr")
    drawn = draw(trace.document(), width=800)
    assert drawn.width == 800
    assert len({colour for _, colour in drawn.getcolors(1 << 20) or []}) > 5
    longer = trace.document()
    longer["traceEvents"] += [{**event, "tid": 99} for event in longer["traceEvents"] if event["tid"] == 1]
    assert draw(longer, width=800).height > drawn.height
