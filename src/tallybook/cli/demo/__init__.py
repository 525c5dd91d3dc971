"""`tallybook demo`: a month of a language-model API business, billed in front of your eyes.

`embedded` runs a server in this process, `api` talks to it as any client does, `catalogue` sells the
models, `month` makes up the usage, `replay` sends it while the clock moves, `report` shows the bills.
"""

from tallybook.cli.demo.command import demo

__all__ = ["demo"]
