"""Text templates (jinja2) of everything the backend writes: party programs, launchers, reports."""

from __future__ import annotations

from functools import cache

import jinja2


def render(template: str, **values: object) -> str:
    """The rendered template. Raises jinja2.TemplateError when a value is missing."""
    return _environment().get_template(template).render(**values)


@cache  # it keeps compiled templates
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.PackageLoader("mpcc", "codegen_templates"),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=jinja2.select_autoescape(["html"]),
    )
