"""Dagger's files give what they give in Dagger."""

from itertools import pairwise


def test_its_first_example_gives_the_stated_outputs(example):
    run = example.trivium("run", "pipeline.yaml", "-m", "actions.py", "-i", "num1=10", "-i", "num2=20")

    assert run["outputs"] == {
        "node1": {"sum": 30},
        "node2": {"squared_result": 900},
        "node3": {"tripled_result": 2700, "test_string": "example_string"},
    }


def test_its_parallel_example_gives_the_stated_outputs_in_four_executions(example):
    run = example.trivium("run", "pipeline_parallel.yaml", "-m", "actions.py", "-i", "num1=10", "-i", "num2=20")

    assert run["outputs"] == {
        "node1": {"sum": 30},
        "node2a": {"squared_result": 900},
        "node2b": {"tripled_result": 90, "test_string": "example_string"},
        "node3": {"sum": 990},
    }
    assert [step["attempts"] for step in run["steps"].values()] == [1, 1, 1, 1]


def test_its_test_of_order_runs_three_steps_one_after_the_other(example):
    run = example.trivium("run", "sequential.yaml", "-m", "actions.py")

    steps = list(run["steps"].values())
    assert list(run["steps"]) == ["node1", "node2", "node3"]
    assert [step["attempts"] for step in steps] == [1, 1, 1]
    assert all(one["finished_at"] <= next_one["started_at"] for one, next_one in pairwise(steps))
    assert run["outputs"]["node3"] == {"output": "after after first"}
