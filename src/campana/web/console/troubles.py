"""What keeps a file or a change of rows from being done, in the reader's language. It is kept as the English sentence that was
said when it happened: nobody knows then who will read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache


def _(text: str) -> str:
    """Marks a sentence for the catalogues."""
    return text


# The same words as where they are said; a test holds the two together.
SENTENCES = (
    _("There is no file to read again. Upload it."),
    _("Columns %(first)s and %(second)s are both named '%(name)s'. Rename one of them."),
    _("The agent's actions need a column %(names)s, and the file has none. Add it to the file."),
    _("The file has no column '%(name)s'. Its columns are %(names)s."),
    _("There is no country '%(code)s'. Write its two letters, as MX, US or GB."),
    _("The column '%(name)s' cannot hold both the phone and the e-mail address. Name two columns."),
    _("The file has neither a phone nor an email column. Its columns are %(names)s."),
    _("Its first row looks like a person: put the names of the columns above it."),
    _("Name one of them phone or email, or say which one it is."),
    _("The column CONTACT must be the first one, here it is number %(number)s. Move it, or name it phone."),
    _("The first column is named '%(name)s': write it exactly CONTACT, or name it phone."),
    _("The first row looks like a person: put the names of the columns above it, or say which column is which."),
    _("The file has NUL bytes in it, so it is no text table, or a damaged one. Export it again."),
    _("The file has a line without end. Check that it is a table with one person in each line."),
    _("The file is a web page, whatever its name says. Open it in a spreadsheet and save it as XLSX or CSV."),
    _("The file is an archive and no workbook. Unpack it and choose the table in it."),
    _("The file is empty. It needs a header with the names of the columns, and people below it."),
    _("The file is empty: it has no row with anything in it. It needs a header, and people below it."),
    _("The file is no table that can be read. Save it as XLSX or CSV."),
    _("The workbook is damaged: its archive cannot be opened. Save it again."),
    _("The workbook is empty: no sheet has anything in it. Fill in a header and people."),
    _("The workbook is protected with a password. Save it without one."),
    _(
        "The workbook unpacks to %(bytes)s bytes, which is more than a list of people needs. "
        "Save the one sheet with the people as CSV."
    ),
    _("The workbook has no sheet '%(name)s'. Its sheets are %(names)s."),
    _("A cell of the sheet has more than %(most)s characters. Shorten it."),
    _("The sheet has more than %(most)s rows. Split it into several files."),
    _("The sheet has %(count)s columns; %(most)s are possible. Remove those that no message uses."),
    _("%(what)s cannot be read (%(why)s). Save it again as XLSX or CSV."),
    _("The file begins as %(encoding)s text and then breaks off. Save it again as CSV UTF-8."),
    _("The file is not written in %(encoding)s. Leave the encoding away to have it found out."),
    _("There is no encoding '%(encoding)s'. Write for example utf-8, utf-16 or cp1252."),
    _("The separator %(separator)s cannot be used. Write one sign, as ; or a tab."),
    _("The file has more than %(most)s rows. Split it into several."),
    _("The file has %(count)s columns; %(most)s are possible. Remove what no message uses."),
    _("The file has %(bytes)s bytes; %(most)s are possible. Split it into several."),
    _("The file is larger than the %(most)s bytes that are possible here. Split it into several."),
    _("The file %(path)s cannot be opened (%(why)s). Check its name and that it may be read."),
    _("The file could not be read: it is damaged or needs too much memory. Save the sheet with the people as CSV."),
    _("Line %(line)s has a cell of more than %(most)s characters. Shorten it, or close a quote that is left open."),
    _('A quote (") is opened and never closed: the file ends in line %(line)s within a cell. Close it.'),
    _('Line %(line)s has a quote (") inside a cell. Write it twice (""), or leave it away.'),
    _("The file was not read to its end, for a reason of ours that stands in the log. Read it again."),
    _("Not all rows were changed, for a reason of ours that stands in the log. Change the others too."),
    _("Not all people were copied, for a reason of ours that stands in the log. Go on with the others."),
    _("The export ended before its end, for a reason that stands in the log. Try it again."),
    _("Other large files are being written just now. Try it again when one of them is done."),
    _("This campaign is gone, or was never launched. There is nobody to copy."),
    _("This campaign was launched, or is gone: its people are those it was launched with."),
    _("Another campaign has these people too. Read the file again, so that these are for this one alone."),
    _("Many rows are being changed just now. Wait until that is done."),
    _("Others change these people just now. Try it again in a moment."),
    _("The file is still being read. Rows can be changed as soon as all are there."),
    _("The file was read anew meanwhile. Look at its rows as they are now."),
    _("Somebody else changed row %(number)s meanwhile. Look at both, and save again what is to hold."),
    _("There is no row %(number)s any more."),
    _("These people have no column for phone numbers. Leave those away, or read the file with one."),
    _("These people have no column for e-mail addresses. Leave those away, or read the file with one."),
)
PLACE = re.compile(r"%\\\((\w+)\\\)s|%\((\w+)\)s")
ENDS = tuple(one for one in SENTENCES if one.startswith(("Its first row", "Name one of them", "The first row")))


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """Sentences that hold the fewest gaps come first, so that none of them is taken for one with more."""
    ordered = sorted(SENTENCES, key=lambda one: len(PLACE.findall(one)))
    return tuple((one, re.compile(PLACE.sub(r"(?P<\1>.+)", re.escape(one)), re.DOTALL)) for one in ordered)


def told(text: str | None, gettext: Callable[[str], str]) -> str:
    """The sentence in a language; one that nobody translated is told as it is."""
    if not text:
        return ""
    for end in ENDS:
        before = text.removesuffix(f" {end}")
        if before != text:
            return f"{told(before, gettext)} {gettext(end)}"
    for sentence, pattern in _patterns():
        if found := pattern.fullmatch(text):
            return gettext(sentence) % found.groupdict()
    return text
