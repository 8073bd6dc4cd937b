"""Trivium as a library, with a driver of one's own."""

import sys


def test_the_program_runs_its_flow_once_and_its_letter_each_time(example):
    first = example.run(sys.executable, "main.py").stdout
    second = example.run(sys.executable, "main.py").stdout

    assert "started; it gives {'length': 5, 'loud': 'HELLO'}" in first
    assert "found; it gives {'length': 5, 'loud': 'HELLO'}" in second
    assert [output.count("sent to ana: Dear reader, this is about roads.") for output in (first, second)] == [1, 1]
    assert "<svg" in (example.folder / "greeting.svg").read_text()


def test_the_letter_waits_for_its_reader_in_another_process(example):
    example.run(sys.executable, "main.py")

    runs = example.trivium("runs", "list", "--store", "sqlite:///embedded.db")

    assert [(run["target"], run["status"]) for run in runs] == [
        ("letter:plain", "completed"),
        ("flow:greeting", "completed"),
    ]
