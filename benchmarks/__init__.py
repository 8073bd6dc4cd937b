"""How fast Trivium is, each figure beside the raw limit of the machine, measured in the same run.

`python -m benchmarks` from the root of a checkout, or `python3 dev.py bench`. One file a subject; `report` holds what
is required of each and draws the table, `account` says where the time of a step goes (`python -m benchmarks profile`).
"""
