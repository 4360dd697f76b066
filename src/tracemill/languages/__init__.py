"""Languages as data: what each looks like and how it is judged, one small YAML file each.

language("fr").length(120)          # (0.7, 1.8): how long a French line may be for 120 characters of English
language("./eo.yaml")               # a language of the user's own, without a line of code
"""

from tracemill.languages.language import Culture, Language, LengthBound, Numbers, Quotes, Register, RegisterMark, Unit
from tracemill.languages.shelf import codes, language, read_language

__all__ = [
    "Culture",
    "Language",
    "LengthBound",
    "Numbers",
    "Quotes",
    "Register",
    "RegisterMark",
    "Unit",
    "codes",
    "language",
    "read_language",
]
