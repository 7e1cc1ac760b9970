# Creates a self-signed root and intermediate certificates for the clusters of a mesh. Run it in the directory for the certificates:
#   make -f ../tools/certs/Makefile.selfsigned.mk root-ca cluster1-cacerts cluster2-cacerts
.DEFAULT_GOAL := help
.SUFFIXES:

SELF_DIR := $(dir $(lastword $(MAKEFILE_LIST)))
include $(SELF_DIR)common.mk

.SECONDARY:
.DELETE_ON_ERROR:

.PHONY: root-ca
root-ca: root-key.pem root-cert.pem

root-cert.csr: root-key.pem root-ca.conf
	@echo "generating $@"
	@$(OPENSSL) req -new -sha256 -key root-key.pem -config root-ca.conf -out $@

root-cert.pem: root-cert.csr
	@echo "generating $@"
	@$(OPENSSL) x509 -req -sha256 -days $(ROOTCA_DAYS) -signkey root-key.pem \
		-extensions req_ext -extfile root-ca.conf -in $< -out $@ 2>/dev/null

%-cacerts: %/cert-chain.pem %/root-cert.pem
	@echo "done: $*/ca-key.pem $*/ca-cert.pem $*/cert-chain.pem $*/root-cert.pem"

%/root-cert.pem: root-cert.pem
	@mkdir -p $(@D)
	@cp root-cert.pem $@

%/cluster-ca.csr: %/ca-key.pem %/intermediate.conf
	@echo "generating $@"
	@$(OPENSSL) req -new -sha256 -config $(@D)/intermediate.conf -key $(@D)/ca-key.pem -out $@

%/ca-cert.pem: %/cluster-ca.csr root-key.pem root-cert.pem
	@echo "generating $@"
	@$(OPENSSL) x509 -req -sha256 -days $(INTERMEDIATE_DAYS) -CA root-cert.pem -CAkey root-key.pem \
		-set_serial "0x$$($(OPENSSL) rand -hex 16)" \
		-extensions req_ext -extfile $(@D)/intermediate.conf -in $< -out $@ 2>/dev/null

%/cert-chain.pem: %/ca-cert.pem root-cert.pem
	@echo "generating $@"
	@cat $^ > $@

%-certs: %/workload-cert-chain.pem %/root-cert.pem
	@echo "done: $*/key.pem $*/workload-cert-chain.pem $*/root-cert.pem"

%/workload.csr: %/key.pem %/workload.conf
	@$(OPENSSL) req -new -sha256 -config $(@D)/workload.conf -key $(@D)/key.pem -out $@

%/workload-cert.pem: %/workload.csr %/ca-cert.pem
	@echo "generating $@"
	@$(OPENSSL) x509 -req -sha256 -days $(WORKLOAD_DAYS) -CA $(@D)/ca-cert.pem -CAkey $(@D)/ca-key.pem \
		-set_serial "0x$$($(OPENSSL) rand -hex 16)" \
		-extensions req_ext -extfile $(@D)/workload.conf -in $< -out $@ 2>/dev/null

%/workload-cert-chain.pem: %/workload-cert.pem %/ca-cert.pem root-cert.pem
	@cat $^ > $@

clean:
	@rm -f root-key.pem root-cert.pem root-cert.csr root-ca.conf
	@for conf in */intermediate.conf */workload.conf; do \
		[ -f "$$conf" ] || continue; \
		directory=$$(dirname "$$conf"); \
		( cd "$$directory" && rm -f ca-key.pem ca-cert.pem cert-chain.pem root-cert.pem cluster-ca.csr intermediate.conf \
			key.pem workload.csr workload.conf workload-cert.pem workload-cert-chain.pem ); \
		rmdir "$$directory" 2>/dev/null || true; \
	done
