"""Reading and writing the definition file of a guest."""

from __future__ import annotations

import tomllib

import msgspec

from guesthouse.errors import UserError
from guesthouse.guest.definition import Entry, Share
from guesthouse.guest.guest_file import Disk, GuestFile, Network, problems

FILE = "guest.toml"


def parse(text: str, origin: str) -> GuestFile:
    """The definition in a file's text; raises UserError that names the field and what is wrong with it."""
    try:
        found = msgspec.convert(tomllib.loads(text), GuestFile)
    except tomllib.TOMLDecodeError as error:
        raise UserError(f"{origin} is not TOML: {error}.") from error
    except msgspec.ValidationError as error:
        raise UserError(f"{origin}: {_sentence(str(error))}.") from error
    for field, problem in problems(found):
        raise UserError(f"{origin}: the field `{field}` {problem}.")
    return found


def _sentence(text: str) -> str:
    """What msgspec says, with the field as the file has it."""
    message, _, place = text.partition(" - at ")
    place = place.strip("`").removeprefix("$").removeprefix(".")
    message = message.replace("Object contains unknown field", "there is no field").replace("Object", "it")
    return f"the field `{place}`: {message[0].lower()}{message[1:]}" if place else message[0].lower() + message[1:]


def write(guest: GuestFile) -> str:
    """The text of a definition file: what differs from the defaults, in the order of the fields."""
    lines, tables = [f"format = {guest.format}"], []
    default = GuestFile()
    for field in msgspec.structs.fields(GuestFile):
        value = getattr(guest, field.name)
        if field.name == "format" or value == getattr(default, field.name):
            continue
        if isinstance(value, Entry):
            tables += ["", f"[{field.name}]", *_fields(value)]
        elif isinstance(value, tuple) and isinstance(value[0], Entry):
            for entry in value:
                tables += ["", f"[[{field.name}]]", *_fields(entry)]
        else:
            lines.append(f"{field.name} = {_value(value)}")
    return "\n".join([*lines, *tables]) + "\n"


def _fields(entry: Entry) -> list[str]:
    given = ((field, getattr(entry, field.name)) for field in msgspec.structs.fields(entry))
    return [f"{field.name} = {_value(value)}" for field, value in given if value != field.default]


def _value(value: object) -> str:
    """A value as TOML writes it; its strings are those of JSON, but for what lies outside the basic plane."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return _text(value)
    assert isinstance(value, tuple)
    return "[" + ", ".join(_value(each) for each in value) + "]"


PARTS: dict[str, type[Entry]] = {"disks": Disk, "shares": Share, "network": Network}


def _text(text: str) -> str:
    escapes = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    shown = (escapes.get(c) or (c if c.isprintable() else f"\\U{ord(c):08x}") for c in text)
    return '"' + "".join(shown) + '"'


def field_names() -> list[str]:
    """Every name that a definition may have, those of its parts behind a dot."""
    names = []
    for field in msgspec.structs.fields(GuestFile):
        names.append(field.name)
        part = PARTS.get(field.name)
        names += [f"{field.name}.{each.name}" for each in msgspec.structs.fields(part)] if part else []
    return names
