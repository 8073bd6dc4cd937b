"""Who may say what the settings are, and who wins."""

from pathlib import Path
from typing import Any

import pytest

from trivium.config import KEYS, Layer, Settings, absolute_store, load_settings, resolve
from trivium.errors import ConfigError


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project: the search for files ends here."""
    (tmp_path / ".git").mkdir()
    return tmp_path


def load(folder: Path, options: dict[str, Any] | None = None, **environ: str) -> Settings:
    return load_settings(options, environ=environ, folder=folder)


# --- who wins ------------------------------------------------------------------------------------


def test_without_any_word_there_are_defaults(root: Path) -> None:
    found = load(root)

    assert found == Settings(store=f"sqlite:///{root}/trivium.db", folder=root)
    assert found.origins == {}


def test_stronger_place_wins_key_by_key(root: Path) -> None:
    write(
        root / "pyproject.toml",
        "[tool.trivium]\nconcurrency = 1\nmodules = ['a']\nqueues = ['q1']\nstore = 'memory://1'\n",
    )
    own = write(root / "trivium.toml", "modules = ['b']\nqueues = ['q2']\nstore = 'memory://2'\n")

    found = load(root, {"store": "memory://4"}, TRIVIUM_QUEUES="q3", TRIVIUM_STORE="memory://3")

    assert (found.concurrency, found.modules, found.queues, found.store) == (1, ("b",), ("q3",), "memory://4")
    assert found.origins == {
        "store": "--store",
        "queues": "TRIVIUM_QUEUES",
        "modules": f"modules in {own}",
        "concurrency": f"concurrency in {root / 'pyproject.toml'} [tool.trivium]",
    }


def test_option_that_was_not_given_says_nothing(root: Path) -> None:
    assert load(root, {"store": None, "modules": None}, TRIVIUM_STORE="memory://").store == "memory://"


def test_empty_variable_says_nothing(root: Path) -> None:
    assert load(root, TRIVIUM_CONCURRENCY="").concurrency == Settings().concurrency


def test_variables_of_others_are_left_alone(root: Path) -> None:
    assert load(root, TRIVIUM_TEST_POSTGRES="x", TRIVIUM="y").origins == {}


def test_environment_has_text_for_everything(root: Path) -> None:
    found = load(
        root,
        TRIVIUM_STORE="memory://",
        TRIVIUM_MODULES="shop.actions, more.py",
        TRIVIUM_QUEUES="fast,slow",
        TRIVIUM_CONCURRENCY="8",
        TRIVIUM_HEARTBEAT_TIMEOUT="5",
        TRIVIUM_PARK_GRACE="250ms",
        TRIVIUM_SHUTDOWN_GRACE="1m",
    )

    assert set(found.origins) == set(KEYS)
    assert found.modules == ("shop.actions", f"{root}/more.py")
    assert (found.queues, found.concurrency) == (("fast", "slow"), 8)
    assert (found.heartbeat_timeout, found.park_grace, found.shutdown_grace) == (5.0, 0.25, 60.0)


# --- where files are found -----------------------------------------------------------------------


def test_files_are_found_upward(root: Path) -> None:
    write(root / "trivium.toml", "concurrency = 3")
    deep = root / "a" / "b"
    deep.mkdir(parents=True)

    assert load(deep).concurrency == 3


def test_nearest_file_is_taken(root: Path) -> None:
    write(root / "trivium.toml", "concurrency = 3\nqueues = ['far']")
    write(root / "a" / "trivium.toml", "concurrency = 4")

    found = load(root / "a")

    assert (found.concurrency, found.queues) == (4, None)


def test_project_file_that_does_not_speak_of_us_is_passed_over(root: Path) -> None:
    write(root / "pyproject.toml", "[tool.trivium]\nconcurrency = 3")
    write(root / "a" / "pyproject.toml", "[tool.other]\nconcurrency = 4")

    assert load(root / "a").concurrency == 3


def test_search_ends_at_the_root_of_the_repository(root: Path) -> None:
    write(root / "trivium.toml", "concurrency = 3")
    (root / "inner" / ".git").mkdir(parents=True)
    (root / "inner" / "deep").mkdir()

    assert load(root / "inner" / "deep").concurrency == Settings().concurrency


# --- relative paths ------------------------------------------------------------------------------


def test_paths_in_a_file_are_relative_to_the_file(root: Path) -> None:
    write(
        root / "trivium.toml", "store = 'sqlite:///data/runs.db?synchronous=normal'\nmodules = ['shop', 'lib/../a.py']"
    )
    deep = root / "deep"
    deep.mkdir()

    found = load(deep)

    assert found.store == f"sqlite:///{root}/data/runs.db?synchronous=normal"
    assert found.modules == ("shop", f"{root}/a.py")
    assert found.folder == root


def test_other_paths_are_relative_to_the_working_directory(root: Path) -> None:
    write(root / "trivium.toml", "modules = ['shop']")
    deep = root / "deep"
    deep.mkdir()

    found = load(deep, {"modules": ["../b.py", "c"]}, TRIVIUM_STORE="sqlite:///runs.db")

    assert found.store == f"sqlite:///{deep}/runs.db"
    assert found.modules == (f"{root}/b.py", "c")
    assert found.folder == deep


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/runs.db",
        "sqlite:///:memory:",
        "sqlite://",
        "memory://",
        "postgresql://db/name",
        "postgresql:///name",
    ],
)
def test_urls_without_a_relative_file_stay(url: str) -> None:
    assert absolute_store(url, Path("/somewhere")) == url


@pytest.mark.parametrize("url", ["memory:", "memory://", "sqlite:////srv/runs.db"])
def test_a_store_is_whatever_the_app_takes(url: str, root: Path) -> None:
    assert load(root, {"store": url}).store == url


# --- what cannot be used -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("stor = 'memory://'", r"stor in .*trivium\.toml is no setting, did you mean 'store'\?"),
        ("zebra = 1", r"zebra in .*trivium\.toml is no setting"),
        ("folder = 'x'", r"folder in .* is no setting"),
        ("store = 5", r"store in .* is 5, not a URL \(give one like sqlite:///trivium\.db\)"),
        ("store = 'runs.db'", r"store in .* is 'runs\.db', not a URL"),
        ("modules = 5", r"modules in .* is 5, not a list of names"),
        ("modules = ['a', 5]", r"modules in .* not a list of names"),
        ("queues = ['']", r"queues in .* not a list of names"),
        ("concurrency = 0", r"concurrency in .* is 0, not a whole number from 1"),
        ("concurrency = 1.5", r"concurrency in .* is 1\.5, not a whole number"),
        ("concurrency = true", r"concurrency in .* is True, not a whole number"),
        ("heartbeat_timeout = 1", r"heartbeat_timeout in .* is 1 s, but a heart beats once a second"),
        ("park_grace = 'soon'", r"park_grace in .* 'soon' is not a duration"),
        ("park_grace = nan", r"park_grace in .* nan is not between"),
        ("= 5", r"trivium\.toml cannot be read: .*line 1"),
    ],
)
def test_file_that_cannot_be_meant_is_refused_with_its_place(text: str, message: str, root: Path) -> None:
    write(root / "trivium.toml", text)

    with pytest.raises(ConfigError, match=message):
        load(root)


def test_all_problems_are_told_together(root: Path) -> None:
    write(root / "trivium.toml", "stor = 1\nconcurrency = 0")

    with pytest.raises(ConfigError, match=r"TRIVIUM_STORE .*; stor in .*; concurrency in ") as caught:
        load(root, {"concurrency": 5}, TRIVIUM_STORE="nothing")

    assert str(caught.value).count("; ") == 2


def test_variable_and_option_are_called_by_their_names(root: Path) -> None:
    with pytest.raises(ConfigError, match="TRIVIUM_CONCURRENCY is 'many', not a whole number"):
        load(root, TRIVIUM_CONCURRENCY="many")
    with pytest.raises(ConfigError, match="--heartbeat-timeout 'soon' is not a duration"):
        load(root, {"heartbeat_timeout": "soon"})


def test_project_table_that_is_none_is_refused(root: Path) -> None:
    write(root / "pyproject.toml", "[tool]\ntrivium = 5")

    with pytest.raises(ConfigError, match=r"\[tool\.trivium\] is not a table"):
        load(root)


def test_file_that_is_no_text_is_refused(root: Path) -> None:
    (root / "trivium.toml").write_bytes(b"\xff\xfe")

    with pytest.raises(ConfigError, match=r"trivium\.toml cannot be read"):
        load(root)


def test_layers_alone_decide(tmp_path: Path) -> None:
    strong = Layer({"concurrency": 1}, tmp_path, "command line")
    weak = Layer({"concurrency": 2, "queues": ["q"]}, tmp_path, "trivium.toml")

    found = resolve([strong, weak])

    assert (found.concurrency, found.queues) == (1, ("q",))
    assert resolve([weak, strong]).concurrency == 2
