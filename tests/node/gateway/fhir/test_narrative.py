"""Narratives: plain XHTML and nothing that runs."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from node.gateway.fhir.narrative import DEPTH_MAX, fault


@pytest.mark.parametrize(
    "div",
    [
        "<div>a</div>",
        '  <div xmlns="http://www.w3.org/1999/xhtml">a</div>\n',
        "<div>a&nbsp;b &copy; &lt; &#160;</div>",
        "<div><!-- b --><p class='x' style='color:red'>a</p><br/></div>",
        '<div><a href="https://a/b?c=d">a</a> <a href="#b">b</a> <a href="Patient/1">c</a></div>',
        '<div><a href="urn:uuid:00000000-0000-4000-8000-000000000001">a</a></div>',
        '<div><img src="data:image/png;base64,AAAA" alt="b"/></div>',
        "<div><table border='1'><tr><td colspan='2'>a</td></tr></table></div>",
    ],
)
def test_plain_narratives_are_taken(div: str) -> None:
    assert fault(div) is None


@pytest.mark.parametrize(
    "div",
    [
        "",
        "a",
        "<p>a</p>",
        "<div>a",
        "<div>a</p></div>",
        "<div>a</div><div>b</div>",
        "<DIV>a</DIV>",
        "<div>a & b</div>",
        "<div><script>a</script></div>",
        "<div><x:script xmlns:x='http://www.w3.org/1999/xhtml'>a</x:script></div>",
        "<div><form>a</form></div>",
        "<div><iframe src='https://a'/>a</div>",
        "<div><style>a</style></div>",
        "<div><svg>a</svg></div>",
        "<div onclick='a()'>a</div>",
        "<div formaction='a'>a</div>",
        "<div><a href='javascript:a()'>a</a></div>",
        "<div><a href=' &#106;avascript:a()'>a</a></div>",
        "<div><a href='java&#9;script:a()'>a</a></div>",
        "<div><a href='vbscript:a'>a</a></div>",
        "<div><img src='data:text/html,a'/></div>",
        "<div style='width:expression(a)'>a</div>",
        "<div xmlns='http://elsewhere'>a</div>",
        "<?xml version='1.0'?><div>a</div>",
        "<div>a<?php a?></div>",
        "<!DOCTYPE div><div>a</div>",
        "<!DOCTYPE div [<!ENTITY a 'aaaaaaaa'><!ENTITY b '&a;&a;&a;'>]><div>&b;</div>",
        "<!DOCTYPE div [<!ENTITY a SYSTEM 'file:///etc/passwd'>]><div>&a;</div>",
        "<div>" * (DEPTH_MAX + 1) + "a" + "</div>" * (DEPTH_MAX + 1),
        "<div>\x00</div>",
    ],
)
def test_what_may_run_or_is_broken_is_refused(div: str) -> None:
    found = fault(div)
    assert found is not None
    assert found[0] == "txt-1"


@pytest.mark.parametrize("div", ["<div/>", "<div> </div>", "<div><p>\n</p></div>"])
def test_a_narrative_says_something(div: str) -> None:
    assert fault(div) == ("txt-2", "a text that says something expected")


@settings(max_examples=100)
@given(st.text(alphabet="<>/div &;a='\"!-[]?\x00\ud800", max_size=60))
def test_no_text_breaks_the_reader(text: str) -> None:
    fault(text)
    fault(f"<div>{text}</div>")
