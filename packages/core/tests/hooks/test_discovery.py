"""Finding plugins among installed distributions: real ones, written into a folder."""

import json
import os
import subprocess
import sys
from importlib.metadata import EntryPoint, distributions
from pathlib import Path

import pytest

from trivium.errors import RegistrationError
from trivium.hooks.discovery import installed_plugins


def install(folder: Path, distribution: str, version: str, *plugins: str) -> None:
    """What an installer leaves of a distribution that declares these plugins."""
    info = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n")
    (info / "entry_points.txt").write_text("\n".join(["[trivium]", *plugins]) + "\n")


def entry_points_in(folder: Path) -> list[EntryPoint]:
    return [entry_point for found in distributions(path=[str(folder)]) for entry_point in found.entry_points]


def test_installed_plugins_are_found_by_name_with_their_distributions(tmp_path: Path):
    install(tmp_path, "trivium-nats", "1.2", "nats = trivium_nats.plugin")
    install(tmp_path, "trivium-dask", "0.3", "dask = trivium_dask.plugin", "cluster = trivium_dask.cluster")

    found = installed_plugins(entry_points_in(tmp_path))

    assert [(info.name, info.module, info.origin) for info in found] == [
        ("cluster", "trivium_dask.cluster", "trivium-dask 0.3"),
        ("dask", "trivium_dask.plugin", "trivium-dask 0.3"),
        ("nats", "trivium_nats.plugin", "trivium-nats 1.2"),
    ]


def test_two_plugins_of_one_name_are_an_error_that_names_both_distributions(tmp_path: Path):
    install(tmp_path, "trivium-nats", "1.2", "nats = trivium_nats.plugin")
    install(tmp_path, "acme-nats", "7", "nats = acme.plugin")

    with pytest.raises(RegistrationError) as raised:
        installed_plugins(entry_points_in(tmp_path))

    assert "two plugins are called 'nats'" in str(raised.value)
    assert "trivium_nats.plugin of trivium-nats 1.2" in str(raised.value)
    assert "acme.plugin of acme-nats 7" in str(raised.value)


def test_a_plugin_with_the_name_of_a_built_in_one_is_an_error(tmp_path: Path):
    install(tmp_path, "acme-core", "7", "core = acme.plugin")

    with pytest.raises(
        RegistrationError, match=r"'core': trivium.hooks.builtin of trivium and acme.plugin of acme-core 7"
    ):
        installed_plugins(entry_points_in(tmp_path))


ASK = """
import json, logging, sys
logging.disable()
from trivium.hooks import Plugins
plugins = Plugins.load()
imported_by_loading = "acme_good" in sys.modules
schemes = list(plugins.storages)
print(json.dumps({
    "imported_by_loading": imported_by_loading,
    "schemes": schemes,
    "failures": [str(failure) for failure in plugins.failures],
}))
"""


def test_a_broken_distribution_leaves_the_others_working(tmp_path: Path):
    install(tmp_path, "acme-broken", "1", "broken = acme_broken")
    install(tmp_path, "acme-good", "1", "good = acme_good")
    install(tmp_path, "acme-raises", "1", "raises = acme_raises")
    install(tmp_path, "acme-typo", "1", "typo = acme_typo")
    (tmp_path / "acme_broken.py").write_text("import a_package_that_nobody_installed\n")
    (tmp_path / "acme_good.py").write_text(
        "from trivium.hooks import hookimpl\n@hookimpl\ndef trivium_storages():\n    return {'good': print}\n"
    )
    (tmp_path / "acme_typo.py").write_text(
        "from trivium.hooks import hookimpl\n@hookimpl\ndef trivium_storage():\n    return {'typo': print}\n"
    )
    (tmp_path / "acme_raises.py").write_text(
        "from trivium.hooks import hookimpl\n@hookimpl\ndef trivium_storages():\n    raise RuntimeError('no driver')\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    asked = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, check=True)

    answer = json.loads(asked.stdout)
    ours = [failure for failure in answer["failures"] if " of acme-" in failure]
    assert answer["imported_by_loading"] is False
    assert {"memory", "good"} <= set(answer["schemes"])
    assert "typo" not in answer["schemes"]
    assert len(ours) == 3
    assert "plugin 'broken' of acme-broken 1: importing acme_broken failed: ModuleNotFoundError" in ours[0]
    assert (
        "plugin 'typo' of acme-typo 1: there is no hook 'trivium_storage', did you mean 'trivium_storages'?" in ours[1]
    )
    assert "plugin 'raises' of acme-raises 1: trivium_storages failed: RuntimeError: no driver" in ours[2]
