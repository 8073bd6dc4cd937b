"""Whose a target is, and what is said of one that is nobody's."""

import pytest

from trivium import NotFound, Trivium
from trivium.errors import MissingPackage
from trivium.hooks import Plugins


@pytest.mark.parametrize("target", ["pipeline.yaml", "folder/pipeline.YML", "pipeline.json", "flow:pipeline"])
def test_a_flow_without_the_package_for_flows_is_told_what_to_install(target: str):
    app = Trivium("memory:", plugins=Plugins.load(installed=False))

    with pytest.raises(MissingPackage, match=r'pip install "trivium\[dag\]"'):
        app.prepare(target)


@pytest.mark.parametrize("target", ["pipeline", "agent:researcher", "notes.txt"])
def test_a_target_that_nobody_takes_does_not_exist(target: str):
    app = Trivium("memory:", plugins=Plugins.load(installed=False))

    with pytest.raises(NotFound, match="does not exist"):
        app.prepare(target)
