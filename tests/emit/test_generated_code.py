"""Generated code: readable, for Python 3.10, self-contained, the same each time; user text stays text."""

from __future__ import annotations

import ast
import os
import random
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

import examples
import small_models
from fake_triton import Server
from golden import Golden
from random_pipelines import make_pipeline, write_files
from tpgen.diagnostics import PipelineError
from tpgen.driver import BuildOptions, build, reference
from tpgen.emit.code_text import broken_call, one_line, safe_name, sequence
from tpgen.emit.names import Identifiers, literal

HERE = Path(__file__).parent
RANDOM = 24


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Random pipelines, each in one stage and as one model per node, and the example with user code."""
    folder = tmp_path_factory.mktemp("code")
    write_files(folder)
    found = []
    for seed in range(RANDOM):
        make_pipeline(random.Random(seed), folder, f"p{seed}")
        for fuse in ("auto", "none"):
            found.append(folder / f"repository_{seed}_{fuse}")
            build(folder / f"p{seed}.toml", found[-1], BuildOptions(fuse=fuse, cores=2))
    build(examples.pipeline("python_node"), folder / "python_node", BuildOptions(cores=2))
    return [*found, folder / "python_node"]


def code_of(repository: Path) -> list[Path]:
    """The generated files, without the runtime and user code beside them."""
    return [path for name in ("stage.py", "model.py") for path in repository.glob(f"*/1/{name}")]


def test_code_is_python_3_10(repositories: list[Path]) -> None:
    for repository in repositories:
        for path in repository.rglob("*.py"):
            ast.parse(path.read_bytes(), str(path), feature_version=(3, 10))


def test_lines_are_short_and_clean(repositories: list[Path]) -> None:
    for repository in repositories:
        for path in code_of(repository):
            text = path.read_text()
            assert text.endswith("\n") and not text.endswith("\n\n")
            assert "\t" not in text
            for number, line in enumerate(text.split("\n"), 1):
                assert len(line) < 110, f"{path}:{number}"
                assert line == line.rstrip(), f"{path}:{number}"


def test_code_has_no_unused_or_unknown_names(repositories: list[Path]) -> None:
    files = [str(path) for repository in repositories for path in code_of(repository)]
    command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "E9,F,W", *files]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_only_the_modules_that_are_used_are_there(repositories: list[Path]) -> None:
    for repository in repositories:
        for directory in repository.glob("*/1"):
            if (directory / "tpgen_runtime").is_dir():
                vendored = {path.stem for path in (directory / "tpgen_runtime").glob("*.py")}
                assert reached(directory) == vendored, directory


def reached(directory: Path) -> set[str]:
    """The runtime modules that the stage imports, and those that these import."""
    waiting = ["__init__", *imported(directory / "model.py"), *imported(directory / "stage.py")]
    found: set[str] = set()
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += imported(directory / "tpgen_runtime" / f"{name}.py")
    return found


def imported(path: Path) -> list[str]:
    """The runtime modules that a file imports, anywhere in it."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.ImportFrom):
            continue
        module = node.module or ""
        if node.level == 1 or module == "tpgen_runtime":
            names = [module] if node.level == 1 and module else [alias.name for alias in node.names]
            found += [name for name in names if (path.parent / "tpgen_runtime" / f"{name}.py").exists()]
            found += [name for name in names if (path.parent / f"{name}.py").exists()]
        elif module.startswith("tpgen_runtime."):
            found.append(module.partition(".")[2])
    return found


def test_the_requirements_are_what_the_code_imports(repositories: list[Path]) -> None:
    packages = {
        "numpy": "numpy",
        "cv2": "opencv-python-headless",
        "onnxruntime": "onnxruntime",
        "PIL": "pillow",
        "torch": "torch",
    }
    for repository in repositories:
        outside = set()
        for path in repository.rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text())):
                names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
                if isinstance(node, ast.ImportFrom) and node.level == 0:
                    names = [node.module or ""]
                outside |= {name.partition(".")[0] for name in names}
        lines = (repository / "requirements.txt").read_text().splitlines()
        listed = {re.split(r"[<>=]", line)[0] for line in lines if line and not line.startswith("#")}
        assert listed == {packages[name] for name in outside if name in packages}, repository


def test_a_build_is_a_function_of_its_inputs(tmp_path: Path) -> None:
    write_files(tmp_path)
    names = []
    for seed in range(4):
        make_pipeline(random.Random(100 + seed), tmp_path, f"p{seed}")
        names.append(f"p{seed}.toml")
    trees = []
    for seed in ("0", "1", "4711"):
        target = tmp_path / f"r{seed}"
        command = [
            sys.executable,
            "-m",
            "tpgen",
            "build",
            *names,
            "-o",
            str(target),
            "--fuse",
            "none",
            "--cores",
            "2",
        ]
        subprocess.run(
            command, cwd=tmp_path, env={**os.environ, "PYTHONHASHSEED": seed}, check=True, capture_output=True
        )
        files = sorted(path for path in target.rglob("*") if path.is_file())
        trees.append({path.relative_to(target).as_posix(): path.read_bytes() for path in files})
    assert trees[0] == trees[1] == trees[2]
    assert not [name for name, data in trees[0].items() if str(tmp_path).encode() in data]


SHAPES = """
[pipeline]
outputs = ["result", "scores", "labels", "note"]

[decode]
backend = "DecodeMat(max_pixels=1000000)"
next = "prepare"

[prepare]
backend = "Sequential[ResizeMat,cvtColorMat,Result2Key,Mat2Tensor,SyncTensor]"
resize_h = 8
resize_w = 8
color = "rgb"
key = "picture"
next = "net"

[net]
backend = "SyncTensor[TensorrtTensor]"
model = "convolution.onnx"
mean = "123.675, 116.28, 103.53"
std = "58.395, 57.120, 57.375"
max = 4
next = "class-names"

[class-names]
backend = "Sequential[TopK,Add[note:two words],Remove[picture],(Run)FloatTensor]"
k = 2
labels = "labels.txt"
"""


@pytest.mark.parametrize("fuse", ["auto", "none"])
def test_shapes_of_code(fuse: str, tmp_path: Path, golden: Golden) -> None:
    small_models.write_models(tmp_path)
    (tmp_path / "labels.txt").write_text("a\nb\nc\n")
    (tmp_path / "shapes.toml").write_text(SHAPES)
    build(tmp_path / "shapes.toml", tmp_path / "r", BuildOptions(cores=2, fuse=fuse))
    text = {
        f"{path.relative_to(tmp_path / 'r')}.txt": path.read_text()  # so that nobody lints or collects it
        for path in sorted((tmp_path / "r").rglob("*"))
        if path.name in ("stage.py", "model.py", "config.pbtxt") and path.parent.name != "tpgen_runtime"
    }
    golden.tree(HERE / "generated" / fuse, text)


# --- user text ----------------------------------------------------------------------------------------------

EVIL = [
    '"""',
    "'''",
    '"; import os; os.abort() #',
    "'); raise SystemExit('",
    "\\",
    "\\n",
    "{{ 7 * 7 }}",
    "{% for x in y %}",
    "${HOME}",
    "%s{0}{}",
    "../../etc/passwd",
    "é\N{PILE OF POO}\N{RIGHT-TO-LEFT OVERRIDE}",
    "#",
    "a  b",
    "item",
    "None",
]


@pytest.mark.parametrize("text", EVIL)
@pytest.mark.parametrize("fuse", ["auto", "none"])
def test_user_text_reaches_code_as_text(text: str, fuse: str, tmp_path: Path) -> None:
    """As a key, a constant, a name of a file and of a message, in a stage that is run."""
    labels = text.replace("/", "_") + ".txt"
    (tmp_path / labels).write_text("a\nb\nc\nd\n", encoding="utf-8")
    quoted = toml(text)
    document = (
        f"[pipeline]\nname = 'p'\noutputs = [{quoted}, 'result', 'labels']\n"
        "[pipeline.inputs]\ndata = 'float32[4]'\n"
        "[first]\nbackend = 'Sequential[Identity,KeyA2KeyB]'\nkey_a = 'data'\nnext = 'second'\n"
        f"key_b = {quoted}\n"
        f"[second]\nbackend = 'TopK'\nk = 2\nlabels = {toml(labels)}\n"
    )
    name = f"{text.replace('/', '_')}.toml"
    (tmp_path / name).write_text(document, encoding="utf-8")
    options = BuildOptions(cores=2, fuse=fuse)
    build(tmp_path / name, tmp_path / "r", options)
    for path in (tmp_path / "r").glob("*/1/stage.py"):
        assert_text_is_inert(path, text)
    data = np.array([0.5, 3, 1, 2], np.float32)
    with Server(tmp_path / "r") as server:
        (answer,) = server.infer("p", [{"data": data[None]}])
    assert isinstance(answer, dict), answer
    assert answer[text].tolist() == [data.tolist()]
    assert answer["labels"].tolist() == [[b"b", b"d"]]
    compiled, interpreter = reference(tmp_path / name, options)
    (wanted,) = interpreter.run(compiled.graph.entries[0], [{"data": data}])
    assert isinstance(wanted, dict)
    assert np.array_equal(wanted[text], data)


def toml(text: str) -> str:
    """A basic TOML string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def assert_text_is_inert(path: Path, text: str) -> None:
    """The code has the statements that it should have, and no more."""
    tree = ast.parse(path.read_text())
    assert [type(node).__name__ for node in tree.body] == [
        "Expr",
        "ImportFrom",
        "ImportFrom",
        "ImportFrom",
        "ClassDef",
    ]
    calls = {ast.unparse(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    assert not any("os" in call.split(".") or "SystemExit" in call for call in calls), calls
    constants = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)}
    assert text in constants or "TopK" in path.read_text()


def test_a_line_break_in_a_name_is_no_line_of_code(tmp_path: Path) -> None:
    folder = tmp_path / "a\nimport os"
    folder.mkdir()
    path = folder / 'x"""\nos.abort()\n#.toml'
    path.write_text('[pipeline]\nname = "p"\n[a]\nbackend = """S[DecodeMat,\nAdd[note:one\ntwo]]"""\n')
    build(path, tmp_path / "r", BuildOptions(cores=2))
    (stage,) = (tmp_path / "r").glob("*/1/stage.py")
    (model,) = (tmp_path / "r").glob("*/1/model.py")
    for file in (stage, model):
        assert "os.abort" not in {ast.unparse(node) for node in ast.walk(ast.parse(file.read_text()))}
    with Server(tmp_path / "r") as server:
        image = cv2.imencode(".png", np.zeros((2, 2, 3), np.uint8))[1].tobytes()
        (answer,) = server.infer("p", [{"data": np.array([[image]], object)}])
    assert answer["note"].tolist() == [[b"one\ntwo"]]  # type: ignore[index]


def test_files_of_equal_names_stay_apart(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.py").write_text(f"{name}0\n{name}1\n")
    backend = ",".join(f"Python[mine:scores],TopK(k=1,labels={n}/model.py),Copy[labels:{n}]" for n in "abc")
    (tmp_path / "mine.py").write_text(
        "import numpy as np\nfrom tpgen_runtime import Tensor, op\n\n\n"
        '@op(outputs={"result": Tensor("float32", [2])})\ndef scores(data):\n'
        "    return np.array([0, 1], np.float32)\n"
    )
    (tmp_path / "p.toml").write_text(
        f'[pipeline]\noutputs = ["a", "b", "c"]\n[user]\nbackend = "S[{backend}]"\n'
    )
    build(tmp_path / "p.toml", tmp_path / "r", BuildOptions(cores=2))
    with Server(tmp_path / "r") as server:
        (answer,) = server.infer("p", [{"data": np.array([[b""]], object)}])
    assert [answer[n].tolist() for n in "abc"] == [[[b"a1"]], [[b"b1"]], [[b"c1"]]]  # type: ignore[index]


# --- names and literals -------------------------------------------------------------------------------------


def test_identifiers_are_given_once() -> None:
    names = Identifiers(frozenset({"run"}))
    given = [names.make(name) for name in ("run", "a-b", "a.b", "a_b", "class", "0", "", "é", "run")]
    assert given == ["run_2", "a_b", "a_b_2", "a_b_3", "n_class", "n_0", "n_", "_", "run_3"]
    assert all(name.isidentifier() for name in given)


@pytest.mark.parametrize(
    "value",
    [
        "",
        "a",
        "it's",
        'say "x"',
        "\\",
        "\n",
        *EVIL,
        b"\x00",
        1,
        0.1,
        -2.5,
        None,
        True,
        (),
        (1,),
        ("a", ("b",)),
    ],
)
def test_literals_are_read_back(value: Any) -> None:
    for held in (value, [value], (value, value), {"k": value}):
        found = ast.literal_eval(literal(held))
        assert (found, type(found)) == (held, type(held))


def test_texts_use_double_quotes() -> None:
    assert literal("a") == '"a"'
    assert literal('say "x"') == "'say \"x\"'"
    assert literal(("a", 1)) == '("a", 1)'


def test_long_calls_and_tuples_are_broken() -> None:
    assert broken_call("f", ["a", "b"], 8) == ["f(a, b)"]
    assert broken_call("f", ["a" * 60, "b" * 60], 8) == ["f(", f"    {'a' * 60},", f"    {'b' * 60},", ")"]
    assert sequence(["a"], 4) == "(a,)"
    assert sequence(["a" * 60, "b" * 60], 4) == f"(\n        {'a' * 60},\n        {'b' * 60},\n    )"


def test_comments_are_one_line() -> None:
    assert one_line("a\nb\x1b[0m\u202ec", 80) == "a b [0m c"
    assert one_line("x" * 50, 20) == "x" * 17 + "..."
    assert safe_name('/tmp/we "ird\n.toml') == "we _ird_.toml"


def test_a_template_that_makes_no_python_is_a_bug() -> None:
    from tpgen.diagnostics import InternalError
    from tpgen.emit.render import render_python

    with pytest.raises(InternalError, match="does not compile"):
        render_python(
            "model.py.j2", stage='"""', version="1", source="x", module="triton", base="PythonModel"
        )


def test_nothing_is_left_of_a_wrong_pipeline(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text('[a]\nbackend = "DecodMat"\n')
    with pytest.raises(PipelineError):
        build(tmp_path / "p.toml", tmp_path / "deep" / "repository", BuildOptions())
    assert [path.name for path in tmp_path.iterdir()] == ["p.toml"]
