"""A driver with children, signals, sleeps, effects and branches: what flows do not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from typing_extensions import override

from crash import witness
from trivium import Definition, Driver, JsonValue, NotDone, Prepared, RunContext
from trivium.hooks import hookimpl
from trivium.model.drivers import Names

LEAVES = 3


class TreeDriver(Driver):
    """`tree:root` starts leaves and waits for them; a `tree:twig` is started by a step, and nobody waits for it."""

    kind: ClassVar[str] = "tree"

    @override
    def prepare(self, target: object, inputs: JsonValue, names: Names) -> Prepared | None:
        kind, _, name = str(target).partition(":")
        if kind != self.kind:
            return None
        needs = frozenset({"action:add", "action:hand_out"})
        return Prepared(target=str(target), definition=Definition.of("tree", name, {}, needs), inputs=inputs)

    @override
    async def drive(self, context: RunContext) -> JsonValue:
        inputs = context.inputs
        assert isinstance(inputs, dict)
        value = inputs["value"]
        assert isinstance(value, int)
        if context.name == "root":
            return await _root(context, value)
        if context.name == "leaf":
            return await _leaf(context, value)
        return await context.step("grow", "add", a=value)


async def _root(context: RunContext, value: int) -> JsonValue:
    first = await context.step("first", "add", a=value)
    leaves = [await context.start("tree:leaf", {"value": value + number}) for number in range(LEAVES)]
    await context.sleep(0.03)
    for number, leaf in enumerate(leaves):
        await context.signal(leaf.id, "word", f"word {number}")
    heard = [await context.wait("go"), await context.wait("go")]
    branches = await context.gather(
        lambda: context.step("left", "add", a=10),
        lambda: context.step("right", "add_in_thread", a=20),
        lambda: context.step("out", "hand_out", value=value),
    )
    paid = await context.once("pay", lambda: _pay(context), verify=lambda: _verify(context))
    grown = [await leaf.result() for leaf in leaves]
    return {"first": first, "heard": heard, "branches": branches, "paid": paid, "grown": grown}


async def _leaf(context: RunContext, value: int) -> JsonValue:
    before = await context.step("before", "add", a=value)
    word = await context.wait("word", timeout="60s")
    await context.sleep(0.02)
    after = await context.step("after", "add", a=value, b=100)
    return [before, word, after]


def _pay(context: RunContext) -> str:
    witness.say("effect", context.run_id, "pay")
    return "paid"


def _verify(context: RunContext) -> str:
    if not witness.said("effect", context.run_id, "pay"):
        raise NotDone
    return "paid"


@hookimpl
def trivium_drivers() -> Sequence[Driver]:
    return [TreeDriver()]
