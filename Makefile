# make run    set up, run the default study, print its table
# make test   set up, run the whole test suite
# make test-slurm   set up, run studies on a Slurm cluster of this machine (Debian: slurm-wlm, munge)
# make clone-check  set up; clone this commit, restore, nothing to do, recompute (FROM=corpus: all of it), verify, tamper,
#                   caught, mended
# make test-kill    set up, kill runs of a study 20 times, in every stage
# make variation    set up, recompute a small study in other surroundings, print what differs (docs/verify.md)
# make check  set up, check format, lint and dry runs of every config
# make remotes      set up, also what DVC needs for remotes over SSH, WebDAV and S3
# make clean  remove the environment and what all studies made; data/fetched, the challenge's archives, stays

PYTHON ?= python3
CORES ?= 2
STUDY ?= smoke
# What pytest is to run: make test TESTS="tests/record -x"
TESTS ?=
# First stage that clone-check computes again
FROM ?= quantize
STAMP := .venv/.installed
REMOTES := .venv/.remotes
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# Every command and test starts Python anew: without kept byte code each would compile the project again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: run test test-slurm test-kill clone-check variation check formatted lint dry-runs format setup remotes clean

run: setup
	@test -f config/$(STUDY).yaml || { echo "config/$(STUDY).yaml: no such study; name one: STUDY=mini" >&2; exit 2; }
	snakemake --cores $(CORES) --configfile config/$(STUDY).yaml
	ndns board show results/$(STUDY)/board

test: setup
	python -m pytest -n $(CORES) --dist loadfile --no-loadscope-reorder $(TESTS)

test-slurm: setup
	NDNS_TEST_SLURM=1 python -m pytest tests/slurm -v

clone-check: setup
	python tests/repro/story.py --study $(STUDY) --cores $(CORES) --from $(FROM)

test-kill: setup
	NDNS_TEST_KILLS=20 python -m pytest tests/faults/test_kill.py -v -s

variation: setup
	python tests/repro/variation.py

check: formatted lint dry-runs

formatted: setup
	ruff format --check .
	snakefmt --check Snakefile rules

lint: setup
	ruff check .
	snakemake --lint

dry-runs: setup
	grep -l '^study:' config/*.yaml | xargs -P $(CORES) -I{} sh -c 'snakemake --dry-run --quiet --cores 1 --configfile {} && echo "dry run of {}"'

format: setup
	ruff format .
	ruff check --fix .
	snakefmt Snakefile rules

setup: $(STAMP)

remotes: $(REMOTES)

$(STAMP): envs/requirements.txt envs/no-deps.txt envs/install.sh pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info[:2] in ((3, 11), (3, 12)) else "CPython 3.11 is needed (3.12 may do); name it with: make PYTHON=python3.11 ...")'
	$(PYTHON) -m venv .venv
	envs/install.sh .venv/bin/python
	touch $@

$(REMOTES): $(STAMP) envs/remotes.txt
	.venv/bin/python -m pip --disable-pip-version-check install --quiet --no-deps -r envs/remotes.txt
	touch $@

clean:
	rm -rf .venv .snakemake results/*/ $(filter-out data/fetched/,$(wildcard data/*/)) logs benchmarks
