# Everything here is go build and go test with the arguments worth remembering. A machine needs Go and no more;
# golangci-lint is used where it is installed.

GO       ?= go
PACKAGES ?= ./...
FUZZTIME ?= 10s
BENCH    ?= .

.PHONY: all bench build ci cover fuzz interop lint race test

all: lint build test

build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/grove ./cmd/grove

test:
	$(GO) test $(PACKAGES)

race:
	$(GO) test -race $(PACKAGES)

lint:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted: $$unformatted"; exit 1; }
	$(GO) vet $(PACKAGES)
	@if command -v golangci-lint >/dev/null; then golangci-lint run $(PACKAGES); \
	else echo "golangci-lint is not installed: only gofmt and go vet have looked"; fi

# Each target for FUZZTIME, one after the other: make fuzz FUZZTIME=5m PACKAGES=./server/wal
fuzz:
	@for package in $$($(GO) list $(PACKAGES)); do \
		for target in $$($(GO) test -list '^Fuzz' $$package | grep '^Fuzz'); do \
			echo "== $$package $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) $$package || exit 1; \
		done; \
	done

# The hot paths, with allocations: make bench BENCH=Fire PACKAGES=./watch
bench:
	$(GO) test -run '^$$' -bench '$(BENCH)' -benchmem $(PACKAGES)

cover:
	$(GO) test -coverpkg ./... -coverprofile cover.out $(PACKAGES)
	$(GO) tool cover -func cover.out | tail -1

# Clients that others wrote, and zkdiff, against the binary; interop/doc.go says what to install.
interop:
	GROVE_INTEROP=1 $(GO) test -count=1 -v ./interop ./interop/differential

# Everything that must hold, as it is judged.
ci:
	bash .ci/run
