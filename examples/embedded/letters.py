"""A driver of one's own: what makes a run of the kind `letter` go. Nothing in it knows of databases or restarts."""

from collections.abc import Sequence

from trivium import Definition, Driver, JsonValue, Prepared, RunContext
from trivium.errors import InvalidInput
from trivium.hooks import hookimpl
from trivium.model.drivers import Names


def draft(topic: str) -> str:
    return f"Dear reader, this is about {topic}."


def send(text: str, to: str) -> str:
    print(f"  sent to {to}: {text}")
    return "sent"


class LetterDriver(Driver):
    """Drafts a letter, waits until somebody has read it, and sends it, or does not."""

    kind = "letter"

    def prepare(self, target: object, inputs: JsonValue, names: Names) -> Prepared | None:
        if target != "letter:plain":
            return None  # somebody else's target
        if not isinstance(inputs, dict) or not isinstance(inputs.get("topic"), str):
            raise InvalidInput("the input of a letter", ["topic must be text"])
        # What the run needs is stored with it: a worker without these actions leaves it to others.
        definition = Definition.of(self.kind, "plain", None, frozenset({"action:draft", "action:send"}))
        return Prepared(target=target, definition=definition, inputs=inputs)

    async def drive(self, context: RunContext) -> JsonValue:
        """Runs from its top again after a restart; each verb then gives what it gave before."""
        assert isinstance(context.inputs, dict)
        text = await context.step("draft", "draft", topic=context.inputs["topic"])
        answer = await context.wait("read", timeout="24h")
        if not isinstance(answer, dict) or not answer.get("ok"):
            return "not sent"
        return await context.step("send", "send", text=text, to=answer["to"])


@hookimpl
def trivium_drivers() -> Sequence[Driver]:
    """This module is a plugin, too. An installed one is found by its entry point; `main.py` names it."""
    return [LetterDriver()]
