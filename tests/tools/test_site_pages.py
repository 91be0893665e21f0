from tools import site_pages
from tools.site_pages import notebook_text, page_text, whole_nav


def test_links_of_root_files_fit_the_pages_beside_docs():
    text = (
        "[a](docs/gsr.md#fusion) [b](WORKSPACE.md) ![c](docs/scenes.png) [d](https://e.org/docs/)"
    )
    text += " [e](docs/tour.ipynb) [f](README.md#two-commands) [g](#here) `docs/x.md`"
    assert page_text(text) == (
        "[a](gsr.md#fusion) [b](workspace.md) ![c](scenes.png) [d](https://e.org/docs/)"
        " [e](tour.md) [f](index.md#two-commands) [g](#here) `docs/x.md`"
    )


def test_nav_has_every_page_once_and_none_that_is_missing():
    nav = ["index.md", {"Use": ["start.md", "gone.md"]}, {"Gone": ["gone.md"]}, {"API": "api.md"}]
    pages = ["api.md", "index.md", "new.md", "start.md"]
    expected = ["index.md", {"Use": ["start.md"]}, {"API": "api.md"}]
    assert whole_nav(nav, [p for p in pages if p != "new.md"]) == expected
    assert whole_nav(nav, pages) == [*expected, {"More": ["new.md"]}]
    assert nav[1] == {"Use": ["start.md", "gone.md"]}  # the given one is left as it is


def test_a_notebook_becomes_text_code_and_outputs():
    outputs = [
        {"output_type": "stream", "name": "stdout", "text": ["a < b\n", "c\n"]},
        {"output_type": "display_data", "data": {"image/png": "iVBO\nRw==\n", "text/plain": "F"}},
        {"output_type": "execute_result", "data": {"text/plain": ["3"]}},
        {"output_type": "display_data", "data": {"text/html": "<b>"}},
    ]
    cells = [
        {"cell_type": "markdown", "source": ["# Tour\n", "\n", "Text"]},
        {"cell_type": "code", "source": "print(x)\nx", "outputs": outputs},
        {"cell_type": "raw", "source": "left out"},
    ]
    assert notebook_text({"cells": cells}) == (
        "# Tour\n\nText\n\n```python\nprint(x)\nx\n```\n\n"
        '<pre class="output">a &lt; b\nc</pre>\n\n'
        '<img alt="what the code above draws" src="data:image/png;base64,iVBORw==">\n\n'
        '<pre class="output">3</pre>\n'
    )


def test_every_root_page_is_made_and_its_links_have_no_folder():
    made = site_pages.made_pages(site_pages.Path(__file__).parents[2])
    assert set(site_pages.ROOT_PAGES.values()) <= set(made)
    assert "](docs/" not in made["index.md"]
