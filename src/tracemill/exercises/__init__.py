"""What the built-in generator asks and the built-in teacher answers, in all five categories; math is `word_problems`.

An exercise is recognised from what was said alone, so whoever answers needs to know nothing of how it was drawn.
"""

from tracemill.exercises.form import Call, Drawn, Form, Worked
from tracemill.exercises.shelf import FORMS, Found, good_answer, make, recognise

__all__ = ["FORMS", "Call", "Drawn", "Form", "Found", "Worked", "good_answer", "make", "recognise"]
