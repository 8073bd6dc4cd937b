"""What actions print is for people: it never gets between the data."""

from typing import Any

TALKS = """
from trivium import action

print("loaded")


@action
def talk(text: str) -> str:
    print(f"it says {text}")
    return text
"""
FLOW = """
trivium: 1
name: talks
steps:
  - {id: one, uses: talk, with: {text: hello}}
"""


def test_data_on_stdout_is_data_alone(folder: Any):
    folder.write("talks.py", TALKS)
    folder.write("talks.yaml", FLOW)

    ran = folder("run", "talks.yaml", "-m", "talks.py", "--json")

    assert ran.json["outputs"] == {"one": "hello"}
    assert "it says hello\n" in ran.err
    assert "loaded\n" in ran.err
