"""Which language is this? One question, answered or declined.

identify("Combien coûtent trois livres ?", among=["en", "fr"])   # Verdict("fr", 0.99, ...)
identify("x = 3")                                                # Verdict(None, ...): nothing to judge
"""

from tracemill.identify.engines import Candidate, Engine, fasttext, lingua
from tracemill.identify.prose import prose
from tracemill.identify.verdict import Identifier, Verdict, identifier, identify

__all__ = ["Candidate", "Engine", "Identifier", "Verdict", "fasttext", "identifier", "identify", "lingua", "prose"]
