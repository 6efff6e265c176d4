# make demo    builds the library, then finds nearest words: DATA=file.npy WORDS="coffee tea" for your own
# make test    installs what the tests need and runs every test of every language
# make bench   compares with faiss: BENCH="--data glove" and other arguments of benches/peers/compare.py
# make lib     the release library: target/release/libivf.so, libivf.a
# make clean   removes what was built

CARGO ?= cargo
RELEASE := $(or $(CARGO_TARGET_DIR),target)/release
EXAMPLES := bindings/c/examples
DATA ?= tests/data/glove.npy
BENCH ?= --data gaussian

.PHONY: lib demo test bench clean

lib:
	$(CARGO) lib
	ln -sf libivf.so $(RELEASE)/libivf.so.1

demo: lib
	$(CC) -std=c11 -O2 -Wall -Iinclude $(EXAMPLES)/demo.c $(EXAMPLES)/vectors.c -o $(RELEASE)/demo \
	    -L$(RELEASE) -livf -Wl,-rpath,'$$ORIGIN'
	$(RELEASE)/demo $(DATA) $(WORDS)

test:
	tests/run

bench: lib
	python3 benches/peers/compare.py $(BENCH)

clean:
	$(CARGO) clean
	rm -rf build .venv
