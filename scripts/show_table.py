#!/usr/bin/env python3
"""Prints a CSV file in aligned columns; wide (CJK) characters take two cells: scripts/show_table.py FILE.csv"""

import csv
import sys
import unicodedata


def width(text: str) -> int:
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in text)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    widths = [max(width(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        print("  ".join(cell + " " * (space - width(cell)) for cell, space in zip(row, widths)).rstrip())


if __name__ == "__main__":
    main()
