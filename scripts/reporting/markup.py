"""Minimal XML elements. All text and attributes are escaped on output."""

import re
import xml.etree.ElementTree as ET

# Characters that XML does not allow, and surrogates.
_FORBIDDEN = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")

Element = ET.Element


def clean(text: object) -> str:
    return _FORBIDDEN.sub("\ufffd", str(text))


def el(tag: str, *children: object, **attributes: object) -> Element:
    """Makes an element. Children are elements, texts, lists of these, or None (ignored). class_ sets class, stroke_width stroke-width."""
    element = Element(tag)
    for name, value in attributes.items():
        if value is not None:
            text = f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else clean(value)
            element.set(name.rstrip("_").replace("_", "-"), text)
    append(element, *children)
    return element


def append(element: Element, *children: object) -> None:
    for child in children:
        if child is None:
            continue
        if isinstance(child, (list, tuple)):
            append(element, *child)
        elif ET.iselement(child):
            element.append(child)
        elif len(element):
            element[-1].tail = (element[-1].tail or "") + clean(child)
        else:
            element.text = (element.text or "") + clean(child)


def to_html(root: Element) -> str:
    """Serializes to HTML that is also XML: empty elements get an end tag, except <meta>."""
    text = ET.tostring(root, encoding="unicode", short_empty_elements=False)
    return "<!DOCTYPE html>\n" + text.replace("></meta>", "/>") + "\n"
