# Shared by the certificate makefiles: settings, and the rules for keys, requests and configuration files.
# You can override every setting on the command line: make -f … ROOTCA_DAYS=365 root-ca

ROOTCA_DAYS ?= 3650
ROOTCA_KEYSZ ?= 4096
ROOTCA_ORG ?= Istio
ROOTCA_CN ?= Root CA
KUBECONFIG ?= $(HOME)/.kube/config
ISTIO_NAMESPACE ?= istio-system

INTERMEDIATE_DAYS ?= 3650
INTERMEDIATE_KEYSZ ?= 4096
INTERMEDIATE_ORG ?= Istio
INTERMEDIATE_CN ?= Intermediate CA
INTERMEDIATE_SAN_DNS ?= istiod.$(ISTIO_NAMESPACE).svc

WORKLOAD_DAYS ?= 1
WORKLOAD_KEYSZ ?= 4096
WORKLOAD_ORG ?= Istio
WORKLOAD_CN ?= Workload
SERVICE_ACCOUNT ?= default
TRUST_DOMAIN ?= cluster.local

OPENSSL ?= openssl

define ROOTCA_CONF
[ req ]
encrypt_key = no
prompt = no
utf8 = yes
default_md = sha256
default_bits = $(ROOTCA_KEYSZ)
req_extensions = req_ext
x509_extensions = req_ext
distinguished_name = req_dn
[ req_ext ]
subjectKeyIdentifier = hash
basicConstraints = critical, CA:true
keyUsage = critical, digitalSignature, nonRepudiation, keyEncipherment, keyCertSign
[ req_dn ]
O = $(ROOTCA_ORG)
CN = $(ROOTCA_CN)
endef
export ROOTCA_CONF

define INTERMEDIATE_CONF
[ req ]
encrypt_key = no
prompt = no
utf8 = yes
default_md = sha256
default_bits = $(INTERMEDIATE_KEYSZ)
req_extensions = req_ext
x509_extensions = req_ext
distinguished_name = req_dn
[ req_ext ]
subjectKeyIdentifier = hash
basicConstraints = critical, CA:true, pathlen:0
keyUsage = critical, digitalSignature, nonRepudiation, keyEncipherment, keyCertSign
subjectAltName = @san
[ san ]
DNS.1 = $(INTERMEDIATE_SAN_DNS)
[ req_dn ]
O = $(INTERMEDIATE_ORG)
CN = $(INTERMEDIATE_CN)
L = $(L)
endef
export INTERMEDIATE_CONF

define WORKLOAD_CONF
[ req ]
encrypt_key = no
prompt = no
utf8 = yes
default_md = sha256
default_bits = $(WORKLOAD_KEYSZ)
req_extensions = req_ext
x509_extensions = req_ext
distinguished_name = req_dn
[ req_ext ]
subjectKeyIdentifier = hash
basicConstraints = critical, CA:false
keyUsage = critical, digitalSignature, keyEncipherment
extendedKeyUsage = serverAuth, clientAuth
subjectAltName = @san
[ san ]
URI.1 = spiffe://$(TRUST_DOMAIN)/ns/$(L)/sa/$(SERVICE_ACCOUNT)
[ req_dn ]
O = $(WORKLOAD_ORG)
CN = $(WORKLOAD_CN)
L = $(L)
endef
export WORKLOAD_CONF

root-ca.conf:
	@printf '%s\n' "$$ROOTCA_CONF" > $@

%/intermediate.conf: L = $(@D)
%/intermediate.conf:
	@mkdir -p $(@D)
	@printf '%s\n' "$$INTERMEDIATE_CONF" > $@

%/workload.conf: L = $(@D)
%/workload.conf:
	@mkdir -p $(@D)
	@printf '%s\n' "$$WORKLOAD_CONF" > $@

# Set umask before the file exists, so that others can never read the key, even for a moment.
root-key.pem:
	@echo "generating $@"
	@umask 077 && $(OPENSSL) genrsa -out $@ $(ROOTCA_KEYSZ) 2>/dev/null

%/ca-key.pem:
	@echo "generating $@"
	@mkdir -p $(@D)
	@umask 077 && $(OPENSSL) genrsa -out $@ $(INTERMEDIATE_KEYSZ) 2>/dev/null

%/key.pem:
	@echo "generating $@"
	@mkdir -p $(@D)
	@umask 077 && $(OPENSSL) genrsa -out $@ $(WORKLOAD_KEYSZ) 2>/dev/null

.PHONY: help clean
help:
	@echo "make -f Makefile.selfsigned.mk root-ca        a root: root-key.pem root-cert.pem root-cert.csr root-ca.conf"
	@echo "make -f Makefile.selfsigned.mk NAME-cacerts   an intermediate for cluster NAME: NAME/{ca-key,ca-cert,cert-chain,root-cert}.pem"
	@echo "make -f Makefile.selfsigned.mk NS-certs       certificates for workloads outside Kubernetes in namespace NS, for one day"
	@echo "make -f Makefile.selfsigned.mk clean          removes what this makefile made here"
