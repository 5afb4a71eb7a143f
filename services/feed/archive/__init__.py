"""Archives: a community, or a part of it, as a file of one JSON object a line, beside a folder of photos.

`FORMAT.md` beside this says what stands in a line. Reading validates everything before anything is written; loading is
one transaction and safe to repeat; exporting gives back what was imported.
"""
