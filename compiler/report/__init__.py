"""The report of a program: its data as JSON, and the page that shows them."""
