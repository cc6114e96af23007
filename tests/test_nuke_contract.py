"""The contract between the stand-in and Nuke: every name and signature is one that the published stubs know.

The stubs are ``types-nuke`` (MIT), for Nuke 13. What they have wrong is listed here with the reason, and the list may
not grow stale: an entry that the stubs contradict no longer fails.
"""

from __future__ import annotations

import ast
import importlib.metadata
import importlib.util
import inspect
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("tkinter", reason="this Python has no Tcl to read scripts with")

from nuke_standin import StandInError, terminal

HERE = Path(__file__).resolve().parent
STAND_IN = HERE / "nuke_standin"
PLUGIN = HERE.parent / "nuke_plugin"

FILES = {"_nuke.pyi", "callbacks.pyi", "executeInMain.pyi", "overrides.pyi", "utils.pyi", "scripts.pyi"}
WRONG_IN_STUBS = {  # name: why our signature differs
    "Node.sample": "the stubs split one signature into four of one unnamed coordinate each",
    "Link_Knob.setValue": "the stubs take no value at all",
}
NOT_IN_OURS = {  # parameters of the stubs that the stand-in leaves out, so that using them raises
    "Knob.toScript": {"context"},
    "Knob.getValue": {"channel"},
    "Knob.setValue": {"chan"},
    "Knob.value": {"index"},
    "Knob.isAnimated": {"channel"},
    "Array_Knob.setExpression": {"view"},
    "String_Knob.setValue": {"view"},
    "String_Knob.value": {"oc"},
}


def stub_files() -> list[Path]:
    """The stubs' files, found without importing them."""
    try:
        files = importlib.metadata.files("types-nuke") or []
    except importlib.metadata.PackageNotFoundError:
        pytest.fail("types-nuke is not installed: pip install -e '.[test]'")
    return [Path(str(f.locate())) for f in files if f.suffix == ".pyi"]


def load() -> SimpleNamespace:
    """Names of the stubs' module, its classes with their bases and methods, its functions."""
    found = SimpleNamespace(names=set(), classes={}, functions={})
    for path in stub_files():
        if path.name not in FILES:
            continue
        for item in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(item, ast.ClassDef):
                methods: dict[str, list[ast.FunctionDef]] = {}
                for inner in item.body:
                    if isinstance(inner, ast.FunctionDef):
                        methods.setdefault(inner.name, []).append(inner)
                bases = [b.id for b in item.bases if isinstance(b, ast.Name)]
                found.classes[item.name] = (bases, methods)
                found.names.add(item.name)
            elif isinstance(item, ast.FunctionDef):
                found.functions.setdefault(item.name, []).append(item)
                found.names.add(item.name)
            elif isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name):
                found.names.add(item.target.id)
            elif isinstance(item, ast.Assign) and isinstance(item.targets[0], ast.Name):
                found.names.add(item.targets[0].id)
    return found


STUBS = load()


def stub_methods(name: str) -> dict[str, list[ast.FunctionDef]]:
    """The methods of a class of the stubs, those of its bases too."""
    bases, own = STUBS.classes[name]
    methods: dict[str, list[ast.FunctionDef]] = {}
    for base in bases:
        methods.update(stub_methods(base) if base in STUBS.classes else {})
    return {**methods, **own}


@pytest.fixture(scope="module")
def offered() -> Any:
    """Every public name of the stand-in's module."""
    with terminal() as session:
        return {k: v for k, v in vars(session.nuke).items() if not k.startswith("_")}


def public(cls: type) -> list[str]:
    """The public methods of one of our classes, inherited ones too."""
    return [
        n for n in dir(cls) if not n.startswith("_") and callable(getattr(cls, n)) and not issubclass(cls, Exception)
    ]


def strange(ours: Any, theirs: list[ast.FunctionDef], left_out: set[str]) -> str:
    """How our signature differs from every one that the stubs give, or nothing."""
    mine = {n: p for n, p in inspect.signature(ours).parameters.items() if n not in {"self", "cls"}}
    said = ""
    for stub in theirs:
        args = [a.arg for a in (*stub.args.posonlyargs, *stub.args.args) if a.arg not in {"self", "cls"}]
        if stub.args.vararg and stub.args.kwarg:
            return ""
        variadic = any(p.kind is p.VAR_POSITIONAL for p in mine.values())
        lacking = [a for a in args if a not in mine and a not in left_out]
        wanted = [n for n, p in mine.items() if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
        required = args[: len(args) - len(stub.args.defaults)] + [a.arg for a in stub.args.kwonlyargs]
        extra = [n for n in wanted if n not in required]
        order = [n for n in mine if n in args]
        if not extra and (variadic or (not lacking and order == [a for a in args if a in mine])):
            return ""
        said = f"lacks {lacking}, wants {extra} besides, order {order} for {args}"
    return said


def test_the_stubs_are_stubs_alone() -> None:
    assert importlib.util.find_spec("nuke") is None
    assert "nuke" not in sys.modules
    assert {p.parent.name for p in stub_files()} == {"nuke-stubs"}
    assert importlib.metadata.metadata("types-nuke")["License"] == "MIT"


def test_every_name_of_the_module_is_nukes(offered: dict[str, Any]) -> None:
    assert len(offered) > 150
    assert sorted(set(offered) - STUBS.names) == []


def test_every_method_is_nukes(offered: dict[str, Any]) -> None:
    classes = {n: c for n, c in offered.items() if inspect.isclass(c)}
    assert len(classes) > 40
    unknown = [f"{n}.{m}" for n, c in classes.items() for m in public(c) if m not in stub_methods(n)]
    assert unknown == []


def test_every_signature_is_nukes(offered: dict[str, Any]) -> None:
    wrong = {}
    for name, thing in offered.items():
        if inspect.isclass(thing):
            for method in public(thing):
                owner = next(c.__name__ for c in thing.__mro__ if method in vars(c))
                key = f"{owner}.{method}"
                said = strange(getattr(thing, method), stub_methods(name)[method], left_out(thing, method))
                if said and key not in WRONG_IN_STUBS:
                    wrong[f"{name}.{method} ({key})"] = said
        elif inspect.isfunction(thing) and name != "render":
            said = strange(thing, STUBS.functions[name], set())
            if said and name not in WRONG_IN_STUBS:
                wrong[name] = said
    assert wrong == {}


def left_out(cls: type, method: str) -> set[str]:
    """The parameters that we leave out of a method of this class or of its bases."""
    return set().union(*(NOT_IN_OURS.get(f"{c.__name__}.{method}", set()) for c in cls.__mro__))


def test_the_lists_of_exceptions_are_of_things_that_are_there(offered: dict[str, Any]) -> None:
    for key in (*WRONG_IN_STUBS, *NOT_IN_OURS):
        owner, _, method = key.rpartition(".")
        assert hasattr(offered[owner], method) if owner else key in offered, key
        assert method in stub_methods(owner), key
    for key in WRONG_IN_STUBS:
        owner, _, method = key.rpartition(".")
        assert strange(getattr(offered[owner], method), stub_methods(owner)[method], set()), f"{key} is right by now"
    for key, names in NOT_IN_OURS.items():
        owner, _, method = key.rpartition(".")
        assert not names & set(inspect.signature(getattr(offered[owner], method)).parameters), key
        assert names <= {a.arg for stub in stub_methods(owner)[method] for a in stub.args.args}, key


def test_a_wrong_signature_is_told() -> None:
    def frame(number: int) -> int:
        return number

    def menu(name: str, more: int) -> None: ...

    def menu_of(name: str, more: int = 0) -> None: ...

    assert "lacks ['f']" in strange(frame, STUBS.functions["frame"], set())
    assert "wants ['more']" in strange(menu, STUBS.functions["menu"], set())
    assert strange(menu_of, STUBS.functions["menu"], set()) == ""


def test_what_nuke_has_and_the_stand_in_has_not_says_so() -> None:
    with terminal() as session:
        for name in ("tcl", "expression", "scriptNew", "memory"):
            assert name in STUBS.names
            with pytest.raises(StandInError, match=f"nuke.{name}"):
                getattr(session.nuke, name)


def names_used(file: Path) -> set[str]:
    """The ``nuke.X`` that a file of Python says."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "nuke"
    }


@pytest.mark.parametrize("file", sorted(PLUGIN.rglob("*.py")), ids=lambda p: p.relative_to(PLUGIN).as_posix())
def test_every_name_that_the_plugin_uses_is_nukes_and_the_stand_ins(file: Path, offered: dict[str, Any]) -> None:
    used = names_used(file)
    assert sorted(used - STUBS.names) == []
    assert sorted(used - set(offered)) == []


def test_names_that_a_plugin_uses_are_found(tmp_path: Path) -> None:
    (tmp_path / "a.py").write_text(
        "import nuke\ndef f(n):\n    nuke.executr(n); nuke.GUI\n    return nuke.nodes.Read()\n"
    )
    assert names_used(tmp_path / "a.py") == {"executr", "GUI", "nodes"}
    assert "executr" not in STUBS.names


@pytest.mark.parametrize("file", sorted(STAND_IN.glob("*.py")), ids=lambda p: p.name)
def test_nuke_14s_python_reads_the_stand_in(file: Path) -> None:
    ast.parse(file.read_text(encoding="utf-8"), feature_version=(3, 9))
