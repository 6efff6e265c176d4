"""Reads include/ivf.h: functions, structs and constants, as far as that header uses C."""

from __future__ import annotations

import re
from pathlib import Path

FILE = Path(__file__).resolve().parents[3] / "include" / "ivf.h"


class Header:
    """constants {name: number}, structs {name: [(type, field)]}, functions {name: (result, [type])}."""

    def __init__(self, text: str):
        text = re.sub(r"/\*.*?\*/|//[^\n]*", " ", text, flags=re.S)
        self.constants = {name: int(value) for name, value in re.findall(r"#define (IVF_\w+) +(-?\d+)\b", text)}
        text = re.sub(r"^\s*#.*$", "", text, flags=re.M)
        self.structs = {
            name: [declaration(field) for field in body.split(";") if field.strip()]
            for body, name in re.findall(r"typedef struct \w+ \{(.*?)\} (\w+);", text, re.S)
        }
        self.functions = {
            name: (result.strip(), [declaration(part)[0] for part in parameters.split(",")])
            for result, name, parameters in re.findall(
                r"^((?:const )?\w+ \*?)\s*(ivf_\w+)\(([^()]*)\);", text, re.M
            )
        }
        for name, (result, parameters) in self.functions.items():
            if parameters == ["void"]:
                self.functions[name] = (result, [])


def declaration(text: str) -> tuple[str, str]:
    """A parameter or field as (type, name); the length of an array belongs to the type."""
    text = " ".join(text.replace("*", " * ").split())
    if text == "void":
        return "void", ""
    kind, name, length = re.fullmatch(r"(.*?)\s*(\w+)\s*(\[\d+\])?", text).groups()
    return kind.removeprefix("struct ").replace(" * *", " **") + (length or ""), name


def read() -> Header:
    return Header(FILE.read_text(encoding="utf-8"))
