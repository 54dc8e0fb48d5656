# make run    set up, run the default study, print its table
# make test   set up, run the whole test suite
# make test-slurm   set up, run studies on a Slurm cluster of this machine (Debian: slurm-wlm, munge)
# make check  set up, check format, lint and dry runs of every config

PYTHON ?= python3
CORES ?= 2
STUDY ?= smoke
STAMP := .venv/.installed
export PATH := $(CURDIR)/.venv/bin:$(PATH)

.PHONY: run test test-slurm check setup format bench clean

run: setup
	snakemake --cores $(CORES) --configfile config/$(STUDY).yaml
	ndns board show results/$(STUDY)/board

test: setup
	python -m pytest

test-slurm: setup
	NDNS_TEST_SLURM=1 python -m pytest tests/slurm -v

check: setup
	ruff format --check .
	ruff check .
	snakefmt --check Snakefile rules
	snakemake --lint
	for file in $$(grep -l '^study:' config/*.yaml); do echo "dry run of $$file" && snakemake --dry-run --quiet --cores 1 --configfile $$file || exit 1; done

format: setup
	ruff format .
	ruff check --fix .
	snakefmt Snakefile rules

setup: $(STAMP)

$(STAMP): envs/requirements.txt envs/no-deps.txt envs/install.sh pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] == (3, 11) else "CPython 3.11 is needed; name it with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	envs/install.sh .venv/bin/python
	touch $@

clean:
	rm -rf .venv .snakemake results/*/ data/*/ logs benchmarks
