"""From a query's text to a syntax tree, within limits, and naming what nobody may write."""

import re

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokenizer_core import Token, TokenType
from sqlglot.tokens import Tokenizer

from tallybook.values.errors import Invalid

CHARACTERS_MAX = 10_000
NESTING_MAX = 40

AGGREGATES = ("COUNT", "SUM", "MAX", "MIN", "AVG", "EARLIEST", "LATEST")
FUNCTIONS = (
    *AGGREGATES,
    *("LEAST", "GREATEST", "ROUND", "CEIL", "FLOOR", "COALESCE", "NULLIF", "CAST", "DATE_TRUNC"),
)
_KEYWORDS = {
    *("SELECT", "DISTINCT", "FROM", "AS", "WHERE", "AND", "OR", "NOT", "IN", "BETWEEN", "IS", "BY", "GROUP"),
    *("HAVING", "WITH", "CASE", "WHEN", "THEN", "ELSE", "DECIMAL", "NUMERIC", "DEC", "CEILING"),
    *(
        "VARCHAR",
        "CHAR",
        "STRING",
        "TEXT",
        "OVER",
        "FILTER",
        "ALL",
        "ANY",
        "SOME",
        "EXISTS",
        "UNION",
        "LATERAL",
    ),
    *("INTERSECT", "EXCEPT", "VALUES", "ON", "USING", "LIMIT", "OFFSET", "ROLLUP", "CUBE", "SETS", "LIKE"),
    *("ILIKE", "JOIN", "QUALIFY", "INTERVAL", "ARRAY", "END", "NULL", "TIMESTAMP", "MATERIALIZED", "ORDER"),
}
_DIALECT = "postgres"
_SIGNS = {"≠": "<>", "≤": "<=", "≥": ">=", "\u2212": "-"}
_QUOTED_OR_SIGN = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|--[^\n]*|/\*.*?\*/|[≠≤≥\u2212]", re.DOTALL)


def parse(text: str, field_name: str) -> exp.Select:
    """The tree of the one SELECT that the text must be.

    Raises Invalid naming `field_name` and what is wrong.
    """
    if not text.strip():
        raise Invalid(f"{field_name}: is empty; write one SELECT over the table events")
    if len(text) > CHARACTERS_MAX:
        raise Invalid(f"{field_name}: has {len(text)} characters; use at most {CHARACTERS_MAX}")
    if any(ord(sign) < 32 and sign not in "\t\n\r" for sign in text):
        raise Invalid(f"{field_name}: holds a control character; remove it")
    plain = _QUOTED_OR_SIGN.sub(lambda match: _SIGNS.get(match[0], match[0]), text)
    try:
        tokens = list(Tokenizer(dialect=_DIALECT).tokenize(plain))
        _check_tokens(tokens, field_name)
        trees = [tree for tree in sqlglot.parse(plain, dialect=_DIALECT) if tree is not None]
    except SqlglotError as error:
        raise Invalid(f"{field_name}: cannot be read as SQL: {_first_line(error)}") from None
    except RecursionError:
        raise Invalid(f"{field_name}: is nested too deeply; write it flatter") from None
    if len(trees) == 1 and isinstance(trees[0], exp.Select):
        return trees[0]
    if len(trees) > 1:
        raise Invalid(f"{field_name}: holds {len(trees)} statements; write exactly one SELECT")
    what = trees[0].key.upper() if trees else "nothing"
    raise Invalid(f"{field_name}: {what} is not allowed; write exactly one SELECT over the table events")


def _check_tokens(tokens: list[Token], field_name: str) -> None:
    if tokens and tokens[0].token_type not in (TokenType.SELECT, TokenType.WITH):
        word = tokens[0].text.upper()
        raise Invalid(f"{field_name}: {word} is not allowed; write exactly one SELECT over the table events")
    depth = 0
    for place, token in enumerate(tokens):
        if token.token_type is TokenType.L_PAREN:
            depth += 1
            if place:
                _check_call(tokens[place - 1], field_name)
        elif token.token_type is TokenType.R_PAREN:
            depth -= 1
        elif token.token_type is TokenType.SEMICOLON and place < len(tokens) - 1:
            raise Invalid(f"{field_name}: holds several statements (;); write exactly one SELECT")
        if depth > NESTING_MAX:
            raise Invalid(f"{field_name}: has more than {NESTING_MAX} nested parentheses; write it flatter")


def _check_call(before: Token, field_name: str) -> None:
    """Refuse `name(` by the name as written, which the parser may turn into something else."""
    word = before.text.upper()
    is_word = bool(re.fullmatch(r"\w+", word)) and not word[0].isdigit()
    is_quoted = before.token_type is TokenType.IDENTIFIER
    if before.token_type is TokenType.STRING or not (is_word or is_quoted):
        return
    if is_quoted or (word not in FUNCTIONS and word not in _KEYWORDS):
        raise refused_function(before.text, field_name)


def refused_function(name: str, field_name: str) -> Invalid:
    """The error for a function that is not in the list."""
    return Invalid(
        f"{field_name}: function {name.upper()[:60]} is not allowed; use one of {', '.join(FUNCTIONS)}"
    )


def _first_line(error: Exception) -> str:
    text = re.sub(r"\x1b\[\d+m", "", str(error)).split("\n")[0].rstrip(".")
    missing = re.search(r"keyword: .* missing for <class '[\w.]*?(\w+)'>", text)
    if missing is not None:
        text = f"{missing[1].upper()} misses an argument"
    elif "number of provided arguments" in text:
        text = f"too many arguments. {text.partition('. ')[2]}"
    return text[:200] + "; see the reference of SQL metrics"
