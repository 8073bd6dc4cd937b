"""Trivium inside a program: no command line, no second process. `python main.py` runs it, as often as you like."""

import asyncio

import letters
from anyio import Path

from trivium import Trivium
from trivium.hooks import Plugins
from trivium.model.events import StepEnded

FLOW = Path(__file__).with_name("greeting.yaml")


def shout(text: str) -> str:
    return text.upper()


def count(text: str) -> int:
    return len(text)


async def main() -> None:
    app = Trivium(
        "sqlite:///embedded.db",
        actions=[shout, count, letters.draft, letters.send],
        plugins=Plugins.load(extra=[letters]),
    )
    async with app:
        await run_a_flow(app)
        await run_a_letter(app)


async def run_a_flow(app: Trivium) -> None:
    print("A flow, under a key: once for this key, however often the program is started")
    run = await app.start(str(FLOW), {"text": "hello"}, key="2026-11-20")  # durable from here on
    print(f"  {'found' if run.existed else 'started'}; it gives {await run.result()}")
    await Path("greeting.svg").write_text((await run.graph()).to_svg())
    print("  drawn in greeting.svg")


async def run_a_letter(app: Trivium) -> None:
    print("A driver of our own, which waits for a person")
    run = await app.start("letter:plain", {"topic": "roads"})
    async for event in run.events():
        if isinstance(event, StepEnded):
            print(f"  {event.key} {event.status}")
            if event.key == "draft":  # this program plays the person, too
                await run.signal("read", {"ok": True, "to": "ana"})
    print(f"  it ended with {await run.result()!r}")


asyncio.run(main())
