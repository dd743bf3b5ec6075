"""Values that no field should have."""

from __future__ import annotations

ODD_TEXTS = (
    *("", " ", "\0", "\ud800", "\u202egnp.exe", "\x1b[2J\x1b]0;x\x07", "²", "１２", "٣", "\ufeff1", "a\nb\r\nc", "NaN"),
    *("../../../../etc/passwd", "..\\..\\windows\\win.ini", "/etc/passwd", "file:///etc/passwd", "CON", "a" * 70_000),
    *("'; DROP TABLE faceid_tunes; --", "%s%n%x", "${jndi:ldap://127.0.0.1/x}", "{{7*7}}", "$(touch x)", "`touch x`"),
    *("<script>alert(1)</script>", "1e999", "-1", "0x10", "1_000", "9" * 5000, "true", "null", "[]", "--help"),
)
ODD_NUMBERS = (
    -1,
    0,
    1,
    2**31,
    2**63,
    2**64,
    -(2**63) - 1,
    10**400,
    10**5000,
    1.5,
    1e308,
    -0.0,
    float("nan"),
    float("inf"),
)
ODD_OBJECTS = (
    None,
    True,
    [],
    {},
    [[]],
    [None],
    {"": None},
    [0] * 10_000,
    {"a": {"b": [{"c": []}]}},
    b"\xff\xfe",
    object(),
)
ODD = (*ODD_TEXTS, *ODD_NUMBERS, *ODD_OBJECTS)
JSON = (*ODD_TEXTS, *(number for number in ODD_NUMBERS if number not in (10**400, 10**5000)), *ODD_OBJECTS[:-2])


def named(value: object) -> str:
    """Short enough for a line."""
    if isinstance(value, int) and value.bit_length() > 200:
        return "a number of hundreds of digits"
    text = ascii(value)
    return text if len(text) < 50 else f"{text[:40]}... ({len(text)})"
