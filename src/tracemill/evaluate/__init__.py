"""How good are translations? Against references where there are any, and by what can be told without."""

from tracemill.evaluate.lines import Line, dataset_lines, table_lines
from tracemill.evaluate.report import Report, evaluate

__all__ = ["Line", "Report", "dataset_lines", "evaluate", "table_lines"]
