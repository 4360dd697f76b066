"""CTranslate2: the contract with the engine, or with a package of the same face where it is not installed."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

from tracemill.errors import MissingExtra
from tracemill.translators.ctranslate import CTranslate2Translator

ENGINE = '''
"""Has the face of ctranslate2: reverses each line's pieces; says what it was asked."""
__version__ = "0"


class Result:
    def __init__(self, pieces):
        self.hypotheses = [pieces]


class Translator:
    def __init__(self, folder, device):
        if "none" in folder:
            raise RuntimeError("no model.bin")

    def translate_batch(self, asked, target_prefix, beam_size, max_batch_size):
        print(asked[0], target_prefix and target_prefix[0], beam_size)
        prefix = target_prefix or [[] for _ in asked]
        return [Result([*p, *reversed(a), "</s>"]) for p, a in zip(prefix, asked)][: len(asked) - ("drop" in asked[0])]
'''
ASK = """
import asyncio
from tracemill.translators.ctranslate import CTranslate2Translator
class Words:
    def encode(self, text, out_type=str): return text.split()
    def decode(self, pieces): return " ".join(p for p in pieces if p[0] not in "<_" and "_" not in p)
def ask(kind, lines, target="fr", **more):
    t = CTranslate2Translator("m", kind, cutters=(Words(), Words()), **more)
    try:
        print(asyncio.run(t.translate(lines, "en", target)))
    except OSError as e:
        print(e)
ask("opus", ["a b", "", "c d", "e\\nf"], pair=("en", "fr"))
ask("nllb", ["a b"])
ask("madlad", ["a b"])
ask("opus", ["a b"], "de", pair=("en", "fr"))
ask("nllb", ["a b"], "xx")
ask("opus", ["drop", "b"], pair=("en", "fr"))
for folder, more in (("none", {"pair": ("en", "fr")}), ("m", {}), ("m", {"pair": ("en", "fr")})):
    try:
        CTranslate2Translator(folder, **more)
    except ValueError as e:
        print(e)
"""


def test_each_kind_of_model_is_told_the_languages_in_its_way(tmp_path):
    (tmp_path / "ctranslate2.py").write_text(ENGINE, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", ASK], capture_output=True, text=True, env=environment, check=True)
    told = done.stdout.splitlines()
    assert told[0] == "['a', 'b', '</s>'] None 4"
    assert told[1] == "['b a', '', 'd c', Failure(reason='not_one_line', detail='')]"
    assert told[2] == "['eng_Latn', 'a', 'b', '</s>'] ['fra_Latn'] 4"
    assert told[3] == "['b a']"
    assert told[4] == "['<2fr>', 'a', 'b', '</s>'] None 4"
    assert told[5] == "['b a']"
    assert "translates en to fr, not en to de" in told[6]
    assert "NLLB's name of 'xx' is not known" in told[7]
    assert told[9].count("misaligned") == 2
    assert "this is no model of CTranslate2 (no model.bin)" in told[10]
    assert "say which: pair=" in told[11]
    assert "there is no source.spm" in told[12]


@pytest.mark.skipif(find_spec("ctranslate2") is not None, reason="it is installed")
def test_without_it_the_install_line_is_told(tmp_path):
    with pytest.raises(MissingExtra, match=r"pip install 'tracemill\[mt\]'"):
        CTranslate2Translator(tmp_path)
