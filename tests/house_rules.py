"""The rules of the house as functions from source text to violations, so that each can be shown to fail.

A violation is a line `path:line what`. Paths are relative to the repository, with forward slashes.
"""

import ast
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from functools import cached_property
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LIBRARIES = ("schemas", "milkprep", "milktrain")
FOLDERS = (*LIBRARIES, "tests", "benchmarks", "examples", "docs")
COMMAND_LINE = ("cli.py", "*/commands.py")
LARGEST_FILE, LARGEST_FUNCTION = 300, 60

#: Who may import whom among our own; what is not listed is a test, a benchmark or an example, and may import all.
MAY_IMPORT = {
    "schemas": {"schemas"},
    "milkprep": {"milkprep", "schemas"},
    "milktrain": {"milktrain", "schemas"},
    "cli": {"milkprep", "milktrain", "schemas"},
}
MEDIA = ("milkprep/extractors/*", "milkprep/decode/*")
#: Third-party package -> where it may be imported at all.
FENCES = {
    "duckdb": ("schemas/store.py",),
    "typer": COMMAND_LINE,
    "rich": COMMAND_LINE,
    "click": COMMAND_LINE,
    "jinja2": ("milktrain/page/document.py",),  # which alone makes HTML, and escapes all of it
    "torch": ("milktrain/*", *MEDIA),
    "torchaudio": MEDIA,
    "torchvision": MEDIA,
    "transformers": MEDIA,
    "open_clip": MEDIA,
    "timm": MEDIA,
    "ftfy": MEDIA,
    "huggingface_hub": MEDIA,
    "av": MEDIA,
    "matplotlib": ("milkprep/inspection/coverage_plot.py", "milktrain/sweeping/plot.py", "milktrain/experiments/figures.py"),
    "optuna": ("milktrain/sweeping/suggesting.py",),
    "PIL": (*MEDIA, "milkprep/demo_media.py"),  # which writes pictures for others to decode, and so is no decoder itself
}
#: Third-party package -> where it may not be, although it may elsewhere: a model knows tensors only.
CLOSED = {"polars": ("milktrain/models/*",), "pyarrow": ("milktrain/models/*",)}
#: Packages that take long to import, and where they may be imported when a module is: not where listing or --help gets to.
HEAVY = ("torch", "torchaudio", "torchvision", "transformers", "open_clip", "timm", "av", "PIL", "sklearn", "scipy", "matplotlib", "optuna")
HEAVY_AT_ONCE = ("milktrain/*", "milkprep/decode/*")
NEVER_AT_ONCE = ("*/commands.py", "*/__init__.py")

SQL = re.compile(
    r"\b(SELECT\s.+\sFROM|INSERT\s+INTO|UPDATE\s.+\sSET|DELETE\s+FROM|DROP\s+(TABLE|VIEW)|CREATE\s+(OR\s+REPLACE\s+)?(TEMP\s+)?(TABLE|VIEW))\b", re.S
)
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|NotImplementedError)\b")
#: A silenced checker, and what stands behind it: at least three words of why.
SILENCED = re.compile(r"#\s*(noqa(?!\w)(?::\s*[A-Z]+\d+)?|type:\s*ignore(?:\[[\w, -]+\])?)(?P<why>.*)")


@dataclass(frozen=True)
class Source:
    """One Python file."""

    path: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text)

    @property
    def module(self) -> str:
        return self.path.removesuffix(".py").removesuffix("/__init__").replace("/", ".")

    def at(self, node: ast.AST, what: str) -> str:
        return f"{self.path}:{getattr(node, 'lineno', 1)} {what}"

    def within(self, patterns: tuple[str, ...]) -> bool:
        return any(fnmatch(self.path, pattern) for pattern in patterns)


@dataclass(frozen=True)
class Import:
    """One imported name: `from a import b` is `a.b`."""

    name: str
    node: ast.AST
    at_once: bool  # when the module is imported, not inside a function or for type checking only

    @property
    def root(self) -> str:
        return self.name.partition(".")[0]


def library_sources() -> list[Source]:
    """The packages and the command line."""
    return [*sources(*LIBRARIES), Source("cli.py", (ROOT / "cli.py").read_text(encoding="utf-8"))]


def sources(*folders: str) -> list[Source]:
    """Every Python file of some folders."""
    files = sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))
    return [Source(path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")) for path in files]


def imports(source: Source) -> list[Import]:
    """Everything a file imports, wherever in it."""
    found: list[Import] = []

    def visit(node: ast.AST, at_once: bool) -> None:
        if isinstance(node, ast.Import):
            found.extend(Import(alias.name, node, at_once) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            found.extend(Import(f"{_absolute(source, node)}.{alias.name}", node, at_once) for alias in node.names)
        deferred = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        typing_only = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for child in ast.iter_child_nodes(node):
            visit(child, at_once and not deferred and not (typing_only and child not in node.orelse))

    visit(source.tree, True)
    return found


def _absolute(source: Source, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = source.module if source.path.endswith("__init__.py") else source.module.rpartition(".")[0]
    above = package.split(".")[: len(package.split(".")) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def first_party_arrows(source: Source) -> Iterator[str]:
    """Imports between our own packages that the drawing has no arrow for."""
    owner = source.module.partition(".")[0]
    for found in imports(source):
        if found.root in MAY_IMPORT and found.root not in MAY_IMPORT[owner]:
            yield source.at(found.node, f"{owner} imports {found.root}")


def third_party_fences(source: Source) -> Iterator[str]:
    """Third-party packages imported outside their fence."""
    for found in imports(source):
        if found.root in FENCES and not source.within(FENCES[found.root]):
            yield source.at(found.node, f"{found.root} is imported outside {', '.join(FENCES[found.root])}")
        if source.within(CLOSED.get(found.root, ())):
            yield source.at(found.node, f"{found.root} is imported in {', '.join(CLOSED[found.root])}")


def heavy_imports_at_once(source: Source) -> Iterator[str]:
    """Slow packages imported with the module, where a function should."""
    if source.within(HEAVY_AT_ONCE) and not source.within(NEVER_AT_ONCE):
        return
    for found in imports(source):
        if found.root in HEAVY and found.at_once:
            yield source.at(found.node, f"{found.root} is imported with the module; import it in the function that needs it")


def undeclared_imports(source: Source, *, declared: set[str]) -> Iterator[str]:
    """Third-party packages that an installation would not bring."""
    for found in imports(source):
        if found.root not in declared | set(MAY_IMPORT) | sys.stdlib_module_names:
            yield source.at(found.node, f"{found.root} is not declared in pyproject.toml")


def cycles(files: list[Source]) -> list[str]:
    """Circles of imports between modules, deferred ones included; each as `a -> b -> a`."""
    known = {file.module for file in files}
    graph = {file.module: sorted({target for found in imports(file) if (target := _module_of(found.name, known)) != file.module}) for file in files}
    circles: dict[frozenset[str], str] = {}
    done: set[str] = set()

    def walk(module: str, way: list[str]) -> None:
        if module in way:
            circle = way[way.index(module) :]
            circles.setdefault(frozenset(circle), " -> ".join([*circle, module]))
        elif module not in done:
            for target in graph.get(module, ()):
                walk(target, [*way, module])
            done.add(module)

    for module in graph:
        walk(module, [])
    return sorted(circles.values())


def _module_of(name: str, known: set[str]) -> str:
    return name if name in known else name.rpartition(".")[0]


def sizes(source: Source) -> Iterator[str]:
    """Files and functions that are too long to read at once."""
    lines = source.text.count("\n")
    if lines > LARGEST_FILE:
        yield f"{source.path}:1 has {lines} lines, more than {LARGEST_FILE}"
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > LARGEST_FUNCTION:
                yield source.at(node, f"{node.name} has {length} lines, more than {LARGEST_FUNCTION}")


def printing(source: Source) -> Iterator[str]:
    """Output from a library."""
    if source.within(COMMAND_LINE):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "print":
            yield source.at(node, "prints")
        if isinstance(node, ast.Attribute) and ast.unparse(node) in ("sys.stdout", "sys.stderr"):
            yield source.at(node, f"uses {ast.unparse(node)}")


def broad_excepts(source: Source) -> Iterator[str]:
    """Handlers of every error, unless all they do is clean up and raise it again."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.ExceptHandler):
            kinds = node.type.elts if isinstance(node.type, ast.Tuple) else [node.type]
            broad = any(kind is None or ast.unparse(kind) in ("Exception", "BaseException") for kind in kinds)
            last = node.body[-1]
            if broad and not (isinstance(last, ast.Raise) and last.exc is None):
                yield source.at(node, "catches every error")


def sql_text(source: Source) -> Iterator[str]:
    """SQL in Python; docstrings and the examples of help texts may show some."""
    shown: set[ast.AST] = set()
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef) and ast.get_docstring(node):
            shown.update(ast.walk(node.body[0]))
        if isinstance(node, ast.keyword) and node.arg == "epilog":
            shown.add(node.value)
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in shown and SQL.search(node.value):
            yield source.at(node, f"holds SQL: {node.value.strip()[:40]!r}")


def unsafe_calls(source: Source) -> Iterator[str]:
    """Whatever runs code that came with data."""
    for found in imports(source):
        if found.root in UNPICKLERS:
            yield source.at(found.node, f"imports {found.root}")
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            given = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
            if called in ("eval", "exec", "os.system", "yaml.load", "yaml.unsafe_load"):
                yield source.at(node, f"calls {called}")
            if called == "torch.load" and given.get("weights_only") != "True":
                yield source.at(node, "calls torch.load without weights_only=True")
            if given.get("allow_pickle", "False") != "False" or given.get("shell", "False") != "False":
                yield source.at(node, f"calls {called} with allow_pickle or shell")


def names_that_say_nothing(source: Source) -> Iterator[str]:
    """Modules that could hold anything."""
    if source.module.rpartition(".")[2] in SAYS_NOTHING:
        yield f"{source.path}:1 is named for nothing in particular"


def shared_names(files: list[Source]) -> list[str]:
    """Modules of tests that have one name in several folders: outside packages pytest imports by name alone, and refuses the second."""
    paths: dict[str, list[str]] = {}
    for file in files:
        paths.setdefault(file.path.rpartition("/")[2], []).append(file.path)
    return [f"{' and '.join(named)} share a name" for name, named in sorted(paths.items()) if len(named) > 1 and name != "conftest.py"]


def unfinished(source: Source) -> Iterator[str]:
    """Marks of work left over, and checkers silenced without saying why."""
    for number, line in enumerate(source.text.splitlines(), start=1):
        if found := UNFINISHED.search(line):
            yield f"{source.path}:{number} {found[0]}"
        if (found := SILENCED.search(line)) and len(re.findall(r"\w+", found["why"])) < 3:
            yield f"{source.path}:{number} {found[0]} without a reason"
