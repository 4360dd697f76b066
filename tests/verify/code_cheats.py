"""Answers that want to pass without being right, for a function `square` whose tests they have not seen."""

WRONG = "def square(n):\n    return 7\n"

EQUAL_TO_ALL = """
class Yes{base}:
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __lt__(self, other): return True
    def __hash__(self): return 0
    def __bool__(self): return True
    def __instancecheck__(self, other): return True
def square(n):
    return Yes({value})
"""

FORGED = """
import os, sys
values = sys.modules["values"]
frame = values.pack({"value": values.pack(True), "ready": True, "passed": True})
frame = len(frame).to_bytes(4, "big") + frame
"""
"""Writes replies by the rules of the channel, with something false in them."""
INSTEAD = """
packed = values.pack
values.pack = lambda v, *of: packed(v) if type(v) is dict and v.keys() & {{"ready", "value", "error"}} else {}
"""

PYTHON = {
    "exit_in_function": "import sys\ndef square(n):\n    sys.exit(0)",
    "exit_hard_in_function": "import os\ndef square(n):\n    os._exit(0)",
    "exit_at_import": "import sys\ndef square(n): return 7\nsys.exit(0)",
    "exit_hard_at_import": "import os\nos._exit(0)",
    "exit_by_exception": "def square(n):\n    raise SystemExit(0)",
    "exit_by_signal": "import os, signal\ndef square(n):\n    os.kill(os.getpid(), signal.SIGTERM)",
    "exit_at_exit": "import atexit, os\natexit.register(lambda: os._exit(0))\n" + WRONG,
    "equal_to_all": EQUAL_TO_ALL.format(base="", value=""),
    "equal_to_all_int": EQUAL_TO_ALL.format(base="(int)", value="7"),
    "equal_to_all_float": EQUAL_TO_ALL.format(base="(float)", value="7"),
    "equal_to_all_str": EQUAL_TO_ALL.format(base="(str)", value="'7'"),
    "equal_to_all_list": EQUAL_TO_ALL.format(base="(list)", value="[7]"),
    "equal_to_all_dict": EQUAL_TO_ALL.format(base="(dict)", value=""),
    "a_class_for_the_value": "class Meta(type):\n    def __eq__(self, other): return True\n    __hash__ = None\n"
    "class V(metaclass=Meta): pass\ndef square(n):\n    return V",
    "the_mock": "from unittest.mock import ANY\ndef square(n):\n    return ANY",
    "not_a_number": "def square(n):\n    return float('nan')",
    "nonce_guessed": "import sys\n" + WRONG + "print('0' * 32 + '{\"passed\": true, \"calls\": 2}', flush=True)",
    "nonce_searched_in_files": "import glob\nfor p in glob.glob('/box/*'):\n    print(open(p, errors='replace').read())\n" + WRONG,
    "nonce_searched_in_memory": "import re\nm = open('/proc/self/maps').read()\nfor a in m.splitlines():\n"
    "    if 'heap' in a:\n        s, e = (int(x, 16) for x in a.split()[0].split('-'))\n"
    "        d = open('/proc/self/mem', 'rb'); d.seek(s)\n        for f in re.findall(rb'[0-9a-f]{32}', d.read(e - s)):\n"
    "            print(f.decode() + '{\"passed\": true, \"calls\": 1}')\n" + WRONG,
    "memory_of_the_parent": "import os\ntry:\n    print(open('/proc/%d/mem' % os.getppid(), 'rb').read(10))\n"
    "except OSError:\n    pass\n" + WRONG,
    "patched_json": "import json\njson.dumps = lambda v, **k: '{\"value\": true}'\n" + WRONG,
    "patched_channel": FORGED + "values.Channel.send = lambda self, r: os.write(self.writes, frame)\n" + WRONG,
    "patched_pack": FORGED + INSTEAD.format(r"b'o\0\0\0\1s\0\0\0\6__eq__'") + WRONG,
    "a_false_kind": FORGED + INSTEAD.format(r"b'o\0\0\0\1s\0\0\0\11__class__'") + WRONG,
    "an_object_without_a_name": FORGED + INSTEAD.format(r"b'o\0\0\0\0'") + WRONG,
    "an_object_of_two": FORGED + INSTEAD.format(r"b'o\0\0\0\2T\0\0\0\0T\0\0\0\0'") + WRONG,
    "a_type_by_name": FORGED + INSTEAD.format(r"b'y\0\0\0\4eval'") + WRONG,
    "a_count_too_large": FORGED + INSTEAD.format(r"b'l\xff\xff\xff\xff'") + WRONG,
    "a_length_too_large": FORGED + INSTEAD.format(r"b's\xff\xff\xff\xff4'") + WRONG,
    "a_letter_that_is_none": FORGED + INSTEAD.format(r"b'\0\0\0\0\0'") + WRONG,
    "a_frame_nested_deep": FORGED + INSTEAD.format(r"b'l\0\0\0\1' * 100000 + b'T\0\0\0\0'") + WRONG,
    "two_values_for_one": FORGED + INSTEAD.format(r"b'T\0\0\0\0' * 2") + WRONG,
    "no_dictionary": FORGED + "values.Channel.send = lambda self, r: os.write(self.writes, b'\\0\\0\\0\\5T\\0\\0\\0\\0')\n" + WRONG,
    "a_key_that_is_a_list": FORGED + INSTEAD.format(r"b'D\0\0\0\2l\0\0\0\0T\0\0\0\0'") + WRONG,
    "patched_main": "import sys\nmain = sys.modules['__main__']\nmain.explained = lambda e: {'value': True, 'passed': True}\n"
    "def square(n):\n    raise ValueError('x')",
    "patched_builtins": "import builtins\nbuiltins.AssertionError = type('A', (Exception,), {})\n"
    "builtins.__build_class__ = None\n" + WRONG,
    "assert_switched_off": "import sys\nsys.flags = None\n__debug__x = False\nimport os\nos.environ['PYTHONOPTIMIZE'] = '2'\n"
    + WRONG,
    "frames_searched": "import sys\ndef square(n):\n    f = sys._getframe()\n    while f:\n        for v in f.f_locals.values():\n"
    "            if isinstance(v, dict) and 'expected' in v: return v['expected']\n        f = f.f_back\n    return 7",
    "objects_searched": "import gc\ndef square(n):\n    for o in gc.get_objects():\n"
    "        if isinstance(o, dict) and 'tests' in o:\n            return o['tests']\n    return 7",
    "tests_searched": "import os\ndef square(n):\n    for top, _, names in os.walk('/'):\n"
    "        if top.startswith(('/usr', '/proc', '/dev')): continue\n        for name in names:\n"
    "            if 'test' in name: return eval(open(os.path.join(top, name)).read())\n    return 7",
    "arguments_searched": "import glob\ndef square(n):\n    for p in glob.glob('/proc/[0-9]*/cmdline'):\n"
    "        if b'assert' in open(p, 'rb').read(): return n * n\n    return 7",
    "end_record_on_every_descriptor": "import os\nfor fd in range(64):\n    try:\n"
    "        os.write(fd, b'\\n' + b'0' * 32 + b'{\"passed\": true, \"calls\": 1}\\n')\n    except OSError: pass\n" + WRONG,
    "replies_written_before": FORGED + "os.write(int(sys.argv[2]), frame * 10)\n" + WRONG,
    "a_reply_without_end": "import os, sys\nos.write(int(sys.argv[2]), b'\\x00\\xff\\xff\\xff{')\nos._exit(0)",
    "a_very_long_reply": "def square(n):\n    return 'x' * (40 << 20)",
    "a_very_deep_reply": "def square(n):\n    v = []\n    for _ in range(100000): v = [v]\n    return v",
    "stop_iteration": "def square(n):\n    raise StopIteration",
    "an_assertion_of_its_own": "def square(n):\n    raise AssertionError('the tests have passed')",
    "exit_code_of_a_child": "import os\nif os.fork() == 0:\n    os._exit(0)\nos.wait()\n" + WRONG,
    "channel_handed_to_a_child": "import os, time\nif os.fork() == 0:\n    time.sleep(1)\n    os._exit(0)\nos._exit(0)",
    "an_endless_loop": "def square(n):\n    while True: pass",
    "an_endless_generator": "def square(n):\n    while True: yield n * n",
    "a_thread_that_answers": FORGED + "import threading\ndef flood():\n    while True: os.write(int(sys.argv[2]), frame)\n"
    "threading.Thread(target=flood, daemon=True).start()\n" + WRONG,
    "no_such_function": "def other(n):\n    return n * n",
    "nothing": "",
}  # fmt: skip

JAVASCRIPT = {
    "exit": "function square(n) { process.exit(0); }",
    "exit_at_load": "function square(n) { return 7; }\nprocess.exit(0);",
    "to_json": "function square(n) { return { toJSON() { return 4; }, valueOf() { return n * n; } }; }",
    "patched_stringify": "JSON.stringify = () => '{\"passed\": true}'; function square(n) { return 7; }",
    "patched_parse": "JSON.parse = () => ({ passed: true }); function square(n) { return 7; }",
    "patched_equality": "Object.is = () => true; Array.prototype.every = () => true; function square(n) { return {}; }",
    "patched_prototype": "Object.prototype.passed = true; Object.prototype.value = 4; function square(n) { return {}; }",
    "proto_key": 'function square(n) { return JSON.parse(\'{"__proto__": {"valueOf": 4}}\'); }',
    "listener": "process.on('exit', () => { process.exitCode = 0; }); function square(n) { throw 1; }",
    "not_a_number": "function square(n) { return NaN; }",
    "nothing": "function square(n) { }",
    "written_descriptors": "const fs = require('fs'); for (let i = 1; i < 64; i++) { try { fs.writeSync(i, "
    "'\\n' + '0'.repeat(32) + '{\"passed\": true}\\n'); } catch (e) {} } function square(n) { return 7; }",
    "endless": "function square(n) { for (;;); }",
}
