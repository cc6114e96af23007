"""What a host asks of the worker, and what it gets: real processes, talked to over their pipes."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import RunScript
from plates import picture, write_plate

from deepupscale.worker.messages import Code

if TYPE_CHECKING:
    from hosts import Client, Start

pytest_plugins = ["hosts"]
ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "worker.md").read_text(encoding="utf-8")
PARSE, REQUEST, METHOD, PARAMS = (
    Code.PARSE_ERROR, Code.INVALID_REQUEST, Code.METHOD_NOT_FOUND, Code.INVALID_PARAMS,
)  # fmt: skip
SETUP, FRAME = Code.SETUP, Code.FRAME


def line(**members: Any) -> bytes:
    return json.dumps({"jsonrpc": "2.0", "id": 7, **members}).encode()


UPSCALE = {"plate": "/p/a.exr", "result": "/p/b.exr"}
BAD_LINES: list[tuple[bytes, int, Any]] = [
    (b"{", PARSE, None),
    (b"hello", PARSE, None),
    (b'{"jsonrpc": "2.0", "id": 7, "method": "models", "params": {"x": NaN}}', PARSE, None),
    (b'{"jsonrpc": "2.0", "id": 7, "id": 8, "method": "models"}', PARSE, None),
    (b'{"jsonrpc": "2.0", "id": 7, "method": "mod\xff\xfeels"}', PARSE, None),
    (b"\xef\xbb\xbf" + line(method="models"), PARSE, None),
    (line(method="models").decode().encode("utf-16"), PARSE, None),
    (b"[" * 200_000, PARSE, None),
    (b'{"a":' * 100_000, PARSE, None),
    (b"9" * 10_000, PARSE, None),
    (b" " * (1 << 20) + b"1", PARSE, None),
    (b"x" * (3 << 20), PARSE, None),
    (b"[" + line(method="models") + b"]", REQUEST, None),
    (b"[]", REQUEST, None),
    (b"null", REQUEST, None),
    (b'"models"', REQUEST, None),
    (b"{}", REQUEST, None),
    (b'{"id": 7, "method": "models"}', REQUEST, 7),
    (line(method="models", jsonrpc="1.0"), REQUEST, 7),
    (line(method=1), REQUEST, 7),
    (line(result={}), REQUEST, 7),
    (line(method="models", parms={}), REQUEST, 7),
    (line(method="initialize", params={"protocol": [1]}), REQUEST, 7),
    *((line(method="models", id=bad), REQUEST, None) for bad in (None, True, 1.5, [], {}, "i" * 201, 1 << 64)),
    (line(method="models", params=[1]), PARAMS, 7),
    (line(method="models", params={"verbose": True}), PARAMS, 7),
    (line(method="cancel", params={"id": 1.5}), PARAMS, 7),
    (line(method="__class__"), METHOD, 7),
    (line(method="x" * 9999 + "\n\x1b[31m"), METHOD, 7),
    *((line(method="upscale", params=params), PARAMS, 7) for params in (
        {}, {"plate": "/p/a.exr"}, {**UPSCALE, "plate": 1}, {**UPSCALE, "plate": None}, {**UPSCALE, "scale": "2"},
        {**UPSCALE, "scale": 2.0}, {**UPSCALE, "scale": True}, {**UPSCALE, "layers": ["R"]}, {**UPSCALE, "tile": 64},
        {**UPSCALE, "layers": {"R": "magic"}}, {**UPSCALE, "overwrite": 1}, {**UPSCALE, "model": "./m.onnx"},
        {**UPSCALE, "model": "m.onnx"}, {**UPSCALE, "device": ""}, {**UPSCALE, "runtime": ["auto"]},
        {**UPSCALE, "layers": {str(n): "drop" for n in range(1025)}}, {**UPSCALE, "digest": 1},
    )),
    *((line(method="check", params={"result": "/p/b.exr", "sha256": bad}), PARAMS, 7) for bad in (
        "", "a" * 63, "A" * 64, "g" * 64, 1,
    )),
    *((line(method="upscale", params={**UPSCALE, name: path}), PARAMS, 7) for name in UPSCALE for path in (
        "", "a.exr", "../a.exr", "./a.exr", "~/a.exr", "/p/a.png", "/p/a.exr/", "/p/.exr", "/p/\0.exr", "/p/\ud800.exr",
        "/p/" + "x" * 10_000 + ".exr", "file:///p/a.exr", "$(touch x).exr",
    )),
    *((line(method="upscale", params={**UPSCALE, "plate": path}), FRAME, 7) for path in (
        "/p/../no/a.exr", "/p/" + "x" * 300 + ".exr", "/p/new\nline.exr", "/p/$(touch x).exr", "/dev/null/a.exr",
    )),
    *((line(method="upscale", params={**UPSCALE, **more}), SETUP, 7) for more in (
        {"scale": 3}, {"scale": 1 << 70}, {"compression": "jpeg"}, {"model": "no such model"}, {"model": "/p/m\n.onnx"},
        {"device": "abacus"}, {"precision": "f64"}, {"runtime": "tpu"}, {"result": "/p/../p/a.exr"},
    )),
]  # fmt: skip


def test_whatever_is_wrong_with_a_line_is_one_clear_error_and_the_worker_goes_on(worker: Client) -> None:
    for data, code, known in BAD_LINES:
        worker.raw(data + b"\n")
        said = worker.answer()
        shown = data[:150]
        assert "error" in said, (shown, said)
        assert (said["error"]["code"], said["id"]) == (code, known), (shown, said)
        text = said["error"]["message"]
        assert 8 < len(text) <= 1000, (shown, text)
        assert text.isprintable(), (shown, text)
        assert said["error"]["data"]["kind"].endswith("Error"), (shown, said)
    assert worker.ask("cancel", id="unknown")["result"] == {}
    assert not Path("x").exists()


def test_notifications_and_blank_lines_get_no_answer(worker: Client) -> None:
    worker.notify("cancel", id="unknown")
    worker.notify("cancel", nothing=1)
    worker.notify("upscale", **UPSCALE)
    worker.notify("no such method")
    worker.raw(b'\n  \r\n{"jsonrpc": "2.0", "method": "cancel", "params": [1]}\r\n')
    assert worker.ask("cancel", id="unknown")["result"] == {}
    assert not [said for said in worker.heard[-5:] if said.get("id", 0) is None], "a notification was answered"


def test_ids_come_back_as_they_were(worker: Client) -> None:
    for known in (0, -1, (1 << 63) - 1, "", "1", 'ü " \\ \n'):
        worker.raw(line(id=known, method="cancel", params={"id": 0}) + b"\n")
        said = worker.answer()
        assert (said["id"], type(said["id"])) == (known, type(known))


def test_models_and_devices_are_those_of_the_command(worker: Client, run_script: RunScript) -> None:
    printed = {verb: json.loads(run_script(verb, "--json").stdout) for verb in ("models", "doctor")}
    assert worker.ask("models")["result"] == printed["models"]
    del printed["doctor"]["packages"]
    assert worker.ask("devices")["result"] == printed["doctor"]


@pytest.mark.parametrize(
    ("more", "options"),
    [
        ({}, []),
        ({"scale": 4, "compression": "zips"}, ["--scale", "4", "--compression", "zips"]),
        ({"layers": {"G": "nearest", "A": "filter"}}, ["--layer", "A=filter", "--layer", "G=nearest"]),
        ({"precision": "auto", "device": "auto"}, ["--precision", "auto", "--device", "auto"]),
    ],
    ids=["plain", "scale", "layers", "auto"],
)
def test_results_are_those_of_run_to_the_byte(
    more: dict[str, Any], options: list[str], worker: Client, job: dict[str, Any], run_script: RunScript, tmp_path: Path
) -> None:
    plate, asked = tmp_path / "plate.exr", {**job, **more}
    if not more:
        shutil.copyfile(ROOT / "examples" / "plate.exr", plate)
    first = worker.ask("upscale", **asked)["result"]
    done = run_script("run", plate, tmp_path / "run.exr", "--model", job["model"], "--device", "cpu", "--precision",
                      "f32", *options)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert Path(job["result"]).read_bytes() == (tmp_path / "run.exr").read_bytes()
    assert (first["status"], first["result"]) == ("done", job["result"])
    width, height = (24, 16) if more else (480, 270)
    assert first["size"] == [width * asked.get("scale", 2), height * asked.get("scale", 2)]
    assert worker.ask("upscale", **asked)["result"]["status"] == "skipped"
    assert worker.ask("upscale", **asked, overwrite=True)["result"]["status"] == "done"
    assert worker.ask("check", **asked)["result"]["fresh"] is True


def test_progress_only_grows_and_ends_with_one(worker: Client, long_job: dict[str, Any]) -> None:
    known = worker.send("upscale", **long_job, overwrite=True)
    before = len(worker.heard)
    assert worker.answer(known)["result"]["status"] == "done"
    told = [said["params"] for said in worker.heard[before:] if said.get("method") == "progress"]
    fractions = [each["fraction"] for each in told]
    assert {each["id"] for each in told} == {known}
    assert fractions == sorted(set(fractions))
    assert 20 < len(fractions) <= 200
    assert fractions[0] < 0.1
    assert fractions[-1] == 1.0


def test_the_host_gets_its_stamps_back_and_nothing_else(worker: Client, job: dict[str, Any]) -> None:
    stamps = {"nuke/node_hash": "a1b2", "nuke/long": "x" * 1025, "nuke/number": 7, "owner": "me"}
    write_plate(Path(job["plate"]), picture(), **stamps)
    found = worker.ask("upscale", **job)["result"]["plate"]
    stat = Path(job["plate"]).stat()
    assert found["attributes"] == {"nuke/node_hash": "a1b2"}
    assert (found["size"], found["mtime_ns"]) == (stat.st_size, stat.st_mtime_ns)


@pytest.mark.shared
def test_a_real_plate_of_another_kind_is_refused(worker: Client, job: dict[str, Any], shared_folder: Path) -> None:
    for name, word in (("LuminanceChroma_Garden", "luminance"), ("MultiResolution_Bonita", "mip-mapped"),
                       ("v2_LowResLeftView_Balls", "deep")):  # fmt: skip
        refused = worker.ask("upscale", **{**job, "plate": str(shared_folder / "refused" / f"{name}.exr")})["error"]
        assert (refused["code"], refused["data"]) == (FRAME, {"kind": "PlateError"})
        assert name in refused["message"]
        assert word in refused["message"]
    assert not Path(job["result"]).exists()


def test_any_file_name_works(worker: Client, job: dict[str, Any], tmp_path: Path) -> None:
    for name in (
        "new\nline.exr",
        "\u6771\u4eac \u00e9t\u00e9.EXR",
        "$(touch x);`y`.exr",
        "shot.####.exr",
        "\U0001f3ac.exr",
    ):
        shutil.copyfile(job["plate"], tmp_path / name)
        result = str(tmp_path / "a" / ".." / "b" / name)
        done = worker.ask("upscale", **{**job, "plate": str(tmp_path / name), "result": result})["result"]
        assert (done["status"], done["result"]) == ("done", result)
        assert (tmp_path / "b" / name).is_file()


def test_a_plate_is_not_overwritten_by_its_result(worker: Client, job: dict[str, Any], tmp_path: Path) -> None:
    plate = Path(job["plate"])
    (tmp_path / "link.exr").symlink_to(plate)
    (tmp_path / "same.exr").hardlink_to(plate)
    for name in ("plate.exr", "link.exr", "same.exr", "../" + tmp_path.name + "/plate.exr"):
        refused = worker.ask("upscale", **{**job, "result": str(tmp_path / name), "overwrite": True})["error"]
        assert refused["code"] == SETUP
        assert "overwrite the plate" in refused["message"]


def test_check_says_why_a_result_does_not_stand(worker: Client, job: dict[str, Any], other_model: Path) -> None:
    result = Path(job["result"])

    def why(without: str = "", **more: Any) -> str:
        asked = {name: value for name, value in {**job, **more}.items() if name != without}
        said = worker.ask("check", **asked)["result"]
        assert said["fresh"] == said["why"].startswith("whole, made as asked")
        return said["why"]

    assert "no such file" in why()
    assert worker.ask("upscale", **job)["result"]["status"] == "done"
    whole = result.read_bytes()
    assert why() == "whole, made as asked from this plate"
    assert why(without="plate", device="auto", overwrite=True) == "whole, made as asked"
    assert why(scale=4).endswith("was made with scale 2, not 4")
    assert why(compression="zips").endswith('was made with compression null, not "zips"')
    assert "layers" in why(layers={"A": "filter"})
    assert "precision" in why(precision="auto")
    assert why(model=str(other_model)).endswith("was made by another model")
    for count in (len(whole) - 9, 99, 0):
        result.write_bytes(whole[:count])
        assert why() != why(scale=4) or count < 100
    result.write_bytes(whole)
    write_plate(Path(job["plate"]), picture(24, 16, "RGBA", seed=9))
    assert "another plate, or the plate has changed" in why()
    assert why(without="plate") == "whole, made as asked"
    first = worker.ask("upscale", **job, overwrite=True, compression="none", digest=True)["result"]
    assert first["sha256"] == hashlib.sha256(result.read_bytes()).hexdigest()
    assert worker.ask("upscale", **job, compression="none", digest=True)["result"]["sha256"] == first["sha256"]
    assert why(compression="none", sha256=first["sha256"]) == "whole, made as asked from this plate"
    data = bytearray(result.read_bytes())
    data[-20] ^= 0x10
    result.write_bytes(data)
    assert why(compression="none") == "whole, made as asked from this plate", "an uncompressed pixel tells nobody"
    assert why(compression="none", sha256=first["sha256"]).endswith("its bytes are not those that were asked for")
    write_plate(result, picture(48, 32))
    assert "no result of deepupscale" in why()
    assert "no result of deepupscale" in why(without="plate")
    Path(job["plate"]).unlink()
    assert worker.ask("check", **job)["error"]["code"] == FRAME


def test_a_model_that_changed_is_loaded_anew(
    worker: Client, job: dict[str, Any], tiny_model: Path, other_model: Path, tmp_path: Path
) -> None:
    model = tmp_path / "model.onnx"
    shutil.copyfile(tiny_model, model)
    asked = {**job, "model": str(model)}
    first = worker.ask("upscale", **asked)["result"]
    before = Path(job["result"]).read_bytes()
    shutil.copyfile(other_model, model)
    second = worker.ask("upscale", **asked)["result"]
    assert second["status"] == "done"
    assert second["model"]["sha256"] != first["model"]["sha256"]
    plain = worker.ask("upscale", **{**job, "model": str(other_model), "result": str(tmp_path / "plain.exr")})["result"]
    assert plain["settings"] == second["settings"]
    assert Path(job["result"]).read_bytes() == (tmp_path / "plain.exr").read_bytes() != before


def test_the_document_shows_a_conversation_as_it_is(start: Start, tmp_path: Path) -> None:
    shown = DOCUMENT[DOCUMENT.index("<!-- conversation -->") :].split("```")[1].strip().splitlines()
    write_plate(tmp_path / "plate.exr", picture(), **{"nuke/node_hash": "d41d8cd98f00b204"})
    client = start(initialize=False)
    for entry in shown:
        said = json.loads(entry[4:].replace("/shots", str(tmp_path)))
        if entry.startswith("--> "):
            client.raw(json.dumps(said).encode() + b"\n")
        else:
            assert_like(client.next(), said)
    assert client.process.wait(60) == 0


_OF_THE_MACHINE = frozenset({"pid", "seconds", "sha256", "model", "source", "mtime_ns", "precision", "reason"})


def assert_like(found: Any, shown: Any, name: str = "") -> None:
    """The same members, of the same types; the same values but for what differs from machine to machine."""
    if isinstance(shown, dict):
        assert set(found) == set(shown), name
        for key, value in shown.items():
            assert_like(found[key], value, key)
    elif name in _OF_THE_MACHINE or (name == "size" and isinstance(shown, int)):
        assert type(found) is type(shown), name
    else:
        assert found == shown, name


def test_the_document_has_the_numbers_of_all_errors() -> None:
    table = re.findall(r"^\| (-32\d{3}) \| ([A-Z ]+) \|", DOCUMENT, re.MULTILINE)
    assert {int(number): name for number, name in table} == {
        code.value: code.name.replace("_", " ").replace("PARSE ERROR", "PARSE") for code in Code
    }
