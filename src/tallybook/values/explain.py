"""Turns a validation text of msgspec into a message that names the field and the remedy."""

import re

_WHERE = re.compile(r"^(?P<what>.*?)(?: - at (?:key in )?`\$(?P<path>[^`]*)`)?$", re.DOTALL)
_FIELD = re.compile(r"^Object (?:contains unknown|missing required) field `(?P<name>[^`]*)`$")
_WORDS = {
    "str": "a string",
    "int": "an integer",
    "object": "an object",
    "array": "a list",
    "bool": "true or false",
    "decimal": "a number",
    "float": "a number",
    "datetime": "a date-time",
}


def explain(text: str, root: str = "") -> str:
    """The message for a validation text; paths are told from `root`.

    >>> explain("Object missing required field `name`")
    'name: required field is missing; add it'
    >>> explain("Expected `str`, got `int` - at `$[3].timestamp`", "events")
    'events[3].timestamp: expected a string, got an integer'
    """
    match = _WHERE.match(text)
    what, path = (match["what"], match["path"] or "") if match else (text, "")
    path = (root + path).removeprefix(".")
    if field := _FIELD.match(what):
        name = f"{path}.{field['name']}" if path else field["name"]
        if "unknown" in what:
            return f"{name}: unknown field; remove it or check its spelling"
        return f"{name}: required field is missing; add it"
    words = re.sub(r"`([a-z |]+)`", _in_words, what)
    words = words[:1].lower() + words[1:]
    if "regex" in words and "[0-9a-f]{8}" in words:
        words = "not a UUID; send an id such as 123e4567-e89b-12d3-a456-426614174000, in lower case"
    return f"{path or 'body'}: {words}"


def _in_words(match: "re.Match[str]") -> str:
    return " or ".join(_WORDS.get(word, word) for word in match[1].split(" | "))
