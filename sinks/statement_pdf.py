"""A statement as PDF: the same tables as in the text."""

from anyascii import anyascii
from fpdf import FPDF
from fpdf.enums import TableBordersLayout
from fpdf.fonts import FontFace

from sinks.bank_files.text import plain_text
from sinks.statement import Statement
from sinks.statement_tables import Table, tables, title

_FONT = "Helvetica"
_GREY = (235, 235, 235)


class _Pages(FPDF):
    def footer(self) -> None:
        """Page numbers."""
        self.set_y(-12)
        self.set_font(_FONT, size=7)
        self.cell(0, 5, f"{self.page_no()} / {{nb}}", align="R")


def as_pdf(statement: Statement) -> bytes:
    """A4, landscape. The same statement gives the same bytes.

    The fonts that every reader has know the letters of Western Europe (Latin-1); others are
    written by the letters that are nearest to them (`Łódź` → `Lódz`).
    """
    pdf = _Pages(orientation="landscape", format="A4")
    pdf.set_creation_date(statement.to)
    pdf.set_producer("viewledger")
    first, second = map(_latin, title(statement))
    pdf.set_title(first)
    pdf.add_page()
    pdf.set_font(_FONT, "B", 14)
    pdf.multi_cell(0, 8, first, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(_FONT, size=9)
    pdf.multi_cell(0, 6, second, new_x="LMARGIN", new_y="NEXT")
    for table in tables(statement):
        _draw(pdf, table)
    return bytes(pdf.output())


def _draw(pdf: FPDF, table: Table) -> None:
    pdf.ln(4)
    if pdf.will_page_break(20):  # a title stays with its table
        pdf.add_page()
    pdf.set_font(_FONT, "B", 10)
    pdf.cell(0, 7, _latin(table.title), new_x="LMARGIN", new_y="NEXT")
    pdf.set_font(_FONT, size=8)
    rows = [list(map(_latin, row)) for row in (table.header, *table.rows)]
    widths = [min(max(map(len, column)), 60) + 2 for column in zip(*rows, strict=True)]
    align = ["LEFT" if i < table.texts else "RIGHT" for i in range(len(widths))]
    drawn = pdf.table(
        rows,
        col_widths=widths,
        text_align=align,
        borders_layout=TableBordersLayout.HORIZONTAL_LINES,
        headings_style=FontFace(emphasis="BOLD", fill_color=_GREY),
        line_height=5,
        wrapmode="CHAR",
    )
    with drawn:
        pass  # the rows are in it already


def _latin(text: str) -> str:
    return "".join(
        letter if letter.isascii() or "\xa0" <= letter <= "\xff" else anyascii(letter)
        for letter in plain_text(text)
    )
