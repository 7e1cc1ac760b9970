#!/bin/sh
# Prints the IstioOperator of an east-west gateway, through which other networks reach this one; with --gateway-api, a Gateway for kubectl apply.
# usage: gen-eastwest-gateway.sh --network NETWORK [--mesh MESH] [--cluster CLUSTER] [--revision REVISION] [--single-cluster] [--gateway-api | --ambient]
set -eu

network= revision= single= api= ambient= mesh= cluster=

need() {
  if [ "$#" -lt 2 ] || [ -z "$2" ]; then
    echo "gen-eastwest-gateway.sh: $1 needs a value" >&2
    exit 1
  fi
}

while [ "$#" -gt 0 ]; do
  case "$1" in
    --network) need "$@"; network=$2; shift 2 ;;
    --mesh) need "$@"; mesh=$2; shift 2 ;;
    --cluster) need "$@"; cluster=$2; shift 2 ;;
    --revision) need "$@"; revision=$2; shift 2 ;;
    --single-cluster) single=1; shift ;;
    --gateway-api) api=1; shift ;;
    --ambient) ambient=1; shift ;;
    -h|--help) sed -n '2,3s/^# //p' "$0"; exit 0 ;;
    *) echo "gen-eastwest-gateway.sh: unknown argument '$1'" >&2; sed -n '3s/^# //p' "$0" >&2; exit 1 ;;
  esac
done

if [ -z "$network" ] && [ -z "$single" -o -n "$api" ]; then
  echo "gen-eastwest-gateway.sh: --network is missing: it names the network that this gateway leads into" >&2
  exit 1
fi

for value in "$network" "$mesh" "$cluster" "$revision"; do
  case "$value" in
    *[!A-Za-z0-9._-]*) echo "gen-eastwest-gateway.sh: '$value' is not a name (letters, digits, '-', '_', '.')" >&2; exit 1 ;;
  esac
done

if [ -n "$api$ambient" ]; then
  cat <<EOF
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata:
  name: istio-eastwestgateway
  namespace: istio-system
  labels:
    topology.istio.io/network: "$network"
EOF
  if [ -n "$revision" ]; then
    echo "    istio.io/rev: \"$revision\""
  fi
  cat <<EOF
spec:
  gatewayClassName: istio-east-west
  listeners:
EOF
fi
if [ -n "$api" ]; then
  # The port and the label of the network make it pass each connection on to the service that its SNI names.
  cat <<EOF
  - name: cross-network
    hostname: "*.local"
    port: 15443
    protocol: TLS
    tls:
      mode: Passthrough
EOF
fi
if [ -n "$ambient" ]; then
  cat <<EOF
  - name: mesh
    port: 15008
    protocol: HBONE
    tls:
      mode: Terminate
      options:
        gateway.istio.io/tls-terminate-mode: ISTIO_MUTUAL
EOF
fi
[ -z "$api$ambient" ] || exit 0

cat <<EOF
apiVersion: install.istio.io/v1alpha1
kind: IstioOperator
metadata:
  name: eastwest
spec:
EOF
if [ -n "$revision" ]; then
  echo "  revision: \"$revision\""
fi
cat <<EOF
  profile: empty
  components:
    ingressGateways:
    - name: istio-eastwestgateway
      label:
        istio: eastwestgateway
        app: istio-eastwestgateway
EOF
if [ -n "$network" ]; then
  echo "        topology.istio.io/network: \"$network\""
fi
cat <<EOF
      enabled: true
      k8s:
EOF
if [ -n "$network" ]; then
  cat <<EOF
        env:
        # Only services of this network: incoming traffic must not leave for another network again.
        - name: ISTIO_META_REQUESTED_NETWORK_VIEW
          value: "$network"
EOF
fi
cat <<EOF
        service:
          ports:
          - name: status-port
            port: 15021
            targetPort: 15021
          - name: tls
            port: 15443
            targetPort: 15443
          - name: tls-istiod
            port: 15012
            targetPort: 15012
          - name: tls-webhook
            port: 15017
            targetPort: 15017
  values:
    gateways:
      istio-ingressgateway:
        injectionTemplate: gateway
EOF
if [ -n "$network" ]; then
  cat <<EOF
    global:
      network: "$network"
EOF
fi
