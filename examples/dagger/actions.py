"""What the three files call. Plain functions; `@action` only says that a flow may use them."""

from trivium import action


@action
def add_numbers(num1: float, num2: float) -> float:
    return num1 + num2


@action
def square_number(input: float) -> float:
    return input * input


@action
def triple_number_and_add_string(input: float) -> dict[str, float | str]:
    """A dict with the names of the node's outputs gives them all; any other result is the first output."""
    return {"tripled_result": input * 3, "test_string": "example_string"}


@action
def print_message(input: str | None = None) -> str:
    message = "first" if input is None else f"after {input}"
    print(message)
    return message
