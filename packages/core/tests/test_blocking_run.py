"""`Trivium.run`, for plain scripts."""

import pytest

from trivium import Trivium, UsageError


async def test_run_inside_an_event_loop_is_refused_with_what_to_do_instead():
    with pytest.raises(UsageError, match=r"await app\.start"):
        Trivium("memory:").run("flow.yaml")
