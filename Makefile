.PHONY: check format

check:
	python3 run.py test

format:
	ruff check --fix
	ruff format
