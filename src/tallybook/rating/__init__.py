"""The deterministic core: terms and usage in, invoices out. Pure: no I/O, no clock, no logging.

`plan` says which usage is needed, `rate` computes the books of an account from it. Draft, final,
preview and explanation are this one function with other inputs.
"""
